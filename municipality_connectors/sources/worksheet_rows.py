"""Read a worksheet's rows: those that look as spreadsheet programs write them by a pattern, all else by the XML parser.

A pattern takes two fifths of the parser's time. It is no parser: it takes a row only between the rows of a document
that holds nothing out of the ordinary, and gives the parser whatever it does not take and all that is around. A
property test holds that it finds what the parser finds.
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

_BEGINNING = re.compile(
    rb'(?:\xef\xbb\xbf)?(?:<\?xml version="1\.0"(?: encoding="(?:UTF|utf)-8")?(?: standalone="(?:yes|no)")?\s*\?>)?'
    rb"\s*(?=<[A-Za-z])"
)
"""Before the first tag of a document in UTF-8."""

# Only what every XML parser takes: one plain space before an attribute, and names of ASCII.
_ROW = re.compile(r'<row r="([0-9]{1,7})"((?: [A-Za-z_][A-Za-z0-9_.:-]*="[^"<&]*")*)>')
_ROW_ENDS = "</row>"
_NAME = re.compile(r' ([A-Za-z_][A-Za-z0-9_.:-]*)="')
_FORMULA = r'<f(?: t="[a-zA-Z]+")?(?: ref="[A-Z0-9:]+")?(?: ca="[01]")?(?: si="[0-9]+")?(?:/>|>[^<]*</f>)'
_CELL = re.compile(
    r'<c r="([A-Z]{1,3})[0-9]+"(?: s="([0-9]{1,9})")?(?: t="(s|n|b|e|str|inlineStr)")?(?: s="([0-9]{1,9})")?(?:/>|>'
    rf"({_FORMULA})?"
    r'(?:<v(?: xml:space="preserve")?>([^<]*)</v>|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>)?</c>)'
)
_PARTS = 8
"""What `split` gives for each cell: what stands before it, and the pattern's seven groups."""

_OTHER_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)")
_QUOTES = {"&quot;": '"', "&apos;": "'"}

_OUT_OF_THE_ORDINARY = ("<!", "<?", "]]>", "\ufffe", "\uffff")
"""Where one of these stands, a row may be none (in a comment, say), or mean something else, or be wrong."""

_CONTROL = bytes({*range(0x20)} - {*b"\t\n"})
"""What no XML may hold, and the carriage return, which a parser makes a line break of."""

_PROBE = "<!---->"
"""A comment, which may stand wherever a row may, and is wrong in the middle of a tag."""


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
        self._has_begun = False
        self._is_usual = True

    def feed(self, raw: bytes, *, final: bool) -> None:
        """Read some bytes. Raises `UnusableXml`."""
        if not self._has_begun:
            raw = self._without_beginning(raw)
        if not self._is_usual:
            self._rows.feed(raw, final=final)
            return
        try:
            text = self._waiting + self._decoder.decode(raw, final)
        except UnicodeDecodeError as error:
            raise UnusableXml(str(error)) from None
        # A pattern for all of these takes as long as reading the rows.
        if len(raw.translate(None, _CONTROL)) < len(raw) or any(mark in text for mark in _OUT_OF_THE_ORDINARY):
            self._leave_to_the_parser(text)
        else:
            self._waiting = self._without_usual_rows(text)
            if len(self._waiting) > WAITING_CHARACTERS_MAX:
                self._leave_to_the_parser(self._waiting)
        if final:
            self._rows.feed(self._waiting.encode() if self._is_usual else b"", final=True)

    def _without_beginning(self, raw: bytes) -> bytes:
        """Give the parser what stands before the first tag. A document of which that is not known is all its own."""
        beginning = _BEGINNING.match(raw)
        self._has_begun, self._is_usual = True, beginning is not None
        if beginning is None:
            return raw
        self._rows.feed(beginning[0], final=False)
        return raw[beginning.end() :]

    def _leave_to_the_parser(self, text: str) -> None:
        self._is_usual = False
        self._rows.feed(text.encode() + self._decoder.getstate()[0], final=False)

    def _without_usual_rows(self, text: str) -> str:
        """Take each usual row, and give the parser what else stands before the last row's end. Returns what is left."""
        given = looked_at = 0
        while (end := text.find(_ROW_ENDS, looked_at)) >= 0:
            begin = text.rfind("<row", looked_at, end)
            looked_at = end + len(_ROW_ENDS)
            tag = _ROW.match(text, begin) if begin >= 0 else None
            parts = _cells_of(text[tag.end() : end]) if tag is not None and _has_each_once(tag[2]) else None
            if tag is None or parts is None:
                continue
            before = text[given:begin]
            if before and not before.isspace():
                self._rows.feed((before + _PROBE).encode(), final=False)
            given = begin
            if self._rows.are_next:
                self._rows.take(int(tag[1]), *self._values(parts))
                given = looked_at
        if given < looked_at:
            self._rows.feed(text[given:looked_at].encode(), final=False)
        return text[looked_at:]

    def _values(self, parts: list[str]) -> tuple[dict[int, Any], frozenset[int]]:
        """Return what stands in a row's cells, and which columns are computed."""
        cells: dict[int, Any] = {}
        computed: set[int] = set()
        value, numbers, columns_max = self._rows.value, self._columns, self._rows.columns_max
        each = [iter(parts)] * (_PARTS - 1)
        for letters, style, kind, style_behind, formula, plain, inline in zip(*each, strict=True):
            column = numbers[letters]
            if formula:
                computed.add(column)
            text = plain or inline
            if text and column < columns_max:
                text = unescape(text, _QUOTES) if "&" in text else text
                cells[column] = value(kind or "n", style or style_behind, text)
        return cells, frozenset(computed)


def _has_each_once(attributes: str) -> bool:
    """Whether the attributes behind a row's number are one of each, which a parser insists on."""
    names = ["r", *_NAME.findall(attributes)]
    return len(names) == len(set(names))


def _cells_of(body: str) -> list[str] | None:
    """Return the seven parts of each cell, one after another; None for a row that is not usual."""
    parts = _CELL.split(body)
    between = "".join(parts[::_PARTS])
    if (between and not between.isspace()) or ("&" in body and _OTHER_ENTITY.search(body)):
        return None
    if any(map(_both, parts[2::_PARTS], parts[4::_PARTS])) or not columns().keys() >= set(parts[1::_PARTS]):
        return None
    del parts[::_PARTS]
    return parts


def _both(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None
