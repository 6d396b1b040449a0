"""The systems that the sample municipalities have: a spreadsheet, a CSV file, and systems that speak HTTP."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from openpyxl import Workbook

from exchange_gateway.demo.day import COPENHAGEN, Happening
from municipality_connectors.cells import plain
from municipality_connectors.client import GatewayClient
from municipality_connectors.mapping import show_row
from municipality_connectors.publishing import publish_files
from municipality_connectors.sheet_file import Cell
from municipality_connectors.sheet_types import CHANGED_TITLE, SheetType, sheet_type
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

    def __init__(self, client: GatewayClient) -> None:
        self._client = client

    def register(self, happening: Happening) -> None:
        """Send the event, and return when it is durable."""
        self._client.publish([happening.as_event()])


class SheetSystem:
    """A file that a small job centre keeps by hand, published with `kommunebro publish`."""

    def __init__(self, folder: Path, first: Happening, ending: str, client: GatewayClient, registry: Registry) -> None:
        """first: what is registered first in it; it tells whose it is, and which of our sheets."""
        folder.mkdir(exist_ok=True)
        self._participant, self._system, self._registry = first.participant, first.system, registry
        self._sheet: SheetType = sheet_type(first.name)
        self.path = folder / f"{self._sheet.file_name}{ending}"
        self.state = folder / STATE
        self._client = client
        self._rows: dict[str, tuple[Cell, ...]] = {}

    def register(self, happening: Happening) -> None:
        """Write the row, or change it, save the file and publish it."""
        changed = happening.time.astimezone(COPENHAGEN).replace(tzinfo=None, microsecond=0)
        self._rows[happening.thing_id] = (*show_row(self._sheet, happening.data), changed)
        titles = [column.title for column in self._sheet.columns] + [CHANGED_TITLE]
        write = _write_csv if self.path.suffix == ".csv" else _write_workbook
        write(self.path, self._sheet.worksheet, titles, self._rows.values())
        report = publish_files(
            [self.path], client=self._client, participant=self._participant, system=self._system,
            state_folder=self.state, registry=self._registry,
        )  # fmt: skip
        if report.exit_status:
            raise Refused(f"The demo's own sheet {self.path.name} was not taken: {report.as_json()}")


def _write_workbook(path: Path, worksheet: str, titles: list[str], rows: Iterable[tuple[Cell, ...]]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None  # noqa: S101  # a new workbook has one
    sheet.title = worksheet
    sheet.append(titles)
    for row in rows:
        sheet.append(list[Any](row))
    sheet.freeze_panes = "B2"
    book.save(path)


def _write_csv(path: Path, _worksheet: str, titles: list[str], rows: Iterable[tuple[Cell, ...]]) -> None:
    """Write what Excel in Denmark writes: semicolons and cp1252."""
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(titles)
        writer.writerows([["" if cell is None else plain(cell) for cell in row] for row in rows])
