"""A database as a source: tables or queries that are read whole, or from where they have changed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from municipality_connectors.mapping.plan import Plan, folded_title
from municipality_connectors.sources import sql_statements as statements
from municipality_connectors.sources.change_times import OVERLAP_S, before, is_ahead, later
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.sources.sql_errors import error_of, source_error
from municipality_connectors.sources.values import cell_of
from municipality_connectors.tables import Row, SourceError, Table

PAGE_ROWS = 1_000
CONNECT_TIMEOUT_S = 10

_DRIVERS = {
    "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mssql": "mssql+pyodbc",
    "sqlserver": "mssql+pyodbc", "oracle": "oracle+oracledb", "sqlite": "sqlite",
}  # fmt: skip
_EXTRAS = {"mssql": "sqlserver", "oracle": "oracle"}


@dataclass(frozen=True)
class Wanted:
    """One table or query, and what becomes of its rows. changed: the column that tells changes; None to read all."""

    plan: Plan
    table: str | None = None
    query: str | None = None
    changed: str | None = None
    overlap_s: int = OVERLAP_S

    @property
    def place(self) -> str:
        """The name by which it is remembered and told."""
        return self.table or f"query: {' '.join((self.query or '').split())[:60]}"


def database_url(written: str, password: str | None, folder: Path, *, writable: bool = False) -> URL:
    """Return a database's address. folder: where a relative path to a SQLite file begins.

    Raises `ValueError` with what is wrong, in Danish.
    """
    try:
        url = make_url(written)
    except ArgumentError:
        raise ValueError("Skriv adressen som postgresql://bruger@server:5432/base eller sqlite:///fil.db.") from None
    system = url.get_backend_name()
    if "+" not in url.drivername:
        if system not in _DRIVERS:
            raise ValueError(f"Kender ikke {system}. Kan være {', '.join(dict.fromkeys(_DRIVERS))}.")
        url = url.set(drivername=_DRIVERS[system])
    if url.password is not None:
        raise ValueError("Skriv ikke adgangskoden i adressen; læg den i en fil, og nævn den i password-file.")
    if url.get_backend_name() == "sqlite":
        path = (folder / (url.database or "")).resolve()
        mode = "rw" if writable else "ro"
        return url.set(database=f"file:{path.as_posix()}", query={"mode": mode, "uri": "true"})
    return url if password is None else url.set(password=password)


def where_is(url: URL) -> str:
    """Return a database's address as its owner is told of it: without the user."""
    return url.set(username=None, password=None, query={}).render_as_string().partition("//")[2]


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Connect. Raises `SourceError`, once for the whole database, where it cannot be had or goes away."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise error_of(error, where_is(engine.url)) from None


def open_engine(url: URL) -> Engine:
    """Return an engine that keeps no connection. Raises `SourceError` where the driver is not installed."""
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S} if url.get_backend_name() == "postgresql" else {}
    try:
        return create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError):
        extra = _EXTRAS.get(url.get_backend_name(), url.get_backend_name())
        message = f"Driveren til databasen er ikke installeret: pip install 'kommunebro[{extra}]'."
        raise SourceError("missing-driver", message, place=where_is(url)) from None


class SqlTables:
    """The tables of one database. clock_s: seconds since 1970, ahead of which no change is taken for the newest."""

    def __init__(self, url: URL, wanted: Sequence[Wanted], *, clock_s: Callable[[], float] = time.time) -> None:
        self._url, self._wanted, self._clock_s = url, wanted, clock_s

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:
        """Iterate over the tables. Raises `SourceError` where the database cannot be had."""
        engine = open_engine(self._url)
        for wanted in self._wanted:
            with connected(engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)  # noqa: PLW2901
                yield SqlPortion(connection, wanted, mark_of(wanted.plan.mark_key(wanted.place)), self._clock_s)


class SqlPortion(Portion):
    """One table or query. Its mark is the newest change that was seen."""

    def __init__(
        self, connection: Connection, wanted: Wanted, mark: bytes | None, clock_s: Callable[[], float]
    ) -> None:
        self.place, self.marked_by = wanted.place, wanted.plan.mark_key(wanted.place)
        self.whole = wanted.changed is None
        self._connection, self._wanted, self._clock_s = connection, wanted, clock_s
        newest = _read_mark(mark) if wanted.changed is not None else None
        self._newest = None if is_ahead(newest, clock_s()) else newest

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Read the table. Raises `SourceError`."""
        try:
            source = self._found()
            if self._wanted.changed is None:
                statement = statements.all_rows(source)
            else:
                changed = spelled(self._wanted.changed, source.columns, self.place)
                since = before(self._newest, self._wanted.overlap_s)
                statement = statements.changed_rows(source, changed, since)
            result = self._connection.execution_options(yield_per=PAGE_ROWS).execute(statement)
            place = None if self._wanted.changed is None else source.columns.index(changed)
            rows = self._rows(result, place)
            yield self._wanted.plan, Table(None, source.columns, rows, lettered=False, may_be_empty=True)
        except SQLAlchemyError as error:
            raise error_of(error, self.place) from None

    def _found(self) -> statements.From:
        wanted = self._wanted
        return found(self._connection, wanted.table, wanted.query, wanted.plan, self.place, [wanted.changed])

    def _rows(self, result: Any, changed_at: int | None) -> Iterator[Row]:
        try:
            for number, row in enumerate(result, 1):
                if changed_at is not None:
                    self._newest = later(self._newest, row[changed_at], self._clock_s())
                yield Row(number, tuple(map(cell_of, row)))
        except DBAPIError as error:
            raise error_of(error, self.place) from None

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # it tells how far it was read
        """Return the newest change that was seen."""
        return _write_mark(self._newest)


def found(
    connection: Connection,
    table: str | None,
    query: str | None,
    plan: Plan | None,
    place: str,
    others: Sequence[str | None],
) -> statements.From:
    """Look up how the database spells a table's columns, and choose those that are asked for; all without a plan.

    Raises `SourceError`.
    """
    if query is not None:
        with connection.execute(statements.nothing_of(query)) as result:
            return statements.From(None, None, query, tuple(result.keys()))
    schema, _, name = str(table).rpartition(".")
    try:
        columns = [str(row["name"]) for row in inspect(connection).get_columns(name, schema or None)]
    except NoSuchTableError:
        raise source_error("no such table", place) from None
    names = [*(columns if plan is None else plan.columns), *(other for other in others if other is not None)]
    spelt = tuple(dict.fromkeys(spelled(name, columns, place) for name in names))
    return statements.From(name, schema or None, None, spelt)


def spelled(name: str, columns: Sequence[str], place: str) -> str:
    """Return how the database spells a column. Raises `SourceError` for one that is not there."""
    for column in columns:
        if column == name:
            return column
    for column in columns:
        if folded_title(column) == folded_title(name):
            return column
    there = ", ".join(columns[:40])
    raise SourceError(
        "missing-column",
        f"Kolonnen »{name}« findes ikke. Der er: {there}. Ret forbindelsesfilen, eller se, om tabellen er ændret.",
        column=name, place=place,
    )  # fmt: skip


def _write_mark(newest: Any) -> bytes:
    if isinstance(newest, datetime):
        return orjson.dumps({"time": newest.isoformat()})
    if isinstance(newest, date):
        return orjson.dumps({"date": newest.isoformat()})
    if isinstance(newest, Decimal):
        return orjson.dumps({"number": str(newest)})
    return orjson.dumps({"value": newest if isinstance(newest, str | int | float) else None})


def _read_mark(mark: bytes | None) -> Any:
    read: dict[str, Any] = orjson.loads(mark) if mark else {}
    if "time" in read:
        return datetime.fromisoformat(read["time"])
    if "date" in read:
        return date.fromisoformat(read["date"])
    if "number" in read:
        return Decimal(read["number"])
    return read.get("value")
