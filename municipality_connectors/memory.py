"""What was published, kept on the publisher's machine: one SQLite file under the state folder.

It spares the gateway what it knows already, and holds every event from before it is sent until it is
acknowledged, so that after a crash the very same bytes are sent again. Losing the file loses nothing else:
`catching_up.py` finds out from the gateway where each thing stands.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from municipality_connectors.changes import Thing

FILE_NAME = "published.sqlite3"
FORMAT = 1
LOCK_TIMEOUT_S = 10.0
"""How long another run on the same memory is waited for."""

_TABLES = """
CREATE TABLE IF NOT EXISTS things (gateway TEXT, source TEXT, name TEXT, subject TEXT,
  revision INTEGER NOT NULL, content BLOB NOT NULL, time_us INTEGER NOT NULL,
  PRIMARY KEY (gateway, source, name, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (number INTEGER PRIMARY KEY, gateway TEXT, source TEXT, name TEXT, subject TEXT,
  revision INTEGER NOT NULL, content BLOB NOT NULL, time_us INTEGER NOT NULL, body BLOB NOT NULL,
  UNIQUE (gateway, source, name, subject));
"""


class MemoryUnusable(Exception):
    """The state folder cannot be used. The message is Danish and says what to do."""


class Intended(NamedTuple):
    """An event that is to be sent, or was sent without an answer."""

    name: str
    subject: str
    thing: Thing
    body: bytes


class Memory:
    """What one publisher remembers of one gateway. Use as a context manager: only one run at a time has it."""

    def __init__(self, folder: Path, *, gateway: str, source: str) -> None:
        """gateway: the instance's name, so that another instance at the same address is told apart."""
        self._path = folder / FILE_NAME
        self._key = (gateway, source)

    def __enter__(self) -> Self:
        """Open, and wait for another run to end. Raises `MemoryUnusable`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, isolation_level=None, timeout=LOCK_TIMEOUT_S)
        except (OSError, sqlite3.Error):
            raise self._unusable() from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise self._of(error) from None
        return self

    def _prepare(self) -> None:
        # The exclusive lock stays from the first write until the connection closes.
        self._database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;")
        self._database.execute("BEGIN EXCLUSIVE")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        self._database.execute("COMMIT")
        if version not in (0, FORMAT):
            raise sqlite3.DatabaseError("of another format")
        self._database.executescript(f"{_TABLES} PRAGMA user_version={FORMAT};")

    def _of(self, error: sqlite3.Error) -> MemoryUnusable:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return MemoryUnusable("En anden kørsel af publish er i gang med samme hukommelse. Vent, til den er færdig.")
        return self._unusable()

    def _unusable(self) -> MemoryUnusable:
        return MemoryUnusable(
            f"Hukommelsen {self._path} kan ikke bruges. Angiv en anden mappe med --state, eller flyt filen væk: "
            "det, der allerede er sendt, bliver genkendt og ikke sendt igen."
        )

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def things(self, name: str) -> dict[str, Thing]:
        """Return the newest published state of every thing of one type, by its subject."""
        rows = self._database.execute(
            "SELECT subject, revision, content, time_us FROM things WHERE gateway=? AND source=? AND name=?",
            (*self._key, name),
        )
        return {subject: Thing(revision, content, time_us) for subject, revision, content, time_us in rows}

    def pending(self) -> list[Intended]:
        """Return what was to be sent and has no answer yet, in the order in which it was to be sent."""
        rows = self._database.execute(
            "SELECT name, subject, revision, content, time_us, body FROM pending WHERE gateway=? AND source=?"
            " ORDER BY number",
            self._key,
        )
        return [Intended(name, subject, Thing(*thing), body) for name, subject, *thing, body in rows]

    def intend(self, events: Iterable[Intended]) -> None:
        """Keep events before they are sent; durable on return."""
        rows = [(*self._key, event.name, event.subject, *event.thing, event.body) for event in events]
        self._write(
            "INSERT OR REPLACE INTO pending (gateway, source, name, subject, revision, content, time_us, body)"
            " VALUES (?,?,?,?,?,?,?,?)",
            rows,
        )

    def settle(self, done: Iterable[Intended], dropped: Iterable[Intended] = ()) -> None:
        """Remember acknowledged events as their things' newest states, and forget refused ones; durable on return."""
        done, dropped = list(done), list(dropped)
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "INSERT OR REPLACE INTO things VALUES (?,?,?,?,?,?,?)",
            [(*self._key, event.name, event.subject, *event.thing) for event in done],
        )
        self._database.executemany(
            "DELETE FROM pending WHERE gateway=? AND source=? AND name=? AND subject=?",
            [(*self._key, event.name, event.subject) for event in (*done, *dropped)],
        )
        self._database.execute("COMMIT")

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def default_folder() -> Path:
    """Return the user's own folder for what programs remember."""
    home = Path.home()
    for known in (home / "AppData" / "Local", home / "Library" / "Application Support"):
        if known.is_dir():
            return known / "kommunebro"
    return home / ".local" / "state" / "kommunebro"


Remembered = Mapping[str, Thing]
