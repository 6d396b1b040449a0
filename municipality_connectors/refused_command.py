"""The verbs `connect refused` and `connect send-again`: what the gateway refused, mended by hand and sent again."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape

from municipality_connectors.connecting import store_of
from municipality_connectors.connector_file.loading import Connector
from municipality_connectors.mapping.changes import content_digest
from municipality_connectors.mapping.checking import check_row
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.report import BAD_INPUT, DONE, UNAVAILABLE
from municipality_connectors.running.reading import now_us
from municipality_connectors.state.outbox import Outbox, SetAside
from municipality_connectors.state.store import Store, StoreUnusable, book_of
from schemas.event import format_time
from schemas.identifiers import ID_PROPERTIES, EventName
from schemas.registry import Registry

_NOTHING_REFUSED = "Gatewayen har ikke afvist noget. Hvad forbindelsen selv afviser, viser --dry-run."
_NOT_SET_ASIDE = "Er ikke afvist, eller en nyere tilstand af sagen venter allerede på at blive sendt."


def refused(connector: Connector, *, as_json: bool = False) -> int:
    """List what the gateway refused; the exit status."""
    try:
        with store_of(connector).looking() as store:
            rows = [_as_json(row) for row in _outbox(connector, store).set_aside()]
    except StoreUnusable as error:
        return _unusable(error)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.flush()
        return DONE
    console = Console(stderr=True)
    for row in rows:
        where = " · ".join(str(row[key]) for key in ("place", "sheet", "row") if row[key] is not None)
        console.print(escape(f"{row['number']}: {row['type']} {row['subject']} ({where}): {row['message']}"))
    console.print(escape(f"{len(rows)} afvist." if rows else _NOTHING_REFUSED))
    return DONE


def send_again(connector: Connector, mended: Path | None) -> int:
    """Put what was refused at the end of what waits; the exit status. mended: what `refused --json` printed."""
    console = Console(stderr=True)
    try:
        with store_of(connector).looking() as store:
            outbox = _outbox(connector, store)
            known = {row.state.number: row for row in outbox.set_aside()}
            rows = [_as_json(row) for row in known.values()] if mended is None else _mended(mended)
            registry = Registry.load("warn")
            messages = [_put_again(connector, outbox, known, row, registry) for row in rows]
    except StoreUnusable as error:
        return _unusable(error)
    except ValueError as error:
        console.print(escape(f"{mended}: {error}"))
        return BAD_INPUT
    told = [message for message in messages if message is not None]
    for message in told:
        console.print(escape(message))
    console.print(escape(f"{len(rows) - len(told)} venter på at blive sendt igen ved næste kørsel."))
    return BAD_INPUT if told else DONE


def _outbox(connector: Connector, store: Store) -> Outbox:
    book = book_of(store.database, url=connector.url, source=connector.source_name, gateway=None)
    return Outbox(store.database, book)


def _as_json(row: SetAside) -> dict[str, Any]:
    state = row.state
    return {
        "number": state.number, "type": state.name, "subject": state.subject, "problem": row.problem,
        "message": row.message, "refusedAt": format_time(row.refused_us), "place": state.place.place,
        "sheet": state.place.part, "row": state.place.row, "data": orjson.loads(state.data),
    }  # fmt: skip


def _mended(path: Path) -> list[dict[str, Any]]:
    """Read what a person mended. Raises `ValueError`, in Danish."""
    try:
        rows = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"Filen kan ikke læses ({error.strerror}).") from None
    except orjson.JSONDecodeError as error:
        raise ValueError(f"Filen er ikke JSON (linje {error.lineno}, tegn {error.colno}).") from None
    if isinstance(rows, list) and all(map(_is_mended, rows)):
        return rows
    raise ValueError("Filen er ikke, hvad »connect refused --json« skriver.")


def _is_mended(row: Any) -> bool:
    return isinstance(row, dict) and type(row.get("number")) is int and isinstance(row.get("data"), dict)


def _put_again(
    connector: Connector,
    outbox: Outbox,
    known: Mapping[int, SetAside],
    row: Mapping[str, Any],
    registry: Registry,
) -> str | None:
    """Put one again; what is wrong with it, in Danish. Which thing it is, only what was set aside says."""
    number, data = row["number"], row["data"]
    if number not in known:
        return f"{number}: {_NOT_SET_ASIDE}"
    state = known[number].state
    sheet, identified_by = sheet_type(EventName(state.name)), ID_PROPERTIES[EventName(state.name)]
    if data.get(identified_by) != state.subject:
        return f"{number}: Sagen hedder {state.subject}, så det skal også stå i {identified_by}. Ret resten."
    faults = check_row(registry, connector.participant, sheet, data)
    if faults:
        return f"{number}: " + " ".join(fault.message for fault in faults)
    digest = content_digest(sheet.dataschema, data)
    is_put = outbox.send_again(number, digest, orjson.dumps(data), now_us=now_us())
    return None if is_put else f"{number}: {_NOT_SET_ASIDE}"


def _unusable(error: StoreUnusable) -> int:
    Console(stderr=True).print(escape(str(error)))
    return UNAVAILABLE
