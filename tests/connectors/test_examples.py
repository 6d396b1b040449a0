"""The example sheets and their guide: made by the program, and useful as they are."""

from pathlib import Path

import pytest
from openpyxl import load_workbook

from municipality_connectors.mapping.sheet_types import SheetType, all_sheet_types
from municipality_connectors.running.publishing import validate_files
from municipality_connectors.sheets.make_example_sheets import (
    GUIDE,
    SHEETS_FOLDER,
    example_things,
    guide_with_tables,
    sheet_files,
)
from municipality_connectors.sheets.writing import csv_bytes, csv_field, workbook_bytes
from schemas.registry import Registry

ROOT = Path(__file__).parents[2]
REGISTRY = Registry.load()


@pytest.mark.parametrize("name", sorted(sheet_files()))
def test_the_committed_examples_are_what_the_program_makes(name: str) -> None:
    """`python -m municipality_connectors.sheets.make_example_sheets` changes no byte."""
    assert (ROOT / SHEETS_FOLDER / name).read_bytes() == sheet_files()[name]


def test_the_guides_tables_are_what_the_program_makes() -> None:
    """Every column of every sheet stands in docs/sheets.md, as it is now."""
    text = (ROOT / GUIDE).read_text("utf-8")
    assert guide_with_tables(text) == text


def test_the_examples_are_valid() -> None:
    """All rows of all files would be taken, with nothing to remark."""
    report = validate_files(sorted((ROOT / SHEETS_FOLDER).glob("*.*")), registry=REGISTRY)
    assert (report.refusals, report.notices, report.exit_status) == ([], [], 0)
    assert (report.rows, report.valid, report.unchanged) == (90, 30, 60)


@pytest.mark.parametrize("sheet", all_sheet_types(), ids=lambda sheet: sheet.worksheet)
def test_a_workbook_helps_whoever_fills_it_in(sheet: SheetType) -> None:
    """Lists to choose from, the header in sight, columns that Excel leaves alone, and a page of guidance."""
    workbook = load_workbook(ROOT / SHEETS_FOLDER / f"{sheet.file_name}.xlsx")
    page = workbook[sheet.worksheet]
    assert workbook.sheetnames == [sheet.worksheet, "Vejledning", "Lister"]
    assert page.freeze_panes == "B2"
    assert [cell.value for cell in page[1]] == [column.title for column in sheet.columns]
    assert page.column_dimensions["A"].number_format == "@"
    choices = sum(1 for column in sheet.columns if column.kind.choices)
    assert page.data_validations.count >= choices
    told = {row[0].value: row[2].value for row in workbook["Vejledning"].iter_rows(min_row=2)}
    assert {column.title for column in sheet.columns} == told.keys()


@pytest.mark.parametrize("text", ["=1+1", "+45 00 00 11 04", "-x", "@x", "\t=1+1", "\r=1+1"])
def test_no_text_becomes_a_formula(text: str) -> None:
    """Neither in the workbook nor in the CSV file, whatever somebody wrote as a title."""
    sheet = all_sheet_types()[0]
    thing = example_things(sheet)[0] | {"title": text}
    assert csv_field(text) == f"'{text}"
    assert f"'{text}" in csv_bytes(sheet, [thing]).decode("cp1252")
    assert b"<f>" not in workbook_bytes(sheet, [thing])


def test_a_workbook_is_the_same_bytes_each_time() -> None:
    """No time of writing in it."""
    sheet = all_sheet_types()[0]
    assert workbook_bytes(sheet, example_things(sheet)) == workbook_bytes(sheet, example_things(sheet))
