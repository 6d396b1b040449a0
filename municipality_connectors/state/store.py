"""What a connector keeps on its own disk: one SQLite file that others may read while it runs.

Losing it loses nothing that was acknowledged: `running/catching_up.py` finds out from the gateway where each
thing stands. What was not acknowledged yet stands in it alone, so every write is synced.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

FORMAT = 4
LOCK_TIMEOUT_S = 10.0
"""How long another run on the same store is waited for."""

BUSY_TIMEOUT_S = 60.0
"""How long a write of somebody else, such as the command that sends refused events again, is waited for."""

_TABLES = """
CREATE TABLE IF NOT EXISTS books (book INTEGER PRIMARY KEY, gateway TEXT NOT NULL, source TEXT NOT NULL,
  UNIQUE (gateway, source));
CREATE TABLE IF NOT EXISTS addresses (url TEXT PRIMARY KEY, gateway TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS things (book INTEGER NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL,
  revision INTEGER NOT NULL, content BLOB, settled BLOB, refused BLOB, time_us INTEGER NOT NULL,
  noticed_us INTEGER NOT NULL, place TEXT NOT NULL, gone INTEGER NOT NULL, data BLOB, settled_us INTEGER,
  settled_data BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS things_key ON things (book, name, subject);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER NOT NULL,
  name TEXT NOT NULL, subject TEXT NOT NULL, revision INTEGER NOT NULL, time_us INTEGER NOT NULL,
  dataschema TEXT NOT NULL, content BLOB NOT NULL, data BLOB NOT NULL, place TEXT NOT NULL, part TEXT, row INTEGER,
  kept_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_key ON outbox (book, name, subject);
CREATE INDEX IF NOT EXISTS outbox_order ON outbox (book, number);
CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER NOT NULL,
  name TEXT NOT NULL, subject TEXT NOT NULL, time_us INTEGER NOT NULL, dataschema TEXT NOT NULL,
  content BLOB NOT NULL, data BLOB NOT NULL, place TEXT NOT NULL, part TEXT, row INTEGER, problem TEXT NOT NULL,
  message TEXT NOT NULL, refused_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS refused_key ON refused (book, name, subject);
CREATE TABLE IF NOT EXISTS marks (book INTEGER NOT NULL, place TEXT NOT NULL, mark BLOB NOT NULL, told TEXT NOT NULL,
  PRIMARY KEY (book, place));
CREATE TABLE IF NOT EXISTS delivered (book INTEGER NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
  subject TEXT NOT NULL, alliance TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (book, name, owner, subject, alliance));
CREATE TABLE IF NOT EXISTS deliveries (book INTEGER NOT NULL, name TEXT NOT NULL, written INTEGER NOT NULL,
  PRIMARY KEY (book, name));
"""

_FORWARD = {
    2: (
        "ALTER TABLE things ADD COLUMN settled_us INTEGER",
        "ALTER TABLE things ADD COLUMN settled_data BLOB",
        "UPDATE things SET settled_us=time_us, settled_data=data WHERE settled IS content",
    ),
    3: ("CREATE INDEX IF NOT EXISTS outbox_order ON outbox (book, number)",),
}
"""What brings a store of some format to the next one."""


class StoreUnusable(Exception):
    """The state folder cannot be used. The message is Danish and says what to do."""


class Store:
    """The file. Use as a context manager: only one run at a time has it."""

    def __init__(self, path: Path | None) -> None:
        """`path`: None for a store that is forgotten when it closes."""
        self._path = path
        self._lock: sqlite3.Connection | None = None

    @property
    def path(self) -> Path | None:
        """Where it is kept."""
        return self._path

    def __enter__(self) -> Self:
        """Open, and wait for another run to end. Raises `StoreUnusable`."""
        try:
            if self._path is not None:
                _make_private(self._path.with_suffix(".lock"))
                self._lock = self._locked(self._path)
            self.database = self.opened()
        except (OSError, sqlite3.Error):
            self._unlock()
            raise self._unusable() from None
        except StoreUnusable:
            self._unlock()
            raise
        return self

    def _locked(self, path: Path) -> sqlite3.Connection:
        """Hold a lock that ends with the process, on every kind of system. Raises `StoreUnusable`."""
        lock = sqlite3.connect(path.with_suffix(".lock"), isolation_level=None, timeout=LOCK_TIMEOUT_S)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if "locked" in str(error):
                message = "En anden kørsel er i gang med samme hukommelse. Vent, til den er færdig, eller stands den."
                raise StoreUnusable(message) from None
            raise
        return lock

    def opened(self) -> sqlite3.Connection:
        """Return a connection of its own, without the lock: for looking, and for single writes.

        Raises `sqlite3.Error`, `OSError`.
        """
        if self._path is not None:
            _make_private(self._path)
        database = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=FILE;")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, 1, *_FORWARD, FORMAT):
                raise sqlite3.DatabaseError("of another format")
            if version == 1:
                # What it held is known to the gateway, and found out from it.
                database.executescript("DROP TABLE IF EXISTS things; DROP TABLE IF EXISTS pending;")
            if version in _FORWARD:
                _bring_forward(database)
            elif version != FORMAT:
                database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={FORMAT}; COMMIT;")
        except sqlite3.Error:
            database.close()
            raise
        return database

    @contextmanager
    def looking(self) -> Iterator[Self]:
        """Open it without the lock, for somebody who looks, or keeps a little, while a run may be going on.

        Raises `StoreUnusable`.
        """
        try:
            self.database = self.opened()
        except (OSError, sqlite3.Error):
            raise self._unusable() from None
        try:
            yield self
        finally:
            self.database.close()

    def _unusable(self) -> StoreUnusable:
        return StoreUnusable(
            f"Hukommelsen {self._path} kan ikke bruges. Angiv en anden mappe med --state, eller flyt filen væk: "
            "det, der allerede er sendt, bliver genkendt og ikke sendt igen."
        )

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make what is written inside durable together, or not at all."""
        with transaction(self.database) as database:
            yield database


def _bring_forward(database: sqlite3.Connection) -> None:
    """Bring a store of a format before up to date, unless another process did so meanwhile."""
    with transaction(database):
        version = database.execute("PRAGMA user_version").fetchone()[0]
        for one in range(version, FORMAT):
            for statement in _FORWARD[one]:
                database.execute(statement)
        database.execute(f"PRAGMA user_version={FORMAT}")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, which gives what it keeps beside it the same mode. Raises `OSError`.

    It holds what the events hold, and nobody else's business.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Make what is written inside durable together, or not at all."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def book_of(database: sqlite3.Connection, *, url: str, source: str, gateway: str | None) -> int:
    """Return the book of what one source told one gateway.

    gateway: the instance's name, so that another instance at the same address is told apart; None while it cannot be
    had: then the instance last met there is meant, and if none was, whatever is met first.
    """
    with transaction(database):
        row = database.execute("SELECT gateway FROM addresses WHERE url=?", (url,)).fetchone()
        if gateway is not None and (row is None or row[0] != gateway):
            if row is None:
                _name_books(database, url, gateway)
            database.execute("INSERT OR REPLACE INTO addresses VALUES (?,?)", (url, gateway))
        named = (gateway or (row[0] if row else url), source)
        if (book := _book(database, *named)) is not None:
            return book
        cursor = database.execute("INSERT INTO books (gateway, source) VALUES (?,?)", named)
        assert cursor.lastrowid is not None  # noqa: S101  # it was just made
        return cursor.lastrowid


def _name_books(database: sqlite3.Connection, url: str, gateway: str) -> None:
    """Let what was kept for an address, before anybody answered there, be the gateway's that answers now.

    Where it was known by another address already, what waits follows what waits there; the gateway says where each
    thing stands when it is sent.
    """
    for nameless, source in database.execute("SELECT book, source FROM books WHERE gateway=?", (url,)).fetchall():
        known = _book(database, gateway, source)
        if known is None:
            database.execute("UPDATE books SET gateway=? WHERE book=?", (gateway, nameless))
            continue
        for table in ("outbox", "refused"):
            database.execute(f"UPDATE {table} SET book=? WHERE book=?", (known, nameless))
        for table in ("things", "marks", "delivered", "deliveries"):
            database.execute(f"UPDATE OR REPLACE {table} SET book=? WHERE book=?", (known, nameless))
        database.execute("DELETE FROM books WHERE book=?", (nameless,))


def _book(database: sqlite3.Connection, gateway: str, source: str) -> int | None:
    row = database.execute("SELECT book FROM books WHERE gateway=? AND source=?", (gateway, source)).fetchone()
    return None if row is None else int(row[0])


def default_folder() -> Path:
    """Return the user's own folder for what programs remember."""
    home = Path.home()
    for known in (home / "AppData" / "Local", home / "Library" / "Application Support"):
        if known.is_dir():
            return known / "kommunebro"
    return home / ".local" / "state" / "kommunebro"
