"""From a row to an event's `data`, and back. Pure: what a column means is declared in `sheet_types.py`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from municipality_connectors.mapping.cells import CellError
from municipality_connectors.mapping.dates import parse_moment
from municipality_connectors.mapping.plan import Layout, Placed
from municipality_connectors.mapping.rules import Rule
from municipality_connectors.mapping.sheet_types import Column, Fill, SheetType
from municipality_connectors.tables import Cell, Row, is_blank

SENSITIVE_PURPOSES = frozenset({"retention", "placement-follow-up"})
"""Such a contact may reveal a citizen's health, and goes nowhere unless its own row says so (the dataset's page)."""

SCOPE_KEY = "sharing.scope"

KNOWN_MAX = 2_000
"""Texts and times whose meaning is remembered for a column: a column with more of them holds titles, not codes."""

KNOWN_CHARACTERS_MAX = 200
"""Of a text whose meaning is remembered: no code is longer, nor most lists of codes."""

_FIXED = (str, bool, int, float)
_REMEMBERED = (str, datetime)


class Fault(NamedTuple):
    """What is wrong with a row. title: the column's, None where it is the row as a whole; message: Danish."""

    title: str | None
    message: str
    problem: str = "bad-cell"
    pointer: str | None = None


class Mapped(NamedTuple):
    """What a row says.

    missing: the columns that fill themselves and are blank. changed: when the row was, where it says so. gone: whether
    its source takes it back.
    """

    data: dict[str, Any]
    faults: tuple[Fault, ...]
    missing: tuple[Column, ...]
    changed: datetime | None
    gone: bool = False


def is_wanted(layout: Layout, row: Row) -> bool:
    """Whether a row is one of those that are published at all."""
    only = layout.plan.only
    return not only or all(condition.holds(layout.getter(row)) for condition in only)


def map_row(layout: Layout, row: Row, days_shift: int = 0) -> Mapped:
    """Read one row. Faults are collected, so that its owner hears of all of them at once."""
    return RowMapper(layout, days_shift).map(row)


class RowMapper:
    """Reads the rows of a table. days_shift: what is added to its days, where they are counted from another one.

    A sheet's codes, municipalities and consultants stand in it thousands of times: what a text means in a column is
    worked out once.
    """

    def __init__(self, layout: Layout, days_shift: int = 0) -> None:
        self._layout, self._days_shift = layout, days_shift
        self._required = [
            (column, None if column.above else column.leaf, _steps(column.unless)) for column in layout.sheet.required
        ]
        self._fields = [
            _Field(placed, placed.place, placed.rule, placed.column.above, placed.column.leaf, {})
            for placed in layout.placed
        ]

    def map(self, row: Row) -> Mapped:
        """Read a row."""
        layout = self._layout
        data: dict[str, Any] = {}
        faults: list[Fault] = []
        unread: set[str] = set()
        cells, formulas = row.cells, row.formulas
        width = len(cells)
        # Written out, since it runs for each of a sheet's millions of cells, most of them blank or met before.
        for placed, place, rule, above, leaf, known in self._fields:
            try:
                if rule is not None:
                    cell = rule.cell(layout.getter(row), layout.by_name(row))
                else:
                    cell = cells[place] if place < width else None  # type: ignore[index, operator]  # it has a place
                if cell is None:
                    continue
                # A time with a zone is never found: none is kept.
                value = known.get(cell) if type(cell) in _REMEMBERED and not formulas else None
                if value is None:
                    if is_blank(cell):
                        continue
                    value = self._value(placed, known, cell, row)
            except CellError as error:
                faults.append(Fault(placed.column.title, str(error), pointer=placed.column.pointer))
                unread.add(placed.column.pointer)
                continue
            parent = data
            for step in above:
                parent = parent.setdefault(step, {})
            if type(value) is not tuple:
                parent[leaf] = value
            elif value:
                parent[leaf] = [*parent.get(leaf, ()), *_thawed(value)]
        _put_what_blanks_mean(data, layout.sheet)
        _keep_sensitive_home(data, layout, row)
        absent = [
            column for column, name, instead in self._required
            if (name not in data if name is not None else _find(data, column.path) is None)
            and not (instead and _find(data, instead) is not None) and column.pointer not in unread
        ]  # fmt: skip
        faults += [
            Fault(column.title, f"»{column.title}« skal udfyldes. {column.hint}", "required", column.pointer)
            for column in absent
            if column.fills is None
        ]
        withdrawn = layout.plan.withdrawn
        gone = bool(withdrawn) and all(condition.holds(layout.getter(row)) for condition in withdrawn)
        fills = tuple(column for column in absent if column.fills)
        return Mapped(data, tuple(faults), fills, _changed(layout, row, self._days_shift), gone)

    def _value(self, placed: Placed, known: dict[Cell, Any], cell: Cell, row: Row) -> Any:
        if not row.formulas and _can_be_remembered(cell):
            value = _frozen(placed.column.kind.parse(cell))
            if len(known) < KNOWN_MAX and _is_frozen(value):
                known[cell] = value
            return value
        return _frozen(_parsed(placed.column, cell, self._days_shift, computed=placed.place in row.formulas))


class _Field(NamedTuple):
    """One of our columns: what it is read from, where its value goes, and what the cells met so far mean, frozen."""

    placed: Placed
    place: int | None
    rule: Rule | None
    above: tuple[str, ...]
    leaf: str
    known: dict[Cell, Any]


def _frozen(value: Any) -> Any:
    """Return a list as a tuple: only what nobody can change afterwards is given out again."""
    return tuple(value) if type(value) is list else value


def _is_frozen(value: Any) -> bool:
    """Whether a value can be given out again: a plain one, or plain ones and flat objects in a tuple."""
    return type(value) in _FIXED or (
        type(value) is tuple
        and all(
            type(item) in _FIXED or (type(item) is dict and all(type(inner) in _FIXED for inner in item.values()))
            for item in value
        )
    )


def _thawed(values: tuple[Any, ...]) -> list[Any]:
    """Return a list of a row's own, its objects too."""
    return [item.copy() if type(item) is dict else item for item in values]


def _can_be_remembered(cell: Cell) -> bool:
    """Whether equal short cells mean the same: not numbers, of which 1 is also true, nor times with a zone."""
    if type(cell) is str:
        return len(cell) <= KNOWN_CHARACTERS_MAX
    return type(cell) is datetime and cell.tzinfo is None


def _keep_sensitive_home(data: dict[str, Any], layout: Layout, row: Row) -> None:
    """Share nothing of a sensitive contact because of a constant: only what stands in its own row can."""
    if layout.plan.fields is None or SENSITIVE_PURPOSES.isdisjoint(data.get("purposes", ())):
        return
    rule = layout.plan.fields.get(SCOPE_KEY)
    if rule is not None and all(is_blank(layout.getter(row)(name)) for name in rule.value_names):
        data["sharing"] = {"scope": "own"}


def _parsed(column: Column, cell: Cell, days_shift: int, *, computed: bool) -> Any:
    if computed and column.fills is Fill.ID:
        raise CellError(
            "Id'et er en formel. Et id skal være en fast værdi, ellers skifter det, når arket sorteres. "
            "Kopiér kolonnen, og indsæt den som værdier."
        )
    if days_shift and column.kind.is_moment and isinstance(cell, int | float) and not isinstance(cell, bool):
        cell += days_shift
    return column.kind.parse(cell)


def _changed(layout: Layout, row: Row, days_shift: int) -> datetime | None:
    """Return when the row was changed; None unless a date with a time of day says so."""
    cell: Cell = None
    try:
        if layout.plan.changed is not None:
            cell = layout.plan.changed.cell(layout.getter(row), layout.by_name(row))
        elif layout.changed_at is not None and layout.changed_at < len(row.cells):
            cell = row.cells[layout.changed_at]
    except CellError:
        return None
    if days_shift and isinstance(cell, int | float) and not isinstance(cell, bool):
        cell += days_shift
    moment = parse_moment(cell)
    return moment if isinstance(moment, datetime) else None


def _put_what_blanks_mean(data: dict[str, Any], sheet: SheetType) -> None:
    for column in sheet.meaning_when_blank:
        parent = _find(data, column.above)
        if column.when_blank is not None and isinstance(parent, dict) and column.leaf not in parent:
            value = column.when_blank(parent)
            if value is not None:
                parent[column.leaf] = value


def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(pointer.split("/")[1:])


def _find(data: Any, path: Sequence[str]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def show_row(sheet: SheetType, data: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells, in the order of the sheet's columns, from which `map_row` reads this `data`."""
    values = [(column, _find(data, column.path)) for column in sheet.columns]
    return tuple(None if value is None else column.kind.show(value) for column, value in values)


def column_at(sheet: SheetType, pointer: str) -> Column | None:
    """Return the column of what is at `pointer` in `data` (list indices may stand in it), or nearest to it."""
    steps = [step for step in pointer.split("/")[1:] if not step.isdigit()]
    while steps:
        path = "/" + "/".join(steps)
        if (column := sheet.by_pointer.get(path)) is not None:
            return column
        below = [column for place, column in sheet.by_pointer.items() if place.startswith(path + "/")]
        if below:
            return next((column for column in below if column.required), below[0])
        steps.pop()
    return None
