"""What a spreadsheet is to the rest: worksheets with a header in row 1, rows below, cells to fill in.

Cells and messages are the sheet owner's, so messages are in Danish. A cell holds what the file says,
without interpretation; what it means is the column's question (`cells.py`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from schemas.cpr import holds_cpr

FILE_BYTES_MAX = 50 * 1024 * 1024
"""A sheet of 100,000 orders has some 20 MB. A larger file is a wrong file, or an attack."""

ROWS_MAX = 100_000
"""Rows with content in one worksheet; they are held in memory until they are sent."""

COLUMNS_MAX = 200
"""Columns that are looked at; the widest of our sheets has some 50."""

CELL_CHARACTERS_MAX = 32_767
"""What Excel itself lets into a cell."""

SHOWN_CHARACTERS_MAX = 40
"""How much of a cell a message repeats."""


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell without a usable value, such as a formula that gave an error. `message`: Danish."""

    message: str


Single = str | int | float | bool | datetime | date | time | timedelta | BadCell | None
Cell = Single | tuple[Single, ...]
"""What stands in one column of a row; several values where the source has a list there."""


class Row(NamedTuple):
    """One row with content. number: as Excel shows it. formulas: the columns (from 0) whose value is computed."""

    number: int
    cells: tuple[Cell, ...]
    formulas: frozenset[int] = frozenset()


class SourceError(Exception):
    """A file or worksheet cannot be used. The message is Danish, and says what to do.

    problem: a stable name for programs, such as `macro-sheet`. row, column, part (a worksheet), place (a file or
    table): where, if it is known.
    """

    def __init__(
        self,
        problem: str,
        message: str,
        *,
        row: int | None = None,
        column: str | None = None,
        part: str | None = None,
        place: str = "",
    ) -> None:
        super().__init__(message)
        self.problem, self.message, self.row, self.column = problem, message, row, column
        self.part, self.place = part, place

    def within(self, part: str | None) -> Self:
        """Return the error, said of one worksheet."""
        self.part = part
        return self


class SourceLocked(SourceError):
    """The file cannot be written now: open in Excel, write-protected, or changed meanwhile."""

    def __init__(self, message: str) -> None:
        super().__init__("locked", message)


class Table(NamedTuple):
    """Rows below a header, as they are read. name: a worksheet's; None in a file without worksheets (CSV).

    rows: those that hold anything; iterating may raise `SourceError`. days_shift: added to a number that stands for a
    date (1462 where days count from 1904). remarks: what its owner should know, in Danish. file: where cells can be
    filled in, None where they cannot. lettered: whether its owner sees columns as A, B, C. may_be_empty: whether it is
    in order that there are no rows: a sheet without any is the wrong sheet.
    """

    name: str | None
    header: tuple[str, ...]
    rows: Iterator[Row]
    days_shift: int = 0
    remarks: tuple[str, ...] = ()
    file: "SheetFile | None" = None
    lettered: bool = True
    may_be_empty: bool = False


class SheetFile(Protocol):
    """A spreadsheet file, read once; what is written later goes into just what was read."""

    path: Path

    def worksheet_names(self) -> list[str | None]:
        """Return the worksheets' names in their order; `[None]` for a file without worksheets."""

    def worksheet(self, name: str | None, header_row: int = 1) -> Table:
        """Begin reading a worksheet. header_row: counted as its owner does. Raises `SourceError`."""

    def content_digest(self) -> bytes:
        """Return the SHA-256 of the file as it was read, or last written by `fill`."""

    def fill(self, name: str | None, values: Mapping[tuple[int, int], str]) -> None:
        """Write texts into cells, (row number, column from 0) to text, and replace the file at once.

        Everything else in the file stays as it was. Raises `SourceLocked`, and then nothing was written.
        """

    def lock_reason(self) -> str | None:
        """Return why `fill` could not write now, in Danish; None when nothing is known to stop it."""


_CPR_LIKE = re.compile(r"[0-9]{6}\W{0,3}[0-9]{4}")


def quoted(value: object) -> str:
    """Return a cell's content for use in a message: shortened, and without anything like a CPR number."""
    text = " ".join(str(value).split())
    text = _CPR_LIKE.sub("xxxxxx-xxxx", text)
    if holds_cpr(text):
        return "Indholdet"
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = text[: SHOWN_CHARACTERS_MAX - 1] + "…"
    return f"»{text}«"


def unexpected(error: Exception, place: str = "") -> SourceError:
    """Return what is told of an error that nobody foresaw: its type alone, since its text may repeat a cell."""
    message = (
        f"Der skete en fejl, som vi ikke kender ({type(error).__name__}), så intet herfra er taget med. Alt andet "
        "kører videre, og intet er gået tabt. Det prøves igen ved næste kørsel. Bliver fejlen ved, så send "
        "meddelelsen til gatewayens drift."
    )
    return SourceError("unexpected", message, place=place)


def column_letter(index: int) -> str:
    """Return the letters of a column counted from 0: A, B, …, Z, AA."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def is_blank(cell: Cell) -> bool:
    """Whether a cell holds nothing that can be seen."""
    return cell is None or (not cell.strip() if isinstance(cell, str) else cell == ())


# What Excel shows for a formula without a value, in English and in Danish.
_FORMULA_ERRORS = frozenset({
    "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!",
    "#GETTING_DATA", "#I/T", "#REFERENCE!", "#VÆRDI!", "#DIVISION/0!", "#NAVN?", "#NUL!", "#OVERLØB!", "#BEREGN!",
})  # fmt: skip


def checked_text(text: str) -> Cell:
    """Return a text cell, or a `BadCell` for one that is a formula's error or longer than Excel allows."""
    if text.startswith("#") and text.strip().upper() in _FORMULA_ERRORS:
        return BadCell(
            f"Cellen viser formelfejlen {text.strip().upper()}. Ret formlen, eller skriv værdien i stedet for formlen."
        )
    if len(text) > CELL_CHARACTERS_MAX:
        return BadCell(f"Cellen indeholder over {CELL_CHARACTERS_MAX} tegn. Forkort teksten.")
    return text
