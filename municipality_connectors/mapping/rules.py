"""The rules of a connector file: from the cells of a row to the one cell that a field is read from. Pure.

What a rule gives is read by the field's own kind (`cells.py`), which knows Danish dates, labels and codes. So a rule
only says what is peculiar to a source: its names, its codes, how it writes dates and numbers.
The order in which a rule's parts act is that of `Rule`'s attributes.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from municipality_connectors.mapping.cells import CellError, plain
from municipality_connectors.mapping.dates import COPENHAGEN
from municipality_connectors.tables import Cell, Single, is_blank, quoted

Get = Callable[[str], Cell]
"""From a column's name to the row's cell."""

_TEMPLATE_COLUMN = re.compile(r"\{([^{}]+)\}")
_DATE_TOKENS = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d", "HH": "%H", "H": "%H", "mm": "%M",
    "ss": "%S", "zzz": "%z",
}  # fmt: skip
_DATE_TOKEN = re.compile("|".join(sorted(_DATE_TOKENS, key=len, reverse=True)) + "|%")
_SECONDS, _MILLISECONDS = "unix", "unix-ms"


def folded(text: str) -> str:
    """Return a value without what people and systems vary: case and spaces."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must hold for a row. values: folded. negated: none of the values may stand there.

    Without values: whether the cell is blank, or when negated, that it is not.
    """

    column: str
    values: frozenset[str] = frozenset()
    negated: bool = False

    def holds(self, get: Get) -> bool:
        """Whether it holds."""
        cell = get(self.column)
        if not self.values:
            return is_blank(cell) != self.negated
        try:
            found = "" if is_blank(cell) else folded(plain(cell))
        except CellError:
            return False
        return (found in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field is read from a row. Its parts act in this order.

    when: else the field is blank. function: a Python function of the whole row. columns: the first that is not blank,
    or all with `join` between them. template: text with `{column}` in it; blank when all its columns are. value: a
    constant. split: cut the text there; part: take only that part, from 1. replace: signs, each with what takes its
    place. codes: from what stands there (folded) to
    what it means here; otherwise: for what is not among them. date: how dates are written (`dd.MM.yyyy`, `unix`).
    decimal: the sign before decimals. times: multiply by.
    divide_by: divide by. cut: shorten to so many characters. default: for a blank.
    """

    when: tuple[Condition, ...] = ()
    function: Callable[[Mapping[str, Cell]], Cell] | None = None
    columns: tuple[str, ...] = ()
    join: str | None = None
    template: str = ""
    value: Cell = None
    split: str = ""
    part: int | None = None
    replace: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Single] | None = None
    codes_shown: str = ""
    otherwise: Single = None
    date: str = ""
    decimal: str = ""
    times: float | None = None
    divide_by: float | None = None
    cut: int | None = None
    default: Cell = None

    @property
    def value_names(self) -> tuple[str, ...]:
        """The columns that the value comes from, each once."""
        return tuple(dict.fromkeys([*self.columns, *_TEMPLATE_COLUMN.findall(self.template)]))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the rule asks for, each once, the one that an error is shown at first."""
        return tuple(dict.fromkeys([*self.value_names, *(when.column for when in self.when)]))

    @property
    def plain_column(self) -> str | None:
        """The column, where the rule is nothing but another name for it."""
        return self.columns[0] if len(self.columns) == 1 and self == Rule(columns=self.columns) else None

    @property
    def may_be_blank(self) -> bool:
        """Whether nothing in the rule makes sure that the field has a value."""
        return is_blank(self.default) and (is_blank(self.value) or bool(self.when))

    def cell(self, get: Get, row: Callable[[], Mapping[str, Cell]]) -> Cell:
        """Return the cell that the field is read from. row: all cells by name. Raises `CellError`."""
        cell = self._picked(get, row) if all(condition.holds(get) for condition in self.when) else None
        if isinstance(cell, tuple):
            cell = tuple(single for part in cell if not is_blank(single := self._shaped(part)))
        elif not is_blank(cell):
            cell = self._shaped(cell)
        return self.default if is_blank(cell) else cell

    def _picked(self, get: Get, row: Callable[[], Mapping[str, Cell]]) -> Cell:
        if self.function is not None:
            return _called(self.function, row())
        if self.template:
            cell: Cell = self._filled(get)
        elif self.join is not None:
            cell = self.join.join(plain(found) for name in self.columns if not is_blank(found := get(name)))
        elif self.columns:
            cell = next((found for name in self.columns if not is_blank(found := get(name))), None)
        else:
            return self.value
        return self._parts(cell) if self.split and not is_blank(cell) else cell

    def _filled(self, get: Get) -> str:
        found = {name: get(name) for name in _TEMPLATE_COLUMN.findall(self.template)}
        if found and all(map(is_blank, found.values())):
            return ""
        texts = {name: "" if is_blank(cell) else plain(cell) for name, cell in found.items()}
        return re.sub(" {2,}", " ", _TEMPLATE_COLUMN.sub(lambda match: texts[match[1]], self.template)).strip()

    def _parts(self, cell: Cell) -> Cell:
        parts = [part.strip() for part in plain(cell).split(self.split)]
        if self.part is None:
            return tuple(part for part in parts if part)
        return parts[self.part - 1] if 0 < self.part <= len(parts) else None

    def _shaped(self, cell: Single) -> Single:
        for old, new in self.replace.items():
            cell = plain(cell).replace(old, new)
        if self.codes is not None:
            text = plain(cell)
            cell = self.codes.get(folded(text), self.otherwise)
            if cell is None:
                raise CellError(
                    f"Koden {quoted(text)} står ikke i forbindelsesfilens »codes«; der er "
                    f"{self.codes_shown or 'ingen endnu'}. "
                    "Ret cellen, eller skriv i filen, hvad koden betyder."
                )
        if self.date:
            cell = _moment(cell, self.date)
        if self.decimal:
            cell = _decimal(cell, self.decimal)
        if self.times is not None or self.divide_by is not None:
            cell = _scaled(cell, self.times or 1, self.divide_by or 1)
        if self.cut is not None:
            text = plain(cell)
            cell = text if len(text) <= self.cut else text[: self.cut - 1].rstrip() + "…"
        return cell


def _called(function: Callable[[Mapping[str, Cell]], Cell], row: Mapping[str, Cell]) -> Cell:
    try:
        return function(row)
    except CellError:
        raise
    except Exception as error:  # noqa: BLE001  # whoever wrote the function gets to know, and the other rows go on
        name = getattr(function, "__name__", "funktionen")
        raise CellError(f"Python-funktionen {name} fejlede på rækken: {type(error).__name__}.") from None


def _moment(cell: Single, form: str) -> Single:
    if isinstance(cell, date):
        return cell
    text = plain(cell)
    try:
        if form in (_SECONDS, _MILLISECONDS):
            seconds = float(text.replace(",", ".")) / (1000 if form == _MILLISECONDS else 1)
            return datetime.fromtimestamp(seconds, UTC)
        moment = datetime.strptime(text, strptime_form(form))  # noqa: DTZ007  # its zone follows
    except (ValueError, OverflowError, OSError, re.error):
        raise CellError(f"{quoted(text)} er ikke en dato skrevet som {form}.") from None
    if moment.tzinfo is not None:
        return moment
    return moment.date() if moment.time() == time() and "H" not in form else moment.replace(tzinfo=COPENHAGEN)


def strptime_form(form: str) -> str:
    """Return a form such as `dd.MM.yyyy HH:mm` as Python writes it. Other letters stand for themselves."""
    return _DATE_TOKEN.sub(lambda match: _DATE_TOKENS.get(match[0], "%%"), form)


def is_form(form: str) -> bool:
    """Whether dates can be read by a form."""
    if form in (_SECONDS, _MILLISECONDS):
        return True
    try:
        datetime.strptime("", strptime_form(form))  # noqa: DTZ007  # only whether it is one
    except ValueError:
        return any(token in form for token in ("yy", "dd"))
    except re.error:
        return False
    return False


def _decimal(cell: Single, sign: str) -> Single:
    if isinstance(cell, int | float):
        return cell
    text = plain(cell)
    digits = re.sub(r"[\s'\u00a0]", "", text.replace("." if sign == "," else ",", "")).replace(sign, ".")
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", digits):
        raise CellError(f"{quoted(text)} er ikke et tal med {sign} før decimalerne.")
    return float(digits)


def _scaled(cell: Single, factor: float, divisor: float) -> Single:
    number = cell if isinstance(cell, int | float) else _decimal(cell, ",")
    assert isinstance(number, int | float)  # noqa: S101  # _decimal gives a number or raises
    scaled = number * factor / divisor
    if not math.isfinite(scaled):
        raise CellError(f"{quoted(plain(cell))} er ikke et tal, der kan regnes med.")
    # What a division leaves behind the sixth decimal is no information.
    return round(scaled, 6)
