"""The systems that the sample municipalities have: a spreadsheet, a CSV file, and systems that speak HTTP."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Protocol

from openpyxl import load_workbook

from exchange_gateway.demo.day import COPENHAGEN, Happening
from kommunebro import Client
from municipality_connectors.mapping.sheet_types import CHANGED_TITLE, SheetType, sheet_type
from municipality_connectors.running.publishing import publish_files
from municipality_connectors.sheets.writing import csv_bytes, workbook_bytes
from schemas.registry import Registry

STATE = "husket"
"""The folder beside a sheet in which is remembered what was sent."""


class Refused(Exception):
    """Kommunebro refused something of the demo's own: a fault of ours."""


class MunicipalSystem(Protocol):
    """What a municipality registers in."""

    def register(self, happening: Happening) -> None:
        """Take something down and see to it that Kommunebro hears of it."""


class HttpSystem:
    """A system with an interface: it sends events itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def register(self, happening: Happening) -> None:
        """Send the event, and return when it is durable."""
        self._client.publish([happening.as_event()])


class SheetSystem:
    """A file that a small job centre keeps by hand, published as `kommunebro publish` does."""

    def __init__(self, folder: Path, first: Happening, ending: str, client: Client, registry: Registry) -> None:
        """first: what is registered first in it; it tells whose it is, and which of our sheets."""
        folder.mkdir(exist_ok=True)
        self._participant, self._system, self._registry = first.participant, first.system, registry
        self._sheet: SheetType = sheet_type(first.name)
        self._path = folder / f"{self._sheet.file_name}{ending}"
        self._state = folder / STATE
        self._client = client
        self._rows: dict[str, Happening] = {}

    def register(self, happening: Happening) -> None:
        """Write the row, or change it, save the file and publish it."""
        self._rows[happening.thing_id] = happening
        self._path.write_bytes(self._content(list(self._rows.values())))
        report = publish_files(
            [self._path], client=self._client, participant=self._participant, system=self._system,
            state_folder=self._state, registry=self._registry,
        )  # fmt: skip
        if report.exit_status:
            raise Refused(f"The demo's own sheet {self._path.name} was not taken: {report.as_json()}")

    def _content(self, rows: Sequence[Happening]) -> bytes:
        things = [row.data for row in rows]
        if self._path.suffix == ".csv":
            return csv_bytes(self._sheet, things)
        return _with_times(workbook_bytes(self._sheet, things), rows)


def _with_times(workbook: bytes, rows: Sequence[Happening]) -> bytes:
    """Add the column that says when each row was changed: the sample day lies in the past."""
    book = load_workbook(BytesIO(workbook))
    page = book.worksheets[0]
    place = page.max_column + 1
    page.cell(1, place, CHANGED_TITLE)
    for number, row in enumerate(rows, 2):
        changed = row.time.astimezone(COPENHAGEN).replace(tzinfo=None, microsecond=0)
        page.cell(number, place, changed).number_format = "dd-mm-yyyy hh:mm"
    saved = BytesIO()
    book.save(saved)
    return saved.getvalue()
