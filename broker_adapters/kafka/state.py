"""A processor's state and positions: kept in a compacted topic, and copied into a local SQLite file.

The topic is the truth. The copy keeps memory flat over millions of things and knows up to which offset it
was filled; what it misses is read at each start. It can be lost or damaged: then it is filled anew.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

from broker_adapters.log import LogFolderUnusable, LogFull, LogUnavailable, NewRecord, Record

FORMAT_HEADER = [("kommunebro_format", b"1")]
"""Stands on every value, also an empty one; what lacks it is Kafka's mark of a key that was removed."""

STATE, POSITION = "state/", "position/"
"""What a key begins with. Positions are kept here and not in a consumer group: a group's offsets expire
when a topic had no event for a week (`offsets.retention.minutes`), and everything would be forwarded anew."""

REMOVED_KEPT_S = 7 * 24 * 3600
"""How long the topic tells that a key was removed (`delete.retention.ms`)."""

TRUST_S_MAX = 5 * 24 * 3600
"""A copy that was up to date longer ago is filled anew: it could miss that a key was removed."""

VARIABLES_MAX = 500
"""Of one SELECT."""

ROWS_A_STATEMENT_MAX = 499
"""One statement for many rows: after each the interpreter's lock has to be had again, and whoever decides
the next step holds it for up to 5 ms. Two variables a row: an older SQLite takes 999, and this is the system's."""

STATEMENTS_KEPT = 8
"""Of those above each holds some tens of kilobytes."""

LAYOUT = 1
SCHEMA = f"""
CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE filled (origin TEXT NOT NULL, next INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
PRAGMA user_version = {LAYOUT};
"""


class Change(NamedTuple):
    """One entry's new value; None removes it."""

    key: str
    value: bytes | None


def changes_of(state: Mapping[str, bytes | None], positions: Mapping[str, int]) -> list[Change]:
    """Return what a commit changes."""
    kept = [Change(STATE + key, value) for key, value in state.items()]
    return kept + [Change(POSITION + topic, str(offset).encode()) for topic, offset in positions.items()]


Stored = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers as Kafka takes them."""


def stored(record: NewRecord) -> Stored:
    """Return a record as Kafka takes it."""
    value, key, headers = record
    return key, value, list(headers)


def records_of(changes: Iterable[Change]) -> Iterator[Stored]:
    """Yield key, value and headers for the topic."""
    return ((key.encode(), value, [] if value is None else FORMAT_HEADER) for key, value in changes)


def change_in(record: Record) -> Change:
    """Return what a record of the topic says."""
    return Change((record.key or b"").decode(), record.value if record.headers else None)


class StateCopy:
    """The local copy, in one file, used by one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    @classmethod
    def open(cls, path: Path, origin: str) -> Self:
        """Open the copy at `path`; one that is damaged, old, or not of `origin` is begun anew.

        origin: which cluster's which topic. Raises `LogFolderUnusable`, `LogFull`.
        """
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy = cls(path, _connect(path))
                if copy._is_of(origin):
                    return copy
                copy.close()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                pass
            _remove(path)
            copy = cls(path, _connect(path))
            copy._connection.executescript(SCHEMA)
            copy._connection.execute("INSERT INTO filled VALUES (?, 0, ?)", (origin, int(time.time())))
            return copy

    def _is_of(self, origin: str) -> bool:
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
            return False
        found, _, at = self._connection.execute("SELECT origin, next, at FROM filled").fetchone()
        return bool(found == origin) and 0 <= time.time() - at <= TRUST_S_MAX

    def next_offset(self) -> int:
        """Return the offset in the topic from which the copy has to be filled."""
        offset: int = self._connection.execute("SELECT next FROM filled").fetchone()[0]
        return offset

    def apply(self, changes: Sequence[Change], next_offset: int) -> None:
        """Take in what stands before `next_offset`. What the copy has already, by another's hand, is let be."""
        with _told(self._path), self._transaction():
            if self.next_offset() > next_offset:
                return
            last = dict(changes)
            self._set([change for change in last.items() if change[1] is not None])
            removed = [(key,) for key, value in last.items() if value is None]
            self._connection.executemany("DELETE FROM entry WHERE key = ?", removed)
            self._connection.execute("UPDATE filled SET next = ?, at = ?", (next_offset, int(time.time())))

    def _set(self, entries: Sequence[tuple[str, bytes | None]]) -> None:
        for begin in range(0, len(entries), ROWS_A_STATEMENT_MAX):
            some = entries[begin : begin + ROWS_A_STATEMENT_MAX]
            rows = ", ".join(["(?, ?)"] * len(some))
            self._connection.execute(
                f"INSERT INTO entry VALUES {rows} ON CONFLICT DO UPDATE SET value = excluded.value",  # noqa: S608
                list(chain.from_iterable(some)),
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def load(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the state under each of `keys`."""
        found: dict[str, bytes] = {}
        with _told(self._path):
            for begin in range(0, len(keys), VARIABLES_MAX):
                some = [STATE + key for key in keys[begin : begin + VARIABLES_MAX]]
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(f"SELECT key, value FROM entry WHERE key IN ({marks})", some)  # noqa: S608
                found.update((key[len(STATE) :], value) for key, value in rows)
        return found

    def positions(self) -> dict[str, int]:
        """Return the position in each topic."""
        with _told(self._path):
            rows = self._connection.execute(
                "SELECT key, value FROM entry WHERE key >= ? AND key < ?", (POSITION, POSITION[:-1] + "0")
            )
            return {key[len(POSITION) :]: int(value) for key, value in rows}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=10, cached_statements=STATEMENTS_KEPT
    )
    try:
        # Whole after a crash, if not up to date: what it misses is in the topic.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise SQLite's and the file system's errors as the port's."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if "full" in str(error) or "space" in str(error):
            raise LogFull(f"The disk with {path.parent} is full. Free some space; nothing is lost.") from error
        raise LogFolderUnusable(f"{path.parent} cannot be used ({error}). Allow this user to write it.") from error
    except sqlite3.DatabaseError as error:
        _remove(path)
        raise LogUnavailable(f"{path} was damaged ({error}); it is filled anew at the next start.") from error


def _remove(path: Path) -> None:
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        file.unlink(missing_ok=True)
