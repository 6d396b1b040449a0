"""Read a worksheet's cells and a workbook's shared texts with the XML parser, chunk by chunk.

A library that builds an object for each cell takes a minute for 100,000 rows; this takes a few seconds, and holds no
more than the rows of one chunk. What a cell's number means (a date, by its style) is still the library's to say.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import IO, Any, NamedTuple

from openpyxl.utils.datetime import from_excel, from_ISO8601

from municipality_connectors.sources.worksheet_xml import CHUNK_BYTES, SpreadsheetParser, UnusableXml, column_of

TEXTS_MAX = 5_000_000
"""Shared texts of one workbook; 100,000 rows of 40 columns have fewer if no two cells were alike."""


DIGITS_MAX = 19
"""A row's number with more digits is none."""


class ReadRow(NamedTuple):
    """One row of the file. cells: values by their column from 0; computed: the columns that hold a formula."""

    number: int
    cells: dict[int, Any]
    computed: frozenset[int]


@dataclass(frozen=True)
class Meaning:
    """What the workbook says of its cells. texts: the shared ones. dates, durations: the styles that show them.

    epoch: the day from which days are counted.
    """

    texts: Sequence[str]
    dates: Collection[int]
    durations: Collection[int]
    epoch: datetime


def read_texts(stream: IO[bytes]) -> list[str]:
    """Return a workbook's shared texts in their order. Raises `UnusableXml`."""
    reader = _Texts()
    while chunk := stream.read(CHUNK_BYTES):
        reader.feed(chunk, final=False)
    reader.feed(b"", final=True)
    return reader.texts


class _Texts(SpreadsheetParser):
    """Reads shared texts: each `si` is one, put together of its `t`, without how it is pronounced (`rPh`)."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._silent = 0

    def _start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        local = name.rpartition(":")[2]
        if local == "si":
            self._parts = []
        elif local == "rPh":
            self._silent += 1
        elif local == "t" and not self._silent:
            self._parser.CharacterDataHandler = self._parts.append

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        if local == "t":
            self._parser.CharacterDataHandler = None
        elif local == "rPh":
            self._silent -= 1
        elif local == "si":
            if len(self.texts) == TEXTS_MAX:
                raise UnusableXml("The workbook has too many texts.")
            self.texts.append("".join(self._parts))


@dataclass
class Rows(SpreadsheetParser):
    """Reads rows. A cell's text is what stands in its `v`, or in the `t` of an inline text."""

    meaning: Meaning
    columns_max: int
    last_row: int
    _taken: list[ReadRow] = field(default_factory=list)
    _cells: dict[int, Any] = field(default_factory=dict)
    _computed: set[int] = field(default_factory=set)
    _row: int = 0
    _in_row: bool = False
    _depth: int = 0
    _depth_of_data: int = 0
    _column: int = -1
    _kind: str = "n"
    _style: str | None = None
    _in_data: bool = False
    _silent: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []

    @property
    def are_next(self) -> bool:
        """Whether the parser stands between two rows, or before the first, or behind the last."""
        return self._in_data and self._depth == self._depth_of_data

    def take(self, number: int, cells: dict[int, Any], computed: frozenset[int]) -> None:
        """Take a row that somebody else has read, where rows are next; it follows those before it."""
        self._row = number
        if number <= self.last_row:
            self._taken.append(ReadRow(number, cells, computed))

    def taken(self) -> list[ReadRow]:
        """Return the rows that were read to their end since the last time."""
        taken, self._taken = self._taken, []
        return taken

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name if ":" not in name else name.rpartition(":")[2]
        if local == "c":
            self._column = column_of(attributes.get("r"), self._column + 1)
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s")
            self._parts = []
        elif local in ("v", "t"):
            if self._in_data and not self._silent:
                self._parser.CharacterDataHandler = self._parts.append
        elif local == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdigit() and len(number) < DIGITS_MAX else self._row + 1
            self._in_row = True
            self._column, self._cells, self._computed = -1, {}, set()
        elif local == "f":
            self._computed.add(self._column)
        elif local == "rPh":
            self._silent += 1
        elif local == "sheetData":
            self._in_data, self._depth_of_data = True, self._depth

    def _end(self, name: str) -> None:
        self._depth -= 1
        local = name if ":" not in name else name.rpartition(":")[2]
        if local in ("v", "t"):
            self._parser.CharacterDataHandler = None
        elif local == "c":
            if self._parts and self._in_row and self._column < self.columns_max:
                self._cells[self._column] = self.value(self._kind, self._style, "".join(self._parts))
        elif local == "row":
            self._in_row = False
            if self._in_data and self._row <= self.last_row:
                self._taken.append(ReadRow(self._row, self._cells, frozenset(self._computed)))
        elif local == "rPh":
            self._silent -= 1
        elif local == "sheetData":
            self._in_data = False

    def value(self, kind: str, style: str | None, text: str) -> Any:
        """Return what a cell holds. kind: its `t`; style: its `s`. Raises `ValueError` and more for a damaged one."""
        if kind == "s":
            return self.meaning.texts[int(text)]
        if kind == "n":
            return self._number(style, text)
        if kind == "b":
            return text.strip() == "1"
        if kind == "d":
            return from_ISO8601(text)  # type: ignore[no-untyped-call]
        return text

    def _number(self, style: str | None, text: str) -> Any:
        number = float(text) if "." in text or "e" in text or "E" in text else int(text)
        if style is not None and style != "0" and int(style) in self.meaning.dates:
            try:
                return _moment(number, self.meaning.epoch, int(style) in self.meaning.durations)
            except (OverflowError, ValueError):
                return "#VALUE!"
        return number


@lru_cache(maxsize=4096)
def _moment(number: float, epoch: datetime, duration: bool) -> Any:
    """Return the date or time of a number. A sheet names the same days again and again."""
    return from_excel(number, epoch, timedelta=duration)
