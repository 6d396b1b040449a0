"""From the `[[deliver]]` of a connector file to the deliveries that run: one function for each kind of place."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from municipality_connectors.connector_file.fields import FileFault
from municipality_connectors.connector_file.model import Deliver
from municipality_connectors.connector_file.secret_files import read_secret
from municipality_connectors.delivering.delivery import Delivery
from municipality_connectors.delivering.sinks import ENVELOPE, KEY, FolderSink, SheetSink, Sink
from municipality_connectors.mapping.sheet_types import SheetType, sheet_type
from municipality_connectors.state.delivered import Delivered
from schemas.identifiers import EventName

Open = Callable[[Delivered], Sink]
_NEEDED = {"sql": ("url", "table", "columns"), "excel": ("path",), "csv": ("path",), "json": ("path",)}
_BELONG_TO = {
    "url": ("sql",), "password_file": ("sql",), "table": ("sql",), "columns": ("sql",),
    "path": ("excel", "csv", "json"), "format": ("json",),
}  # fmt: skip
_SAME_FILE = (
    "Der leveres til samme fil som i [[deliver]] nr. {}, og hver ville slette den andens rækker. Vælg en anden fil."
)
DIGEST_CHARACTERS = 12
"""Enough to tell a file's deliveries apart, and short enough to be read in the list of subscriptions."""


def deliveries_of(
    connector: str, written: list[Deliver], folder: Path, faults: list[FileFault]
) -> tuple[Delivery, ...]:
    """Return a file's deliveries. What is wrong is added to `faults`."""
    found: list[Delivery] = []
    first: dict[str, int] = {}
    files: dict[Path, int] = {}
    for number, one in enumerate(written, 1):
        place = ("deliver", str(number))
        sheet = sheet_type(EventName(one.type))
        before = len(faults)
        faults += [
            FileFault((*place, name.replace("_", "-")), f"Skal skrives, når der leveres til {one.to}.")
            for name in _NEEDED[one.to] if getattr(one, name) is None
        ]  # fmt: skip
        faults += [
            FileFault((*place, name.replace("_", "-")), f"Bruges ikke, når der leveres til {one.to}.")
            for name, kinds in _BELONG_TO.items() if name in one.model_fields_set and one.to not in kinds
        ]  # fmt: skip
        name = _identity(one)
        if first.setdefault(name, number) != number:
            faults.append(FileFault(place, _same(one, first[name])))
        if one.to in ("excel", "csv") and one.path is not None:
            path = (folder / one.path).resolve()
            if files.setdefault(path, number) != number:
                faults.append(FileFault((*place, "path"), _SAME_FILE.format(files[path])))
        if len(faults) > before:
            continue
        sink = _opened(one, sheet, folder, place, faults)
        alliances = None if one.alliances is None else tuple(one.alliances)
        found.append(Delivery(f"{connector} {name}", (sheet.name.type,), alliances, one.start, sink))
    return tuple(found)


def _identity(one: Deliver) -> str:
    """Return what a delivery is known by: its name, else what it brings and where, wherever it stands."""
    if one.name is not None:
        return one.name
    parts = (one.to, one.type, one.path or one.url or "", one.table or "")
    return sha256("\0".join(parts).encode()).hexdigest()[:DIGEST_CHARACTERS]


def _same(one: Deliver, number: int) -> str:
    if one.name is not None:
        return f"Leverancen hedder det samme som [[deliver]] nr. {number}. Giv den et andet navn i name."
    return (
        f"Der leveres det samme til samme sted som [[deliver]] nr. {number}. Slet den ene; skal begge være der, fx fra "
        "hver sin alliance, så giv dem hver sit navn med name."
    )


def _opened(one: Deliver, sheet: SheetType, folder: Path, place: tuple[str, ...], faults: list[FileFault]) -> Open:
    path = folder / (one.path or "")
    if one.to == "sql":
        return _sql(one, sheet, folder, place, faults)
    if one.to == "json":
        form = one.format or "event"
        if form != "event" and sheet.name is not EventName.JOB_ORDER:
            faults.append(FileFault((*place, "format"), f"{form} findes kun for job-order."))
        return lambda _: FolderSink(path, form, sheet)
    ending = ".xlsx" if one.to == "excel" else ".csv"
    if path.suffix.lower() != ending:
        faults.append(FileFault((*place, "path"), f"Filens navn skal ende på {ending}."))
    return lambda delivered: SheetSink(path, sheet, delivered)


def _sql(one: Deliver, sheet: SheetType, folder: Path, place: tuple[str, ...], faults: list[FileFault]) -> Open:
    from municipality_connectors.delivering.sql_sink import SqlSink  # noqa: PLC0415  # slow to import
    from municipality_connectors.sources.sql import database_url  # noqa: PLC0415  # as above

    password = read_secret(folder, one.password_file, (*place, "password-file"), faults)
    columns = one.columns or {}
    known = {*ENVELOPE, *(column.key for column in sheet.columns)}
    unknown = [ours for ours in columns.values() if ours not in known]
    if unknown:
        message = f"Kendes ikke: {', '.join(unknown)}. Kan være {', '.join(ENVELOPE)} og felterne i {sheet.name}."
        faults.append(FileFault((*place, "columns"), message))
    lacking = [part for part in KEY if part not in columns.values()]
    if lacking:
        message = f"En række kendes på {', '.join(KEY)}: skriv kolonner til {', '.join(lacking)}."
        faults.append(FileFault((*place, "columns"), message))
    try:
        url = database_url(one.url or "", password, folder, writable=True)
    except ValueError as error:
        faults.append(FileFault((*place, "url"), str(error)))
        return lambda _: FolderSink(folder, "event", sheet)
    return lambda _: SqlSink(url, one.table or "", columns, sheet)
