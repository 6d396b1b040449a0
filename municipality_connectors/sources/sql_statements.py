"""The SQL that is asked of a database, put together by SQLAlchemy Core: each system gets its own spelling. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Select,
    TextClause,
    and_,
    bindparam,
    column,
    delete,
    func,
    or_,
    quoted_name,
    select,
    table,
    text,
    update,
)
from sqlalchemy.sql.dml import Delete, Update
from sqlalchemy.sql.selectable import FromClause


class From(NamedTuple):
    """Where rows are: a table, perhaps in a schema, or a query of the owner's. columns: as the database spells them."""

    table: str | None
    schema: str | None
    query: str | None
    columns: tuple[str, ...]


def relation(source: From) -> FromClause:
    """Return the table or query as something to select from."""
    columns: list[ColumnClause[Any]] = [column(_exactly(name)) for name in source.columns]
    if source.query is not None:
        return text(source.query).columns(*columns).subquery("q")
    assert source.table is not None, source  # noqa: S101  # a source has one of the two
    return table(_exactly(source.table), *columns, schema=_exactly(source.schema) if source.schema else None)


def nothing_of(query: str) -> TextClause:
    """Ask for no row of a query, to learn its columns. query: its owner's own words, as they stand in the file."""
    return text(f"SELECT * FROM ({query}) q WHERE 1=0")  # noqa: S608  # whoever writes the file may read the database


def _exactly(name: str) -> quoted_name:
    """Return a name in just the spelling that the database told: quoted, so that nothing in it means anything."""
    return quoted_name(name, quote=True)


def all_rows(source: From) -> Select[Any]:
    """Ask for every row."""
    return select(*relation(source).columns)


def changed_rows(source: From, changed: str, since: Any) -> Select[Any]:
    """Ask for the rows changed since a time or number, and those of which nothing is known; the oldest change first.

    since: None for all.
    """
    rows = relation(source)
    when = rows.columns[changed]
    statement = select(*rows.columns).order_by(when)
    if since is None:
        return statement
    return statement.where(or_(when >= bindparam("since", since), when.is_(None)))


def waiting_rows(source: From, sequence: str, sent: str | None, after: Any, limit: int) -> Select[Any]:
    """Ask for rows of an outbox table that were not sent, in their order. after: the last number of the page before."""
    rows = relation(source)
    statement = select(*rows.columns).order_by(rows.columns[sequence]).limit(limit)
    if after is not None:
        statement = statement.where(rows.columns[sequence] > bindparam("after", after))
    return statement if sent is None else statement.where(rows.columns[sent].is_(None))


def done_rows(source: From, sequence: str, sent: str | None, numbers: Sequence[Any]) -> Delete | Update:
    """Strike rows out of an outbox table: by the time at which they were sent, or for good.

    numbers: at most 1,000, which Oracle's lists hold; SQL Server takes 2,100 parameters.
    """
    rows = relation(source)
    which: ColumnElement[bool] = rows.columns[sequence].in_(list(numbers))
    if sent is None:
        return delete(rows).where(which)  # type: ignore[arg-type]  # an outbox is a table, never a query
    return update(rows).where(and_(which, rows.columns[sent].is_(None))).values({sent: func.current_timestamp()})  # type: ignore[arg-type]
