"""Texts as partners write them, in the sheets that are delivered: what XML or a CSV file cannot hold is left out."""

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from municipality_connectors.mapping.sheet_types import all_sheet_types
from municipality_connectors.sheets.make_example_sheets import example_things
from municipality_connectors.sheets.writing import csv_field, csv_table, workbook_bytes, workbook_table

ODD = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x00\x07\x1b\x7f\x85\ufffe\uffff\ud800\t\r\n"))


@given(ODD)
def test_a_table_can_be_read_again_whatever_a_text_holds(text: str) -> None:
    """As a workbook and as CSV: control characters, what is no character, and half of a pair."""
    page = load_workbook(BytesIO(workbook_table("Ark", ["Titel", "Id"], [[text, "JO-1"]]))).worksheets[0]
    assert page["B2"].value == "JO-1"
    content = csv_table("Ark", ["Titel", "Id"], [[text, "JO-1"]]).decode("utf-8-sig")
    assert list(csv.reader(StringIO(content, newline=""), delimiter=";"))[1][1] == "JO-1"
    assert "\x07" not in content


@pytest.mark.parametrize("odd", ["\x07", "\x1b", "\x00", "\ufffe", "\uffff", "\ud800"])
def test_what_no_sheet_can_hold_is_left_out_and_the_rest_stays(odd: str) -> None:
    """In the title of an order; a tab and a line break stay."""
    title = f"Smed{odd} til\tDragør\nHavn"
    page = load_workbook(BytesIO(workbook_table("Ark", ["Titel"], [[title]]))).worksheets[0]
    assert page["A2"].value == csv_field(title) == "Smed til\tDragør\nHavn"
    sheet = all_sheet_types()[0]
    example = load_workbook(BytesIO(workbook_bytes(sheet, [example_things(sheet)[0] | {"title": title}]))).worksheets[0]
    assert "Smed til\tDragør\nHavn" in [cell.value for cell in example[2]]


def test_no_text_becomes_a_formula_by_what_is_left_out_before_it() -> None:
    """It is looked at as it stands in the file."""
    assert csv_field("\x07=1+1") == "'=1+1"
