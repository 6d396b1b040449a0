"""Workbooks: what is read from them, what is refused before it is unpacked, and cells filled in without harm."""

# ruff: noqa: DTZ001  # Excel's cells have no time zone

import struct
import zipfile
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from municipality_connectors.sources import archive, excel
from municipality_connectors.sources.excel import ExcelFile
from municipality_connectors.sources.worksheet_xml import UnusableXml, fill_cells
from municipality_connectors.tables import BadCell, Row, SourceError, SourceLocked
from tests.connectors.sheets import write_rows

XML = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def rewritten(path: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> Path:
    """Change parts of a workbook's archive, and add more."""
    old = zipfile.ZipFile(BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in more.items():
            new.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


STRINGS = (
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>Id</t></si><si><t>1</t></si></sst>'
)
OVERRIDE = (
    b'<Override PartName="/xl/sharedStrings.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)


def as_excel_writes(path: Path) -> Path:
    """Write a sheet with one column and one row, its texts kept apart, as Excel itself does."""
    write_rows(path, ["x"], [["x"]])

    def shared(name: str, content: bytes) -> bytes:
        for place, reference in enumerate((b"A1", b"A2")):
            cell = b'<c r="' + reference + b'" t="s"><v>' + str(place).encode() + b"</v></c>"
            content = content.replace(_cell_of(content, reference), cell)
        return content.replace(b"</Types>", OVERRIDE)

    return rewritten(path, shared, xl__sharedStrings_dot_xml=XML + STRINGS)


def sheet_xml(path: Path) -> bytes:
    return zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")


def read(path: Path, name: str = "Jobordrer") -> list[Row]:
    return list(ExcelFile(path).worksheet(name).rows)


def refusal(path: Path) -> SourceError:
    with pytest.raises(SourceError) as raised:
        read(path)
    return raised.value


def test_rows_are_numbered_as_excel_shows_them(tmp_path: Path) -> None:
    """Empty rows between are no rows, but they count; the header is not a row."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", "A"], [None, "  "], [None, None], ["2", "B"]])
    worksheet = ExcelFile(path).worksheet("Jobordrer")
    assert worksheet.header == ("Id", "Titel")
    assert [(row.number, row.cells) for row in worksheet.rows] == [(2, ("1", "A")), (5, ("2", "B"))]


def test_cells_keep_their_types(tmp_path: Path) -> None:
    """Numbers, dates, yes and no come as Excel has them."""
    path = write_rows(tmp_path / "a.xlsx", ["a", "b", "c", "d"], [[1, 2.5, datetime(2026, 11, 23, 8, 5), True]])
    assert read(path)[0].cells == (1, 2.5, datetime(2026, 11, 23, 8, 5), True)


def test_the_size_that_a_sheet_states_is_not_believed(tmp_path: Path) -> None:
    """Some programs write a wrong dimension; the rows are what counts."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", "A"]])
    rewritten(path, lambda _, content: content.replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1"'))
    assert read(path)[0].cells == ("1", "A")


def test_a_formula_counts_by_its_last_value(tmp_path: Path) -> None:
    """What Excel computed is what its owner sees; the row knows which cells are formulas."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", "x"]])
    formula = b'<c r="B2" t="str"><f>"Smed"</f><v>Smed</v></c>'
    rewritten(
        path, lambda name, content: content.replace(_cell_of(content, b"B2"), formula) if "sheet1" in name else content
    )
    assert read(path) == [Row(2, ("1", "Smed"), frozenset({1}))]


def test_a_formula_without_a_value_is_told(tmp_path: Path) -> None:
    """A sheet that a program wrote and Excel never computed."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", '="Smed"']])
    cell = read(path)[0].cells[1]
    assert isinstance(cell, BadCell)
    assert "ikke er regnet ud" in cell.message


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?"])
def test_a_formulas_error_is_told(tmp_path: Path, error: str) -> None:
    """The cell holds no value, and says which error it shows."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", "x"]])
    cell = f'<c r="B2" t="e"><f>1/0</f><v>{error}</v></c>'.encode()
    rewritten(
        path, lambda name, content: content.replace(_cell_of(content, b"B2"), cell) if "sheet1" in name else content
    )
    bad = read(path)[0].cells[1]
    assert isinstance(bad, BadCell)
    assert error in bad.message


def _cell_of(xml: bytes, reference: bytes) -> bytes:
    begin = xml.find(b'<c r="' + reference + b'"')
    return xml[begin : xml.index(b"</c>", begin) + 4] if begin >= 0 else b"\0"


def test_merged_cells_are_mentioned(tmp_path: Path) -> None:
    """Only one of them has the value, which surprises people."""
    workbook = Workbook()
    page = workbook.worksheets[0]
    page.title = "Jobordrer"
    page.append(["Id", "Titel"])
    page.append(["1", "A"])
    page.merge_cells("B2:B3")
    workbook.save(tmp_path / "a.xlsx")
    assert "flettede" in ExcelFile(tmp_path / "a.xlsx").worksheet("Jobordrer").remarks[0]


def test_a_workbook_that_counts_from_1904_says_so(tmp_path: Path) -> None:
    """The numbers in it stand for other days."""
    workbook = Workbook()
    workbook.epoch = CALENDAR_MAC_1904
    workbook.worksheets[0].append(["Id"])
    workbook.save(tmp_path / "a.xlsx")
    assert ExcelFile(tmp_path / "a.xlsx").worksheet("Sheet").days_shift == 1462


# --- what is refused before or while it is read -------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "problem", "words"),
    [
        ("a.xlsx", b"", "unreadable", "ikke læses som en Excel-projektmappe"),
        ("a.xlsx", b"<html>Log ind</html>", "unreadable", "ikke læses som en Excel-projektmappe"),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 200, "unreadable", "ikke læses som en Excel-projektmappe"),
        ("a.xlsx", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "encrypted", "adgangskode"),
        ("a.xls", b"", "wrong-format", ".xls-format"),
        ("a.xlsm", b"", "macro-sheet", "makroer"),
        ("a.xlsb", b"", "wrong-format", "binær"),
        ("a.ods", b"", "wrong-format", "OpenDocument"),
        ("a.pdf", b"", "wrong-format", ".xlsx, .csv, .json"),
    ],
)
def test_what_is_no_workbook_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, problem: str, words: str
) -> None:
    """Old formats, locked and broken files: each says what to do."""
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(path)
    assert (error.problem, words in error.message) == (problem, True)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    """A name that was mistyped."""
    assert refusal(tmp_path / "findes-ikke.xlsx").problem == "missing-file"
    (tmp_path / "mappe.xlsx").mkdir()
    assert "mappe" in refusal(tmp_path / "mappe.xlsx").message


def test_a_file_of_100_mb_is_refused_unread(tmp_path: Path) -> None:
    """By its size, before a byte of it is in memory."""
    path = tmp_path / "stor.xlsx"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert "100 MB" in refusal(path).message


def test_a_zip_bomb_is_refused_unpacked(tmp_path: Path) -> None:
    """A thousand bytes for one are no sheet."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    rewritten(path, lambda name, content: content + b" " * 40_000_000 if "sheet1" in name else content)
    assert path.stat().st_size < 100_000
    error = refusal(path)
    assert (error.problem, "zip-bombe" in error.message) == ("too-large", True)


def test_a_bomb_of_many_members_or_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit has its own message; lowered here, so that the test stays small."""
    path = as_excel_writes(tmp_path / "a.xlsx")
    assert read(path)[0].cells == ("1",)
    for limit in ("MEMBERS_MAX", "UNPACKED_BYTES_MAX", "TEXTS_BYTES_MAX"):
        with monkeypatch.context() as lowered:
            lowered.setattr(archive, limit, 3)
            assert refusal(path).problem == "too-large"


@pytest.mark.parametrize("part", ["xl/styles.xml", "xl/workbook.xml", "xl/theme/theme1.xml"])
def test_a_part_that_holds_no_rows_is_never_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Styles of 40 MB take 776 MB to be read. The rows themselves may be as many as ever; lowered here."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1" * 60_000]])
    monkeypatch.setattr(archive, "PART_BYTES_MAX", 20_000)
    assert len(read(path)) == 1
    rewritten(path, lambda name, content: content + b" " * 20_000 if name == part else content)
    error = refusal(path)
    assert (error.problem, part in error.message) == ("too-large", True)


def test_more_rows_or_columns_than_are_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the row at which it was too much; columns beyond the limit are not looked at."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"], ["2"], ["3"]])
    monkeypatch.setattr(excel, "ROWS_MAX", 2)
    assert (refusal(path).problem, refusal(path).row) == ("too-many-rows", 4)
    wide = write_rows(tmp_path / "b.xlsx", [f"k{number}" for number in range(300)], [["x"] * 300])
    assert len(ExcelFile(wide).worksheet("Jobordrer").header) == 200


def test_rows_far_down_do_not_stop_the_reader(tmp_path: Path) -> None:
    """A row that claims to be the billionth is not waited for."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    far = b'<row r="999999999"><c r="A999999999"><v>1</v></c></row></sheetData>'
    rewritten(path, lambda name, content: content.replace(b"</sheetData>", far) if "sheet1" in name else content)
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    "entity",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/sharedStrings.xml"])
def test_xml_entities_are_refused(tmp_path: Path, entity: bytes, part: str) -> None:
    """Neither a billion laughs nor a look at our files."""
    path = as_excel_writes(tmp_path / "a.xlsx")

    def hostile(name: str, content: bytes) -> bytes:
        body = content.partition(b"?>")[2] if content.startswith(b"<?xml") else content
        return XML + entity + body.replace(b"<t>1</t>", b"<t>&a;</t>") if name == part else content

    assert refusal(rewritten(path, hostile)).problem == "unreadable"


def test_macros_are_refused_whatever_the_ending(tmp_path: Path) -> None:
    """A renamed .xlsm is one all the same."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    rewritten(path, lambda _, content: content, xl__vbaProject_dot_bin=b"\xd0\xcf")
    assert refusal(path).problem == "macro-sheet"


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml", "[Content_Types].xml"]
)
@pytest.mark.parametrize("content", [b"", b"<", b"<a/>", b"\xff\xfe\x00", XML + b"<worksheet><sheetData><row><c><v>"])
def test_damaged_parts_are_one_message(tmp_path: Path, part: str, content: bytes) -> None:
    """Whatever the parsers make of it: the file is refused, or read where the damage does not matter."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    rewritten(path, lambda name, old: content if name == part else old)
    try:
        read(path)
    except SourceError as error:
        assert error.problem == "unreadable"  # noqa: PT017  # not every damage matters


def test_a_lying_size_in_the_archive_is_no_way_around_the_limits(tmp_path: Path) -> None:
    """The directory says ten bytes where there are a million: reading stops, the file is refused."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    raw = bytearray(path.read_bytes())
    place = raw.rfind(b"xl/worksheets/sheet1.xml") - 46 + 24
    raw[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(raw)
    assert refusal(path).problem == "unreadable"


# --- filling cells ------------------------------------------------------------------------------


def test_filling_a_cell_leaves_all_else_as_it_was(tmp_path: Path) -> None:
    """Every other part of the workbook byte by byte, and in the sheet everything but the cell."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [[None, "A"], ["2", "B"]])
    rewritten(
        path, lambda _, content: content, xl__media__image1_dot_png=b"\x89PNG", xl__charts__chart1_dot_xml=b"<c/>"
    )
    before = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    ExcelFile(path).fill("Jobordrer", {(2, 0): "JO-1 & <2>"})
    after = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["xl/worksheets/sheet1.xml"]
    assert list(after) == list(before)
    new = b'<c r="A2" t="inlineStr"><is><t>JO-1 &amp; &lt;2&gt;</t></is></c>'
    assert after[changed[0]].replace(new, b"") == before[changed[0]].replace(b'<c r="A2" />', b"")
    assert [row.cells for row in read(path)] == [("JO-1 & <2>", "A"), ("2", "B")]


def test_a_filled_cell_keeps_its_format_and_formulas_keep_their_values(tmp_path: Path) -> None:
    """What a library's saving would lose."""
    path = write_rows(tmp_path / "a.xlsx", ["Titel", "Id"], [["A", "x"]])
    cells = b'<c r="A2" t="str"><f>"Smed"</f><v>Smed</v></c><c r="B2" s="0"/>'

    def prepared(name: str, content: bytes) -> bytes:
        begin, end = content.find(b'<c r="A2"'), content.rfind(b"</row>")
        return content[:begin] + cells + content[end:] if "sheet1" in name else content

    rewritten(path, prepared)
    ExcelFile(path).fill("Jobordrer", {(2, 1): "JO-1"})
    assert b'<f>"Smed"</f><v>Smed</v>' in sheet_xml(path)
    assert b'<c r="B2" s="0" t="inlineStr">' in sheet_xml(path)
    assert read(path)[0].cells == ("Smed", "JO-1")


@pytest.mark.parametrize(
    ("row", "filled"),
    [
        ('<row r="2"><c r="A2"/><c r="C2"/></row>', '<row r="2"><c r="A2"/>{B2}<c r="C2"/></row>'),
        ('<row r="2"><c r="A2"/></row>', '<row r="2"><c r="A2"/>{B2}</row>'),
        ('<row r="2"><c r="C2"/></row>', '<row r="2">{B2}<c r="C2"/></row>'),
        ("<row><c/><c/></row>", "<row><c/>{B2}</row>"),
        ('<row r="2" ht="12>"><c r="B2" s="3"><v>1</v></c></row>', '<row r="2" ht="12>">{B2 s=3}</row>'),
        ("<row r='2'><c r='B2' s='3' />\n</row>", "<row r='2'>{B2 s=3}\n</row>"),
        ('<row r="2"><c r="B2" t="inlineStr"><is><t> </t></is></c ></row>', '<row r="2">{B2}</row>'),
    ],
)
@pytest.mark.parametrize("prefix", ["", "x:"])
def test_a_cell_is_put_where_it_belongs(row: str, filled: str, prefix: str) -> None:
    """Before its right neighbour, in place of an empty one, with or without references and prefixes."""

    def document(text: str) -> bytes:
        text = f"<sheetData><row r='1'><c r='A1'/></row>{text}</sheetData><other><c/></other>"
        if prefix:
            text = text.replace("</", "\0").replace("<", f"<{prefix}").replace("\0", f"</{prefix}")
            return f'<x:worksheet xmlns:x="urn:x">{text}</x:worksheet>'.encode()
        return f"<worksheet>{text}</worksheet>".encode()

    def cell(style: str) -> str:
        return f'<c r="B2"{style} t="inlineStr"><is><t>id</t></is></c>'

    expected = filled.replace("{B2}", cell("")).replace("{B2 s=3}", cell(' s="3"'))
    assert fill_cells(document(row), {(2, 1): "id"}) == document(expected)


@pytest.mark.parametrize(
    "xml",
    [
        b"<worksheet><sheetData/></worksheet>",
        b'<worksheet><sheetData><row r="2"/></sheetData></worksheet>',
        b"<worksheet><sheetData>",
        b"<!DOCTYPE a><worksheet/>",
        "<worksheet/>".encode("utf-16"),
    ],
)
def test_a_sheet_that_cannot_be_filled_is_left_alone(xml: bytes) -> None:
    """Rather no id than a damaged sheet."""
    with pytest.raises(UnusableXml):
        fill_cells(xml, {(2, 0): "id"})


@pytest.mark.parametrize("lock", ["~$a.xlsx", ".~lock.a.xlsx#"])
def test_a_sheet_that_is_open_is_not_written(tmp_path: Path, lock: str) -> None:
    """Excel and LibreOffice leave a file beside it; the message names it, and the sheet stays as it was."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [[None, "A"]])
    before = path.read_bytes()
    (tmp_path / lock).touch()
    file = ExcelFile(path)
    with pytest.raises(SourceLocked, match="Luk arket") as raised:
        file.fill("Jobordrer", {(2, 0): "JO-1"})
    assert lock in raised.value.message
    assert path.read_bytes() == before


def test_a_sheet_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    """Its owner saved it between our reading and our writing."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [[None, "A"]])
    file = ExcelFile(path)
    write_rows(path, ["Id", "Titel"], [[None, "B"]])
    with pytest.raises(SourceLocked, match="blev ændret"):
        file.fill("Jobordrer", {(2, 0): "JO-1"})
    assert read(path)[0].cells == (None, "B")
    assert [name.name for name in tmp_path.iterdir()] == ["a.xlsx"]


def test_a_signed_workbook_is_not_written(tmp_path: Path) -> None:
    """It would break the signature."""
    path = write_rows(tmp_path / "a.xlsx", ["Id"], [["1"]])
    rewritten(path, lambda _, content: content, _xmlsignatures__sig1_dot_xml=b"<s/>")
    with pytest.raises(SourceLocked, match="underskrevet"):
        ExcelFile(path).fill("Jobordrer", {(2, 0): "JO-1"})


def test_a_replaced_file_keeps_its_rights_and_a_link_stays_a_link(tmp_path: Path) -> None:
    """Whoever may read the sheet may go on doing so."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [[None, "A"]])
    path.chmod(0o640)
    link = tmp_path / "genvej.xlsx"
    link.symlink_to(path)
    ExcelFile(link).fill("Jobordrer", {(2, 0): "JO-1"})
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert load_workbook(path)["Jobordrer"]["A2"].value == "JO-1"


def test_a_second_filling_works_on_the_result_of_the_first(tmp_path: Path) -> None:
    """Several worksheets of one workbook are filled one after another."""
    path = write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [[None, "A"], [None, "B"]])
    file = ExcelFile(path)
    file.fill("Jobordrer", {(2, 0): "JO-1"})
    file.fill("Jobordrer", {(3, 0): "JO-2"})
    assert [row.cells[0] for row in read(path)] == ["JO-1", "JO-2"]
