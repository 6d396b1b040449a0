"""A worksheet's rows: the pattern for the usual ones finds what the parser finds, whatever stands between them."""

from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl.utils.datetime import WINDOWS_EPOCH

from municipality_connectors.sources import worksheet_cells, worksheet_rows
from municipality_connectors.sources.worksheet_cells import Meaning, ReadRow
from municipality_connectors.sources.worksheet_rows import read_rows

BEGIN = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="m"><cols/><sheetData>'
END = "</sheetData></worksheet>"
COMMENT = "<!-- from here on all is the parser's -->"
MEANING = Meaning(("Svejser", "Pædagog & Søn", ""), frozenset({3}), frozenset(), WINDOWS_EPOCH)

VALUES = st.sampled_from([
    "1", "45000.5", "2", "9", "1e3", "", " ", "x", "Hjørring", "A &amp; B &lt;c&gt; &quot;d&apos;", "&#230;",
    "&ukendt;", "a&b", "to\nlinjer", "vogn\rretur", "\x02", "]]>", "<![CDATA[3]]>", "<!-- x -->", "<?x y?>", "</row>",
    '<row r="9">', "😀", "\ufffe",
])  # fmt: skip
KINDS = st.sampled_from(["", ' t="n"', ' t="s"', ' t="b"', ' t="str"', ' t="inlineStr"', ' t="e"', ' t="d"', ' t="?"'])
STYLES = st.sampled_from(["", ' s="0"', ' s="3"', ' s="12"', ' s=""', ' s="x"'])
FORMULAS = st.sampled_from([
    "<f>A1+1</f>", '<f t="shared" si="0"/>', '<f t="shared" ref="A1:A9" si="0">A1</f>', '<f\u2003si="0"/>',
    '<f si="0" si="1"/>',
])  # fmt: skip
CONTENTS = st.one_of(
    VALUES.map("<v>{}</v>".format),
    VALUES.map("<is><t>{}</t></is>".format),
    VALUES.map('<is><t xml:space="preserve">{}</t></is>'.format),
    st.tuples(FORMULAS, VALUES).map(lambda both: f"{both[0]}<v>{both[1]}</v>"),
    VALUES.map("<is><r><t>{}</t></r><rPh><t>u</t></rPh><r><t>!</t></r></is>".format),
    st.sampled_from(["<f>A1</f>", "", "<v/>", "<is/>", "<v>1</v><v>2</v>", "<extLst/>", "tekst"]),
)
REFERENCES = st.sampled_from(
    [' r="A1"', ' r="C7"', ' r="AA2"', ' r="XFE1"', ' r="b2"', "", ' r=""', " r='D1'", ' r="D1" r="E1"']
)


@st.composite
def cells(draw: st.DrawFn) -> str:
    before, behind = draw(st.sampled_from([(STYLES, None), (STYLES, None), (None, STYLES), (STYLES, STYLES)]))
    style, style_behind = (draw(styles) if styles is not None else "" for styles in (before, behind))
    tag = f"<c{draw(REFERENCES)}{style}{draw(KINDS)}{style_behind}"
    return draw(st.sampled_from(["", "", "", " ", "\n"])) + (
        f"{tag}/>" if draw(st.booleans()) else f"{tag}>{draw(CONTENTS)}</c>"
    )


ATTRIBUTES = st.sampled_from([
    "", ' r="5"', ' r="5" spans="1:3"', ' r="12345678"', ' r="0"', ' r="x"', ' r="5" ht="15" x14ac:dyDescent="0.25"',
    ' spans="1:3" r="2"', ' r="5" note="a&b"', " r='4'", ' r="5" spans="1" spans="2"', ' r="5" r="6"', ' r="5" 1x="1"',
    ' r="5" -="2"', ' r="5"\u00a0spans="1"', ' r="5"\tspans="1"', ' r="5"spans="1"', ' r="5" spans="1" ',
])  # fmt: skip
ROWS = st.one_of(
    st.tuples(ATTRIBUTES, st.lists(cells(), max_size=4).map("".join)).map(lambda row: f"<row{row[0]}>{row[1]}</row>"),
    ATTRIBUTES.map("<row{}/>".format),
)
BETWEEN = st.sampled_from([
    "", "", "", "", " ", "\n", "tekst", "<!-- -->", '<!-- <row r="3"></row> -->', '<?x <row r="3"></row> ?>',
    "</sheetData>", "<sheetData>", "</row>", '<row r="8">', "<rPh>", "<mergeCells/>", "<", "&",
    '<x:row r="3"><x:c r="A1"><x:v>1</x:v></x:c></x:row>', '<c r="D2"><v>55</v></c>', "<v>", "</v>", '<c r="B1"><v>12',
    "34</v></c>", "<x>", "</x>", "<x a='", "'/>", "<x ", "/>", "</sheet", "Data>", '<row r="9"/>',
])  # fmt: skip


class Stream(BytesIO):
    """Gives what stands before the rows, and then no more than so many bytes at a time."""

    def __init__(self, raw: bytes, at_once: int) -> None:
        super().__init__(raw)
        self._at_once = at_once

    def read(self, size: int | None = -1) -> bytes:
        at_once = self._at_once if self.tell() else max(self._at_once, len(BEGIN))
        return super().read(min(size or 0, at_once))


def found(xml: str | bytes, at_once: int = 2**20) -> list[ReadRow] | None:
    """What is read; None where the file is damaged."""
    stream = Stream(xml.encode() if isinstance(xml, str) else xml, at_once)
    try:
        return list(read_rows(stream, MEANING, columns_max=20, last_row=1_000_000))
    except (worksheet_rows.UnusableXml, ValueError, IndexError):
        return None


@given(st.lists(st.tuples(BETWEEN, ROWS), max_size=5), BETWEEN, st.integers(1, 400))
@example([("", '<row r="2"><c r="A2"><v>1</v></c></row>'), ("", "<row><c><v>2</v></c></row>")], "", 1)
@example([("<rPh>", '<row r="2"><c r="A2"><v>1</v></c></row>')], "</rPh>", 400)
def test_the_pattern_finds_what_the_parser_finds(rows: list[tuple[str, str]], last: str, at_once: int) -> None:
    """After a comment the parser takes all of it, as bytes and in whatever pieces it comes."""
    text = "".join(between + row for between, row in rows) + last
    assert found(BEGIN + text + END, at_once) == found(BEGIN + COMMENT + text + END)


@given(st.data(), st.integers(1, 60))
def test_a_damaged_worksheet_is_found_out_by_both(data: st.DataObject, at_once: int) -> None:
    """Some bytes of a good one are gone or others; no two rows are alike."""
    row = '<row r="{0}"><c r="A{0}" t="s"><v>1</v></c><c r="B{0}" s="3"><v>4500{0}</v></c></row>'
    raw = (BEGIN + "".join(map(row.format, range(1, 4))) + END).encode()
    begin = data.draw(st.integers(len(BEGIN), len(raw)))
    end = data.draw(st.integers(begin, min(begin + 9, len(raw))))
    raw = raw[:begin] + data.draw(st.binary(max_size=6)) + raw[end:]
    assert found(raw, at_once) == found(raw.replace(b"<sheetData>", b"<sheetData>" + COMMENT.encode(), 1))


def test_usual_rows_do_not_reach_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither do those with formulas, or blank cells; what surrounds them does."""
    row = (
        '<row r="{0}" spans="1:5"><c r="A{0}" t="s"><v>1</v></c><c r="B{0}" s="3"/><c r="C{0}" s="3"><v>45000</v></c>'
        '<c r="D{0}" t="str"><f>A1</f><v>x</v></c><c r="E{0}" t="inlineStr"><is><t>S&amp;N</t></is></c></row>'
    )
    parsed: list[bytes] = []
    feed = worksheet_cells.Rows.feed

    def seen(self: Any, raw: bytes, *, final: bool) -> None:
        parsed.append(raw)
        feed(self, raw, final=final)

    monkeypatch.setattr(worksheet_cells.Rows, "feed", seen)
    rows = found(BEGIN + "".join(map(row.format, range(1, 2_000))) + END, 10_000)
    assert rows is not None
    assert b"".join(parsed).decode().replace("<!---->", "") == BEGIN + END
    assert rows[1_998] == ReadRow(
        1_999, {0: "Pædagog & Søn", 2: datetime(2023, 3, 15), 3: "x", 4: "S&N"}, frozenset({3})  # noqa: DTZ001
    )  # fmt: skip


@pytest.mark.parametrize("inside", ['<c r="A1"><v>1</v></c>', "x", "😀"])
def test_a_row_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """What waits for it goes to the parser after a while: many cells, and a text that goes on and on."""
    monkeypatch.setattr(worksheet_rows, "WAITING_CHARACTERS_MAX", 1_000)
    usual = '<row r="1"><c r="A1"><v>1</v></c></row>'
    raw = (BEGIN + usual + '<row r="2"><c r="B2" t="str"><v>' + inside * 5_000).encode()
    reader = worksheet_rows._Reader(worksheet_cells.Rows(MEANING, 20, 1_000))
    for at in range(0, len(raw), 500):
        reader.feed(raw[at : at + 500], final=False)
        assert len(reader._waiting) <= 1_500


def test_rows_far_behind_the_beginning_are_read_by_the_pattern() -> None:
    """As behind many columns' widths."""
    columns = "".join(f'<col min="{number}" max="{number}" width="9"/>' for number in range(2_000))
    begin = BEGIN.replace("<cols/>", f"<cols>{columns}</cols>")
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c></row>' for number in range(1, 100))
    reader = worksheet_rows._Reader(worksheet_cells.Rows(MEANING, 20, 1_000))
    raw = (begin + rows + END).encode()
    for at in range(0, len(raw), 1_000):
        reader.feed(raw[at : at + 1_000], final=False)
    assert reader._is_usual
    assert found(raw, 1_000) == [ReadRow(number, {0: 1}, frozenset()) for number in range(1, 100)]


ELSEWHERE = '<x><row r="9"><c r="A9"><v>n/a</v></c></row></x>'


@pytest.mark.parametrize("begin", [BEGIN, BEGIN.replace("<sheetData>", f"{ELSEWHERE}<sheetData>")])
@pytest.mark.parametrize("end", [END, END.replace("</w", f"{ELSEWHERE}</w")])
def test_what_only_looks_like_a_row_is_none(begin: str, end: str) -> None:
    """Rows stand in one place alone, and cells in rows; what stands elsewhere is not even looked at."""
    row = '<row r="{0}"><c r="A{0}"><v>{0}</v></c></row>'
    stray = '<c r="D2"><v>55</v></c>'
    assert found(begin + row.format(1) + stray + row.format(2) + stray + end) == [
        ReadRow(1, {0: 1}, frozenset()), ReadRow(2, {0: 2}, frozenset()),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_a_worksheet_in_another_encoding_is_read(encoding: str) -> None:
    """By the parser, which knows what its first line says; a mark of UTF-8 is none."""
    text = (
        BEGIN.replace("UTF-8", encoding.removesuffix("-sig"))
        + '<row r="1"><c r="A1" t="str"><v>Ærø</v></c></row>'
        + END
    )
    assert found(text.encode(encoding)) == [ReadRow(1, {0: "Ærø"}, frozenset())]
