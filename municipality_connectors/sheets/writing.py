"""Write our sheets: a workbook or a CSV file from things' `data`. The same bytes each time."""

import csv
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from io import BytesIO, StringIO
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from municipality_connectors.mapping.codes import Municipality, municipality_names
from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import Column, SheetType
from municipality_connectors.tables import Cell

GUIDE, LISTS = "Vejledning", "Lister"
"""Worksheets beside the rows: how to fill them in, and what the drop-down lists take their values from."""

FIXED_TIME = datetime(2026, 1, 1)  # noqa: DTZ001  # a workbook's own properties have no time zone
LIST_CHARACTERS_MAX = 255
"""As long may a drop-down list be that stands in the cell's own rule."""

PREPARED_ROWS = 1_000
"""How far down the drop-down lists reach."""

_REQUIRED = PatternFill("solid", start_color="FF1F4E79")
_OPTIONAL = PatternFill("solid", start_color="FF5B7F9F")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for (section 2.2): one such character, and no program opens the workbook."""

_NO_TEXT = re.compile(f"{_NO_XML.pattern}|[\x7f-\x9f]")
"""What a CSV file is better off without: the other control characters, too."""

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""What a program may take for a formula's beginning (OWASP's page on CSV injection)."""

_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")


def workbook_bytes(sheet: SheetType, things: Iterable[Mapping[str, Any]]) -> bytes:
    """Return an .xlsx with one thing a row, a page of guidance, and drop-down lists."""
    workbook = Workbook()
    workbook.properties.creator = "Kommunebro"
    workbook.properties.created = FIXED_TIME
    page = workbook.worksheets[0]
    page.title = sheet.worksheet
    _write_header(page, sheet.columns)
    for number, data in enumerate(things, 2):
        for place, (cell, column) in enumerate(zip(show_row(sheet, data), sheet.columns, strict=True), 1):
            _write_cell(page, number, place, cell, column)
    _write_guide(workbook.create_sheet(GUIDE), sheet)
    _write_lists(workbook.create_sheet(LISTS))
    _offer_choices(page, sheet.columns)
    saved = BytesIO()
    workbook.save(saved)
    return stable(saved.getvalue())


def _write_header(page: Worksheet, columns: Sequence[Column]) -> None:
    page.freeze_panes = "B2"
    page.row_dimensions[1].height = 32
    for place, column in enumerate(columns, 1):
        cell = page.cell(1, place, column.title)
        cell.font = Font(bold=True, color="FFFFFFFF")
        cell.fill = _REQUIRED if column.required else _OPTIONAL
        cell.alignment = Alignment(wrap_text=True, vertical="center")
        dimension = page.column_dimensions[get_column_letter(place)]
        dimension.width = 44 if column.wide else max(14, min(26, len(column.title) + 4))
        # The whole column, so that Excel leaves what is typed into new rows alone: 2-9 is no date here.
        dimension.number_format = column.kind.excel_format
    page.auto_filter.ref = f"A1:{get_column_letter(len(columns))}1"


def _write_cell(page: Worksheet, row: int, place: int, value: Cell, column: Column) -> None:
    if value is None:
        return
    cell = page.cell(row, place)
    cell.value = _cleaned(value) if isinstance(value, str) else value  # type: ignore[assignment]  # what `show` gives, Excel takes
    cell.number_format = column.kind.excel_format
    cell.alignment = Alignment(vertical="top", wrap_text=column.wide)
    if isinstance(value, str):
        # A text is never a formula, whatever it begins with.
        cell.data_type = "s"


def _write_guide(page: Worksheet, sheet: SheetType) -> None:
    page.append(["Kolonne", "Skal udfyldes", "Sådan udfyldes den"])
    for cell in page[1]:
        cell.font = Font(bold=True)
    for column in sheet.columns:
        page.append([column.title, "Udfyldes selv" if column.fills else "Ja" if column.required else "", column.hint])
    page.column_dimensions["A"].width, page.column_dimensions["B"].width, page.column_dimensions["C"].width = (
        34,
        16,
        110,
    )
    page.freeze_panes = "A2"


def _write_lists(page: Worksheet) -> None:
    page.append(["Kommuner"])
    for name in municipality_names():
        page.append([name])
    page.column_dimensions["A"].width = 24


def _offer_choices(page: Worksheet, columns: Sequence[Column]) -> None:
    municipalities = f"{LISTS}!$A$2:$A${len(municipality_names()) + 1}"
    for place, column in enumerate(columns, 1):
        if type(column.kind) is Municipality:
            formula = municipalities
        elif column.kind.choices and len(",".join(column.kind.choices)) <= LIST_CHARACTERS_MAX - 2:
            formula = f'"{",".join(column.kind.choices)}"'
        else:
            continue
        # A warning, no prohibition: codes and other spellings are understood, too.
        rule = DataValidation("list", formula1=formula, allow_blank=True, errorStyle="warning", showErrorMessage=True)
        rule.error, rule.errorTitle = "Værdien står ikke på listen.", column.title[:32]
        letter = get_column_letter(place)
        rule.add(f"{letter}2:{letter}{PREPARED_ROWS}")
        page.add_data_validation(rule)


def stable(raw: bytes) -> bytes:
    """Return the same workbook without the time at which it was written."""
    result = BytesIO()
    with zipfile.ZipFile(BytesIO(raw)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = _MODIFIED.sub(rb"\g<1>" + f"{FIXED_TIME.isoformat()}Z".encode(), content)
            member = zipfile.ZipInfo(name, FIXED_TIME.timetuple()[:6])
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 0
            new.writestr(member, content)
    return result.getvalue()


def csv_bytes(
    sheet: SheetType, things: Iterable[Mapping[str, Any]], *, encoding: str = "cp1252", delimiter: str = ";"
) -> bytes:
    """Return a CSV file with one thing a row, as Excel in Denmark writes it unless told otherwise."""
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow([column.title for column in sheet.columns])
    for data in things:
        writer.writerow([csv_field(cell) for cell in show_row(sheet, data)])
    return text.getvalue().encode(encoding)


def workbook_table(title: str, titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return an .xlsx with a plain table. A text is a text, whatever it begins with."""
    workbook = Workbook(write_only=True)
    workbook.properties.creator, workbook.properties.created = "Kommunebro", FIXED_TIME
    page = workbook.create_sheet(title)
    for row in (titles, *rows):
        page.append([_text_cell(page, value) if isinstance(value, str) else value for value in row])
    saved = BytesIO()
    workbook.save(saved)
    return stable(saved.getvalue())


def _text_cell(page: Any, value: str) -> Any:
    cell: Any = WriteOnlyCell(page, _cleaned(value))
    cell.data_type = "s"
    return cell


def _cleaned(text: str) -> str:
    return _NO_XML.sub("", text)


def csv_table(title: str, titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:  # noqa: ARG001  # as above
    """Return a CSV file with a plain table, in UTF-8 with a mark by which Excel knows it."""
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(titles)
    writer.writerows([csv_field(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def csv_field(cell: Cell) -> str:
    """Return a cell as a field: dates and decimals as in Denmark, and nothing that a program takes for a formula."""
    if isinstance(cell, datetime):
        return cell.strftime("%d-%m-%Y %H:%M:%S" if cell.second else "%d-%m-%Y %H:%M")
    if isinstance(cell, date):
        return cell.strftime("%d-%m-%Y")
    if isinstance(cell, int | float):
        return str(cell).replace(".", ",")
    text = "" if cell is None else _NO_TEXT.sub("", str(cell))
    return f"'{text}" if text[:1] in _FORMULA_SIGNS else text
