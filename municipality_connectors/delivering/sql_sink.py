"""Shared things in a SQL table of theirs. Apart from the other sinks, since SQLAlchemy is slow to import."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import URL, Connection, and_, column, insert, table, update
from sqlalchemy.exc import SQLAlchemyError

from municipality_connectors.delivering.sinks import KEY, key_of
from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import SheetType
from municipality_connectors.sources.sql import open_engine
from municipality_connectors.sources.sql_errors import error_of
from schemas.identifiers import TYPE_PREFIX


class SqlSink:
    """A table of theirs: a row for each thing, brought up to date.

    columns: theirs to ours, which is a field's key or one of `ENVELOPE`.
    """

    gathers = False

    def __init__(self, url: URL, name: str, columns: Mapping[str, str], sheet: SheetType) -> None:
        self._url, self._name, self._columns, self._sheet = url, name, columns, sheet
        schema, _, bare = name.rpartition(".")
        self._table = table(bare, *(column(theirs) for theirs in columns), schema=schema or None)

    def put(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Bring the table up to date in one transaction. Raises `SourceError`."""
        try:
            with open_engine(self._url).begin() as connection:
                for event in events:
                    self._upsert(connection, event)
        except SQLAlchemyError as error:
            raise error_of(error, self._name) from None

    def finish(self) -> None:
        """Do nothing more: each `put` is a transaction."""

    def _upsert(self, connection: Connection, event: Mapping[str, Any]) -> None:
        """Change the row, or make it: in two steps that every database knows."""
        shown = self._shown(event)
        row = {theirs: shown.get(ours) for theirs, ours in self._columns.items()}
        ours = {ours: theirs for theirs, ours in self._columns.items()}
        which = and_(*(self._table.columns[ours[part]] == shown[part] for part in KEY))
        if connection.execute(update(self._table).where(which).values(row)).rowcount == 0:
            connection.execute(insert(self._table).values(row))

    def _shown(self, event: Mapping[str, Any]) -> dict[str, Any]:
        cells = zip(self._sheet.columns, show_row(self._sheet, event["data"]), strict=True)
        shown: dict[str, Any] = {column.key: cell for column, cell in cells}
        owner, subject, alliance = key_of(event)
        return shown | {
            "owner": owner, "subject": subject, "alliance": alliance, "type": event["type"].removeprefix(TYPE_PREFIX),
            "time": event["time"], "event": orjson.dumps(event).decode(),
        }  # fmt: skip
