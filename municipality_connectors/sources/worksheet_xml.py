"""Look into a worksheet's XML, and change single cells in it, without touching the rest.

Saving a workbook through a library loses what the library doesn't know: pictures, forms, the values
that Excel last computed. So the few cells that are filled in are spliced into the XML, byte by byte.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

from municipality_connectors.tables import column_letter

CHUNK_BYTES = 1024 * 1024
COLUMNS = 16_384
"""Excel's own last column."""

_START_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_MERGED_WORD = b"mergeCell"
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s")


class UnusableXml(ValueError):
    """The worksheet's XML is not what a spreadsheet program writes."""


class _CellSpan(NamedTuple):
    column: int
    begin: int
    end: int
    style: str | None


@dataclass(slots=True)
class _RowSpan:
    """Where a row's cells stand, in bytes. end: where its end tag begins; -1 for a row without one."""

    prefix: str
    begin: int
    end: int = -1
    cells: list[_CellSpan] = field(default_factory=list)


def has_merged_cells(stream: IO[bytes]) -> bool:
    """Say, by a quick look, whether a worksheet has merged cells."""
    tail = b""
    while chunk := stream.read(CHUNK_BYTES):
        window = tail + chunk
        # A search for plain bytes takes a tenth of the pattern's time, and most worksheets have no such word at all.
        if _MERGED_WORD in window and _MERGED.search(window) is not None:
            return True
        tail = window[-64:]
    return False


def fill_cells(xml: bytes, values: Mapping[tuple[int, int], str]) -> bytes:
    """Return the worksheet with texts in the cells (row number, column from 0). Raises `UnusableXml`."""
    scanner = _Scanner(xml, {row for row, _ in values})
    scanner.feed(xml, final=True)
    splices = sorted(_splice(scanner.rows.get(row), row, column, text) for (row, column), text in values.items())
    parts, position = [], 0
    for begin, end, new in splices:
        parts += [xml[position:begin], new]
        position = end
    result = b"".join([*parts, xml[position:]])
    _Scanner().feed(result, final=True)
    return result


def _splice(row: _RowSpan | None, number: int, column: int, text: str) -> tuple[int, int, bytes]:
    if row is None or row.end < 0:
        raise UnusableXml(f"Row {number} is not in the worksheet.")
    for cell in row.cells:
        if cell.column == column:
            return cell.begin, cell.end, _cell(row.prefix, number, column, cell.style, text)
        if cell.column > column:
            return cell.begin, cell.begin, _cell(row.prefix, number, column, None, text)
    return row.end, row.end, _cell(row.prefix, number, column, None, text)


def _cell(prefix: str, row: int, column: int, style: str | None, text: str) -> bytes:
    styled = f' s="{style}"' if style is not None and style.isdigit() else ""
    reference = f"{column_letter(column)}{row}"
    content = f"<{prefix}is><{prefix}t>{escape(text)}</{prefix}t></{prefix}is>"
    return f'<{prefix}c r="{reference}"{styled} t="inlineStr">{content}</{prefix}c>'.encode()


class SpreadsheetParser:
    """A parser of SpreadsheetML, whatever prefix its names have: what is found is for `_start` and `_end` to see."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, raw: bytes, *, final: bool) -> None:
        """Parse some bytes. Raises `UnusableXml`."""
        try:
            self._parser.Parse(raw, final)
        except expat.ExpatError as error:
            raise UnusableXml(str(error)) from None

    def _doctype(self, *_: object) -> None:
        raise UnusableXml("A workbook's parts have no document type.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


class _Scanner(SpreadsheetParser):
    """Walks through a worksheet once. With `xml` it also notes where the cells of `wanted` rows stand."""

    def __init__(self, xml: bytes | None = None, wanted: Collection[int] = ()) -> None:
        super().__init__()
        if xml is not None and xml[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UnusableXml("The worksheet is not UTF-8.")
        self._xml, self._wanted = xml, wanted
        self.rows: dict[int, _RowSpan] = {}
        self._in_data = False
        self._row = self._column = 0
        self._begin = 0
        self._style: str | None = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        if local == "sheetData":
            self._in_data = True
        elif not self._in_data:
            return
        elif local == "row":
            self._row = _number(attributes.get("r"), self._row + 1)
            self._column = -1
            if self._row in self._wanted:
                self.rows[self._row] = _RowSpan(f"{prefix}:" if prefix else "", self._parser.CurrentByteIndex)
        elif local == "c":
            self._column = column_of(attributes.get("r"), self._column + 1)
            self._begin, self._style = self._parser.CurrentByteIndex, attributes.get("s")

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local == "sheetData":
            self._in_data = False
        elif self._xml is not None and self._in_data and self._row in self._wanted:
            row = self.rows[self._row]
            # For an element without content the parser stands behind its one tag, else before the end tag.
            index = self._parser.CurrentByteIndex
            if local == "c":
                empty = self._tag_end(self._begin)
                end = empty if self._xml[empty - 2 : empty] == b"/>" else self._xml.index(b">", index) + 1
                row.cells.append(_CellSpan(self._column, self._begin, end, self._style))
            elif local == "row" and self._xml[(empty := self._tag_end(row.begin)) - 2 : empty] != b"/>":
                row.end = index

    def _tag_end(self, begin: int) -> int:
        match = _START_TAG.match(self._xml or b"", begin)
        if match is None:
            raise UnusableXml("A tag cannot be read.")
        return match.end()


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and _ROW_NUMBER.fullmatch(text) else otherwise


_ROW_NUMBER = re.compile(r"[0-9]{1,7}")


def column_of(reference: str | None, otherwise: int) -> int:
    """Return the column of a reference such as `AB12`, counted from 0; `otherwise` where there is none."""
    letters = (reference or "").rstrip("0123456789")
    column = columns().get(letters)
    return otherwise if column is None else column


@lru_cache(maxsize=1)
def columns() -> dict[str, int]:
    """Return every column of a worksheet by its letters: a look-up, since a file has millions of references."""
    return {column_letter(column): column for column in range(COLUMNS)}
