"""Sheets for tests: the example rows, changed as a test needs it, written as their owners would."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook

from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import SheetType, sheet_type
from municipality_connectors.report import PublishReport
from municipality_connectors.sheets.make_example_sheets import example_things
from municipality_connectors.sheets.writing import csv_bytes, workbook_bytes
from schemas.identifiers import EventName

JOB_ORDERS = sheet_type(EventName.JOB_ORDER)


def orders(count: int = 3) -> list[dict[str, Any]]:
    """Return the `data` of job orders: the examples, then copies of the first with other ids."""
    things = example_things(JOB_ORDERS)
    while len(things) < count:
        things.append(copy.deepcopy(things[0]) | {"jobOrderId": f"JO-{len(things) + 1001}"})
    return things[:count]


def write_orders(path: Path, things: Sequence[Mapping[str, Any]]) -> Path:
    """Write job orders as a workbook or CSV file, by the path's ending."""
    write = workbook_bytes if path.suffix == ".xlsx" else csv_bytes
    path.write_bytes(write(JOB_ORDERS, things))
    return path


def set_cells(path: Path, values: Mapping[tuple[int, str], Any], worksheet: str = "Jobordrer") -> None:
    """Change cells (row, column's title) of a workbook, as its owner does in Excel."""
    workbook = load_workbook(path)
    page = workbook[worksheet]
    columns = {cell.value: place for place, cell in enumerate(page[1], 1)}
    for (row, title), value in values.items():
        page.cell(row, columns[title]).value = value
    workbook.save(path)


def column_of(path: Path, title: str, worksheet: str = "Jobordrer") -> list[Any]:
    """Return what stands in a column, from row 2 down."""
    page = load_workbook(path)[worksheet]
    columns = {cell.value: place for place, cell in enumerate(page[1], 1)}
    return [page.cell(row, columns[title]).value for row in range(2, page.max_row + 1)]


def write_rows(path: Path, header: Sequence[Any], rows: Sequence[Sequence[Any]], worksheet: str = "Jobordrer") -> Path:
    """Write a bare workbook."""
    workbook = Workbook()
    page = workbook.worksheets[0]
    page.title = worksheet
    page.append(list(header))
    for row in rows:
        page.append(list(row))
    workbook.save(path)
    return path


def header_and_rows(sheet: SheetType, things: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[list[Any]]]:
    """Return a sheet's titles, and things as its rows."""
    return [column.title for column in sheet.columns], [list(show_row(sheet, data)) for data in things]


def messages(report: PublishReport) -> str:
    """Return everything that a report tells its reader, for a look at its words."""
    told = [refusal.message for refusal in report.refusals] + [notice.message for notice in report.notices]
    return "\n".join(told + ([report.failure.message] if report.failure else []))
