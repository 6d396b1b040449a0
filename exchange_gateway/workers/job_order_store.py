"""Job orders in a local SQLite file: what a million of them need is on disk, not in memory.

The file can be thrown away at any time. It holds, with what it knows, how far in each topic that
reaches, and both change in one transaction.
"""

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from exchange_gateway.core.job_orders import Facets, Filters, JobOrder, Place, Row, Sight, combine, row_of
from exchange_gateway.core.things import Sighting, fold
from exchange_gateway.workers.job_order_query import keys_of

FILE_NAME = "read-models.sqlite3"
FORMAT = 1
"""The number of the file's layout and of what is put into it: another one is built anew from the log."""

CACHE_KIB = 16 * 1024
READ_CACHE_KIB = 4 * 1024
WAL_PAGES = 2000
BUSY_MS = 2000
ROWS_A_STATEMENT = (128, 32, 8, 1)
"""One statement for many rows: after each the interpreter's lock has to be had again."""

SCHEMA = f"""
CREATE TABLE about (instance TEXT NOT NULL) STRICT;
CREATE TABLE position (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE seen (event_number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE job_order (
    row INTEGER PRIMARY KEY, space TEXT NOT NULL, owner TEXT NOT NULL, subject TEXT NOT NULL,
    first_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, time_us INTEGER NOT NULL, time TEXT NOT NULL,
    source TEXT NOT NULL, event_id TEXT NOT NULL,
    status TEXT NOT NULL, municipality TEXT, occupation TEXT NOT NULL, occupation_codes TEXT NOT NULL,
    industry_codes TEXT NOT NULL, text TEXT NOT NULL, data BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX thing ON job_order (subject, owner, space);
CREATE INDEX by_first ON job_order (space, first_ms DESC, owner, subject, status, municipality);
CREATE INDEX by_recorded ON job_order (space, recorded_ms);
PRAGMA user_version = {FORMAT};
"""
COLUMNS = (
    "space, owner, subject, first_ms, recorded_ms, time_us, time, source, event_id, "
    "status, municipality, occupation, occupation_codes, industry_codes, text, data"
)
_COUNT = COLUMNS.count(",") + 1
_CHANGING = COLUMNS.split(", ")[4:]
_REPLACE = (
    " ON CONFLICT (subject, owner, space) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _CHANGING)
    + " WHERE excluded.time_us >= job_order.time_us"
)
_INSERT = {
    rows: f"INSERT INTO job_order ({COLUMNS}) VALUES "  # noqa: S608  # no value is in the text
    + ", ".join([f"({', '.join('?' * _COUNT)})"] * rows)
    + _REPLACE
    for rows in ROWS_A_STATEMENT
}
_FACETS_AT, _FACETS = 9, len(Facets._fields)


class JobOrderStore:
    """The file, and the one connection that writes to it. One thread at a time may use it.

    Raises `apsw.Error` where the disk does not do its work.
    """

    def __init__(self, folder: Path, instance: str) -> None:
        self.path = folder / FILE_NAME
        self._instance = instance
        self._connection: apsw.Connection | None = None

    def open(self) -> dict[str, int]:
        """Open the file and return how far in each topic it reaches; begin anew what is not ours or damaged."""
        try:
            return self._open()
        except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError):
            return self.begin_anew()

    def _open(self) -> dict[str, int]:
        self._connection = connection = _connect(self.path)
        version = connection.execute("PRAGMA user_version").get
        instance = connection.execute("SELECT instance FROM about").get if version == FORMAT else None
        if instance != self._instance:
            return self.begin_anew()
        positions: Any = connection.execute("SELECT topic, next FROM position").fetchall()
        return dict(positions)

    def begin_anew(self) -> dict[str, int]:
        """Throw the file away and begin an empty one."""
        self.close()
        for ending in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(FILE_NAME + ending).unlink(missing_ok=True)
        self._connection = connection = _connect(self.path)
        with connection:
            connection.execute(SCHEMA)
            connection.execute("INSERT INTO about VALUES (?)", (self._instance,))
        return {}

    def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None

    def take(self, sightings: Sequence[Sighting], positions: Mapping[str, int]) -> None:
        """Add what was read, and how far that was, in one transaction."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("The store is not open.")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._write(connection, sightings, positions)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    def _write(self, connection: apsw.Connection, sightings: Sequence[Sighting], positions: Mapping[str, int]) -> None:
        values: list[Any] = []
        for sighting in fold(_first_copies(connection, sightings)):
            values += _flat(row_of(sighting))
        done = 0
        for rows in ROWS_A_STATEMENT:
            while len(values) - done >= rows * _COUNT:
                connection.execute(_INSERT[rows], values[done : done + rows * _COUNT])
                done += rows * _COUNT
        connection.executemany("REPLACE INTO position VALUES (?, ?)", list(positions.items()))


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_MS)
        for pragma in (
            "page_size = 8192",
            "journal_mode = WAL",
            # What a crash of the machine takes away is read again from the log.
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {WAL_PAGES}",
            f"cache_size = -{CACHE_KIB}",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close(True)
        raise
    return connection


def _first_copies(connection: apsw.Connection, sightings: Sequence[Sighting]) -> Iterator[Sighting]:
    """Leave out what was published before under the same source and id, and remember what is new."""
    new = _remember(connection, [sighting.event_number for sighting in sightings if sighting.is_published])
    for sighting in sightings:
        if not sighting.is_published:
            yield sighting
        elif sighting.event_number in new:
            new.discard(sighting.event_number)
            yield sighting


def _remember(connection: apsw.Connection, numbers: Sequence[int]) -> set[Any]:
    """Note events as seen; return those that were not."""
    if not numbers:
        return set()
    places = ", ".join(["(?)"] * len(numbers))
    sql = f"INSERT INTO seen VALUES {places} ON CONFLICT DO NOTHING RETURNING event_number"  # noqa: S608
    return {number for (number,) in connection.execute(sql, numbers).fetchall()}


def _flat(row: Row) -> list[Any]:
    return [*row[:_FACETS_AT], *row.facets, row.data]


def _row(values: Sequence[Any]) -> Row:
    facets = Facets(*values[_FACETS_AT : _FACETS_AT + _FACETS])
    return Row._make((*values[:_FACETS_AT], facets, values[-1]))


class JobOrderReading:
    """A connection that only reads. One thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._connection.set_busy_timeout(BUSY_MS)
        self._connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def one(self, subject: str, owner: str | None, sight: Sight) -> list[JobOrder]:
        """Return the orders with an id that the reader may see, by owner."""
        rows = self._rows("subject = ? AND ? IN (owner, '')", (subject, owner or ""))
        owners = sorted({row.owner for row in rows})
        orders = [combine([row for row in rows if row.owner == found], sight) for found in owners]
        return [order for order in orders if order is not None]

    def page(self, sight: Sight, filters: Filters, after: Place | None, limit: int) -> tuple[list[JobOrder], bool]:
        """Return the next orders, newest first recorded first, and whether there are more."""
        found: list[JobOrder] = []
        if not sight.spaces:
            return found, False
        # One transaction: what is listed and what is shown are of the same instant.
        with self._connection, contextlib.closing(self._matching(sight, filters, after)) as orders:
            for order in orders:
                if len(found) == limit:
                    return found, True
                found.append(order)
        return found, False

    def _matching(self, sight: Sight, filters: Filters, after: Place | None) -> Generator[JobOrder, None, None]:
        last: Place | None = None
        with contextlib.closing(keys_of(self._connection, sight, filters, after)) as keys:
            for place in keys:
                if place == last:
                    continue
                last = place
                rows = self._rows("subject = ? AND owner = ?", (place.subject, place.owner))
                order = combine(rows, sight)
                # A thing seen in several places is listed at the first of them, and only there.
                if order is not None and order.first_ms == place.first_ms and order.matches(filters):
                    yield order

    def _rows(self, condition: str, values: Sequence[Any]) -> list[Row]:
        sql = f"SELECT {COLUMNS} FROM job_order INDEXED BY thing WHERE {condition}"  # noqa: S608  # fixed texts
        return [_row(values) for values in self._connection.execute(sql, values).fetchall()]
