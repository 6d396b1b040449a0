"""Read a worksheet's rows: those that look as spreadsheet programs write them by a pattern, all else by the XML parser.

A pattern takes a quarter to two fifths of the parser's time. It is no parser: it takes a row only where a document
can hold nothing else, and gives the parser whatever it does not take and all that is around, so what is wrong with a
file is found as before. A property test holds that both find the same.
"""

import codecs
import re
from collections.abc import Iterator
from typing import IO, Any
from xml.sax.saxutils import unescape

from municipality_connectors.sources.worksheet_cells import Meaning, ReadRow, Rows
from municipality_connectors.sources.worksheet_xml import CHUNK_BYTES, UnusableXml, columns

WAITING_CHARACTERS_MAX = 1024 * 1024
"""What may wait for the end of its row; the parser takes what is longer, bit by bit."""

_UTF_8 = re.compile(
    rb'(?:\xef\xbb\xbf)?(?:<\?xml version="1\.0"(?: encoding="(?:UTF|utf)-8")?(?: standalone="(?:yes|no)")?\s*\?>)?'
    rb"\s*<\w"
)
_ATTRIBUTES = r'(?:\s+[\w:.-]+="[^"<&]*")*'
_ROW = re.compile(rf'<row r="([0-9]{{1,7}})"{_ATTRIBUTES}>')
_ROW_ENDS = "</row>"
_CELL = re.compile(
    r'<c r="([A-Z]{1,3})[0-9]+"(?: s="([0-9]{1,9})")?(?: t="(s|n|b|e|str|inlineStr)")?(?:/>|>'
    rf"(?:(<f){_ATTRIBUTES}(?:/>|>[^<]*</f>))?"
    r'(?:<v(?: xml:space="preserve")?>([^<]*)</v>|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>)?</c>)'
)
_PARTS = 7
"""What `split` gives for each cell: what stands before it, and the pattern's six groups."""

_OTHER_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)")
_QUOTES = {"&quot;": '"', "&apos;": "'"}
_OUT_OF_THE_ORDINARY = ("<!", "<?", "]]>", "\ufffe", "\uffff")
_CONTROL = bytes({*range(0x20)} - {*b"\t\n"})
"""Where one of these stands, a row may be none (in a comment, say), or mean something else, or be wrong."""

_NONE: frozenset[int] = frozenset()


def read_rows(stream: IO[bytes], meaning: Meaning, *, columns_max: int, last_row: int) -> Iterator[ReadRow]:
    """Iterate over a worksheet's rows. Raises `UnusableXml`."""
    rows = Rows(meaning, columns_max, last_row)
    reader = _Reader(rows)
    while chunk := stream.read(CHUNK_BYTES // 4):
        reader.feed(chunk, final=False)
        yield from rows.taken()
    reader.feed(b"", final=True)
    yield from rows.taken()


class _Reader:
    """Gives a worksheet to the parser, but for its usual rows."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns = columns()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._waiting = ""
        self._begins = self._is_usual = True

    def feed(self, raw: bytes, *, final: bool) -> None:
        """Read some bytes. Raises `UnusableXml`."""
        prologue = 0
        if self._begins:
            begin = _UTF_8.match(raw)
            self._begins, self._is_usual, prologue = False, begin is not None, begin.end() if begin else 0
        if not self._is_usual:
            self._rows.feed(raw, final=final)
            return
        try:
            text = self._waiting + self._decoder.decode(raw, final)
        except UnicodeDecodeError as error:
            raise UnusableXml(str(error)) from None
        # A pattern for all of these takes as long as reading the rows.
        is_ordinary = not any(text.find(mark, prologue) >= 0 for mark in _OUT_OF_THE_ORDINARY)
        if not is_ordinary or len(raw.translate(None, _CONTROL)) < len(raw):
            self._is_usual = False
            self._rows.feed(text.encode() + self._decoder.getstate()[0], final=final)
            return
        self._waiting = self._shortened(self._without_usual_rows(text))
        if final:
            self._rows.feed(self._waiting.encode(), final=True)

    def _without_usual_rows(self, text: str) -> str:
        """Take each usual row, and give the parser what stands before it. Returns what is left."""
        given = looked_at = 0
        while (end := text.find(_ROW_ENDS, looked_at)) >= 0:
            begin = text.rfind("<row", looked_at, end)
            looked_at = end + len(_ROW_ENDS)
            tag = _ROW.match(text, begin) if begin >= 0 else None
            cells = self._cells(text[tag.end() : end]) if tag is not None else None
            if tag is None or cells is None:
                continue
            self._give(text[given:begin])
            given = begin
            if self._rows.are_next:
                self._rows.take(int(tag[1]), *cells)
                given = looked_at
        return text[given:]

    def _give(self, text: str) -> None:
        """Give the parser a text that ends where a tag begins: so it never waits for the rest of one."""
        if text and not text.isspace():
            self._rows.feed(text.encode(), final=False)

    def _shortened(self, rest: str) -> str:
        """Give the parser what has waited too long. Returns what still waits."""
        if len(rest) <= WAITING_CHARACTERS_MAX:
            return rest
        tag = rest.rfind("<")
        self._give(rest[:tag])
        return rest[tag:]

    def _cells(self, body: str) -> tuple[dict[int, Any], frozenset[int]] | None:
        """Return what stands in a row, and which columns are computed; None for a row that is not usual."""
        parts = _CELL.split(body)
        between = "".join(parts[::_PARTS])
        if (between and not between.isspace()) or ("&" in body and _OTHER_ENTITY.search(body)):
            return None
        cells: dict[int, Any] = {}
        computed: set[int] = set()
        value, numbers, columns_max = self._rows.value, self._columns, self._rows.columns_max
        for letters, style, kind, formula, plain, inline in zip(*[iter(_without(parts))] * (_PARTS - 1), strict=True):
            column = numbers.get(letters)
            if column is None:
                return None
            if formula:
                computed.add(column)
            text = plain or inline
            if text and column < columns_max:
                cells[column] = value(kind or "n", style, unescape(text, _QUOTES) if "&" in text else text)
        return cells, frozenset(computed) if computed else _NONE


def _without(parts: list[str]) -> list[str]:
    """Leave out what stands between the cells."""
    del parts[::_PARTS]
    return parts
