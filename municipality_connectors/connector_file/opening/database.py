"""Kinds `sql` and `outbox`."""

from typing import TYPE_CHECKING

from municipality_connectors.connector_file.model import OutboxSource, SqlSource
from municipality_connectors.connector_file.opening.opening import Opened, Opening
from municipality_connectors.mapping.plan import Plan

if TYPE_CHECKING:
    from sqlalchemy import URL

_NO_FIELDS = "Skriv, hvilke kolonner felterne læses fra."


def open_tables(source: SqlSource, opening: Opening) -> Opened:
    """Return what opens the tables."""
    # SQLAlchemy takes a third of a second to import, which a look at a spreadsheet need not wait for.
    from municipality_connectors.sources import sql  # noqa: PLC0415

    wanted = []
    for entry in opening.entries:
        publish = entry.publish
        entry.check_fields(_NO_FIELDS)
        if (publish.table is None) == (publish.query is None):
            entry.fault("Skriv enten table eller query.")
        if publish.changed_since is not None:
            entry.check_only_changed()
        wanted.append(sql.Wanted(entry.plan, publish.table, publish.query, publish.changed_since, publish.overlap))
    url = _url(source, opening, writable=False)
    return Opened(lambda: sql.SqlTables(url, wanted))


def open_outbox(source: OutboxSource, opening: Opening) -> Opened:
    """Return what opens the outbox tables."""
    from municipality_connectors.sources import outbox_table  # noqa: PLC0415  # as above

    # Rows are struck out for all who want them at once: several descriptions of one table read it together.
    together: dict[tuple[str, str, str | None, str | None], list[Plan]] = {}
    for entry in opening.entries:
        publish = entry.publish
        entry.check_fields(_NO_FIELDS)
        entry.check_only_changed()
        if publish.table is None or publish.sequence is None:
            entry.fault("En outbox skal have table og sequence.")
        if publish.payload is not None:
            entry.check_paths()
        key = (publish.table or "", publish.sequence or "", publish.sent, publish.payload)
        together.setdefault(key, []).append(entry.plan)
    tables = [key[0] for key in together]
    if len(set(tables)) < len(tables):
        opening.fault("En outbox-tabel skal have samme sequence, sent og payload, hver gang den nævnes.", "publish")
    wanted = [outbox_table.WantedOutbox(tuple(plans), *key) for key, plans in together.items()]
    url = _url(source, opening, writable=True)
    return Opened(lambda: outbox_table.OutboxTables(url, wanted))


def _url(source: SqlSource, opening: Opening, *, writable: bool) -> "URL":
    from municipality_connectors.sources import sql  # noqa: PLC0415  # as above

    password = opening.secret(source.password_file, "source", "password-file")
    try:
        return sql.database_url(source.url, password, opening.folder, writable=writable)
    except ValueError as error:
        opening.fault(str(error), "source", "url")
        # With a fault nothing is opened.
        return sql.database_url("sqlite:///", None, opening.folder)
