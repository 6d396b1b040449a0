"""What a cell means: a `Kind` for each sort of column, from cell to value and back. Pure.

Whoever fills a sheet in writes as they are used to; `parse` understands it or says in Danish what it
expected. `show` gives what a cell must hold so that `parse` gives the value back.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Self

from municipality_connectors.mapping.dates import excel_moment, iso_date, iso_moment, parse_moment
from municipality_connectors.tables import BadCell, Cell, is_blank, quoted
from schemas import labels
from schemas.identifiers import EventName

NUMBER_MAX = 10_000_000
"""No hours and no count of people come near it, as a telephone number in the wrong column does."""


class CellError(ValueError):
    """A cell cannot be understood. The message is Danish, says what is expected, and repeats no CPR number."""


class Kind:
    """A sort of column. hint: how to fill it in, in Danish. choices: what a drop-down list offers."""

    hint = ""
    choices: tuple[str, ...] = ()
    excel_format = "@"
    is_moment = False

    def bound(self, name: EventName, pointer: str) -> Self:  # noqa: ARG002  # most kinds need not know
        """Return the kind for one column; those with a list of values look their labels up."""
        return self

    def parse(self, cell: Cell) -> Any:
        """Return the value of a cell that is not blank. Raises `CellError`."""
        raise NotImplementedError

    def show(self, value: Any) -> Cell:
        """Return the cell that stands for a value."""
        return str(value)


def plain(cell: Cell) -> str:
    """Return a cell as its owner sees it. Raises `CellError` for one without a usable value."""
    # Most cells are texts: they need not wait for every other question.
    text = cell if type(cell) is str else _plain_other(cell)
    return _without_escapes(text).replace("\r\n", "\n").strip()


def _plain_other(cell: Cell) -> str:
    if isinstance(cell, BadCell):
        raise CellError(cell.message)
    if isinstance(cell, tuple):
        return _only(cell)
    if isinstance(cell, bool):
        return "Ja" if cell else "Nej"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else str(cell).replace(".", ",")
    if isinstance(cell, datetime):
        return cell.strftime("%d-%m-%Y" if cell.time() == time() else "%d-%m-%Y %H:%M")
    if isinstance(cell, date):
        return cell.strftime("%d-%m-%Y")
    return str(cell)[:5] if isinstance(cell, time | timedelta) else str(cell)


def _only(cells: tuple[Cell, ...]) -> str:
    if len(cells) != 1:
        raise CellError(f"Der står {len(cells)} værdier, hvor der kun må stå én.")
    return plain(cells[0])


_ESCAPE = re.compile(r"_x000[Dd]_")


def _without_escapes(text: str) -> str:
    """Take out how Excel writes a carriage return in XML."""
    return _ESCAPE.sub("", text) if "_x000" in text else text


class Text(Kind):
    """Any text."""

    def parse(self, cell: Cell) -> str:
        return plain(cell)


class Identifier(Kind):
    """A thing's id."""

    hint = "1 til 64 tegn: A-Z, a-z, 0-9, punktum, bindestreg og understreg. Tomme felter udfyldes selv."

    def parse(self, cell: Cell) -> str:
        text = plain(cell)
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
            allowed = Identifier.hint.partition(". T")[0]
            raise CellError(
                f"{quoted(text)} kan ikke bruges som id. {allowed}. I en forbindelsesfil kan andre tegn byttes ud med "
                "replace."
            )
        return text


class Reference(Identifier):
    """The id of another thing."""

    hint = "Id'et, præcis som det står i det andet ark."


class Number(Kind):
    """A number with decimals, written with a comma."""

    hint = "Et tal, fx 37 eller 37,5."
    excel_format = "General"

    def parse(self, cell: Cell) -> int | float:
        number = cell if isinstance(cell, int | float) and not isinstance(cell, bool) else _number(plain(cell))
        if number is None or number != number or abs(number) > NUMBER_MAX:  # noqa: PLR0124  # NaN is no number
            raise CellError(f"{quoted(plain(cell))} er ikke et tal. Skriv fx 37 eller 37,5.")
        return int(number) if float(number).is_integer() else number

    def show(self, value: Any) -> Cell:
        return value  # type: ignore[no-any-return]


class Integer(Number):
    """A whole number."""

    hint = "Et helt tal."

    def parse(self, cell: Cell) -> int:
        number = super().parse(cell)
        if not isinstance(number, int):
            raise CellError(f"{quoted(plain(cell))} er ikke et helt tal.")
        return number


_GROUPED = re.compile(r"[+-]?\d{1,3}([. ]\d{3})+(,\d+)?")
_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_POINT = re.compile(r"[+-]?\d+\.\d+")


def _number(text: str) -> float | None:
    """Read `1.234,5`, `1234,5` and `37.5`; a point before exactly three digits groups thousands, as in Denmark."""
    text = text.replace("\u00a0", " ")
    if _GROUPED.fullmatch(text) or _COMMA.fullmatch(text):
        return float(re.sub(r"[. ]", "", text).replace(",", "."))
    return float(text) if _POINT.fullmatch(text) else None


class YesNo(Kind):
    """Yes or no."""

    hint = "Ja eller Nej."
    choices = ("Ja", "Nej")
    _meanings: Mapping[str, bool] = dict.fromkeys(("ja", "j", "x", "sand", "true", "yes", "1"), True) | dict.fromkeys(
        ("nej", "n", "falsk", "false", "no", "0", "-"), False
    )

    def parse(self, cell: Cell) -> bool:
        text = plain(cell)
        if text.lower() not in self._meanings:
            raise CellError(f"{quoted(text)} kan ikke bruges her. Skriv Ja eller Nej.")
        return self._meanings[text.lower()]

    def show(self, value: Any) -> Cell:
        return "Ja" if value else "Nej"


class Moment(Kind):
    """A date, a date with the time of day, or either."""

    is_moment = True

    def __init__(self, *, day: bool, clock: bool) -> None:
        """`day`: a date alone is enough; `clock`: a time of day is kept."""
        self._day, self._clock = day, clock
        self.excel_format = "dd-mm-yyyy hh:mm" if clock else "dd-mm-yyyy"
        example = {(True, False): "23-11-2026", (False, True): "23-11-2026 08:05"}
        self._example = example.get((day, clock), "23-11-2026 eller 23-11-2026 08:05")
        words = {(True, False): "Dato", (False, True): "Dato og klokkeslæt"}
        self.hint = f"{words.get((day, clock), 'Dato, gerne med klokkeslæt')}, fx {self._example}."

    def parse(self, cell: Cell) -> str:
        moment = None if isinstance(cell, BadCell) else parse_moment(cell)
        if moment is None:
            raise CellError(f"{quoted(plain(cell))} er ikke en dato, som vi kan læse. Skriv fx {self._example}.")
        if not self._clock:
            return iso_date(moment)
        if self._day and not isinstance(moment, datetime):
            return iso_date(moment)
        return iso_moment(moment)

    def show(self, value: Any) -> Cell:
        return excel_moment(value)


class Choice(Kind):
    """One of a list of values, by its Danish label or its code."""

    def __init__(self, labelled: Mapping[str, str] | None = None) -> None:
        """`labelled`: code to Danish label; looked up by `bound`."""
        self._labels = dict(labelled or {})
        self._codes = {_folded(code): code for code in self._labels}
        self._codes |= {_folded(label): code for code, label in self._labels.items()}
        self.choices = tuple(self._labels.values())
        self.codes = tuple(self._labels)
        self.hint = f"En af: {', '.join(self.choices)}."

    def bound(self, name: EventName, pointer: str) -> Self:
        return type(self)(dict(labels.enum_labels(name, pointer)))

    def parse(self, cell: Cell) -> str:
        for text in _readings(cell):
            if (code := self._codes.get(_folded(text))) is not None:
                return code
        text = plain(cell)
        near = difflib.get_close_matches(_folded(text), map(_folded, self.choices), 1, 0.75)
        meant = next((choice for choice in self.choices if [_folded(choice)] == near), None)
        question = f" Mente du »{meant}«?" if meant else ""
        raise CellError(f"{quoted(text)} kan ikke bruges her.{question} Skriv en af: {', '.join(self.choices)}.")

    def show(self, value: Any) -> Cell:
        # A newer minor version of the schema may have a code that we have no label for yet.
        return self._labels.get(value, str(value))


def _folded(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split()).casefold().rstrip(".")


def _readings(cell: Cell) -> Iterable[str]:
    """Yield what a cell may have held: Excel turns a typed `2-9` or `10-49` into a date."""
    if isinstance(cell, date):
        yield f"{cell.day}-{cell.month}"
        if cell.day == 1:
            yield f"{cell.month}-{cell.year % 100}"
    else:
        yield plain(cell)


class ListOf(Kind):
    """Several values in one cell, separated by semicolons or line breaks."""

    def __init__(self, item: Kind, *, comma: bool = False) -> None:
        """`comma`: a comma separates, too (where no value can hold one)."""
        self.item, self._comma = item, comma
        self._separator = re.compile(r"[;\n,]" if comma else r"[;\n]")
        # No drop-down list: it would let only a single value in.
        self.hint = f"{item.hint} Flere adskilles med semikolon.".strip()

    def bound(self, name: EventName, pointer: str) -> Self:
        return type(self)(self.item.bound(name, pointer), comma=self._comma)

    def parse(self, cell: Cell) -> list[Any]:
        if isinstance(cell, str):
            texts = [text for text in self._separator.split(_without_escapes(cell)) if not is_blank(text)]
            values = [self.item.parse(text.strip()) for text in texts]
        elif isinstance(cell, tuple):
            values = [self.item.parse(item) for item in cell if not is_blank(item)]
        else:
            values = [self.item.parse(cell)]
        return [value for place, value in enumerate(values) if value not in values[:place]]

    def show(self, value: Any) -> Cell:
        return "; ".join(str(self.item.show(item)) for item in value)


TEXT = Text()
TEXTS = ListOf(TEXT)
IDENTIFIER = Identifier()
REFERENCE = Reference()
REFERENCES = ListOf(REFERENCE)
NUMBER = Number()
INTEGER = Integer()
YES_NO = YesNo()
DATE = Moment(day=True, clock=False)
DATE_AND_TIME = Moment(day=False, clock=True)
DATE_MAYBE_TIME = Moment(day=True, clock=True)
CHOICE = Choice()
CHOICES = ListOf(CHOICE, comma=True)
