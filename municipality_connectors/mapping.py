"""From a row to an event's `data`, and back. Pure: what a column means is declared in `sheet_types.py`."""

import difflib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from municipality_connectors.cells import CellError
from municipality_connectors.dates import parse_moment
from municipality_connectors.sheet_file import BadCell, Cell, Row, SheetError, is_blank, quoted
from municipality_connectors.sheet_types import CHANGED_TITLE, Column, Fill, SheetType, all_sheet_types

LIKE_A_TITLE = 0.84
"""How alike an unknown title and a missing one must be for the sheet to be refused: a typing error, not a note."""

SHOWN_TITLES_MAX = 12


class Fault(NamedTuple):
    """What is wrong with a row. title: the column's, None where it is the row as a whole; message: Danish."""

    title: str | None
    message: str
    problem: str = "bad-cell"
    pointer: str | None = None


class Layout(NamedTuple):
    """Where in a worksheet each of our columns stands, from 0. notices: for its owner, in Danish."""

    sheet: SheetType
    places: tuple[tuple[int, Column], ...]
    changed_at: int | None
    notices: tuple[str, ...]

    def place_of(self, title: str | None) -> int | None:
        """Return where a column stands; None for one that the worksheet lacks."""
        return next((place for place, column in self.places if column.title == title), None)


class Mapped(NamedTuple):
    """What a row says. missing: the columns that fill themselves and are blank; changed: from the column `Ændret`."""

    data: dict[str, Any]
    faults: tuple[Fault, ...]
    missing: tuple[Column, ...]
    changed: datetime | None


def folded_title(title: str) -> str:
    """Return a column's title without what people vary: case, spaces, a star or colon at its end."""
    return " ".join(unicodedata.normalize("NFC", title).split()).casefold().rstrip(" *:")


def is_known_title(title: str) -> bool:
    """Whether any of our sheets has a column with this title."""
    folded = folded_title(title)
    return any(folded == folded_title(column.title) for sheet in all_sheet_types() for column in sheet.columns)


def fitting_sheet(header: Sequence[str]) -> SheetType | None:
    """Return the sheet whose required columns a header has; None where none or more than one fits."""
    titles = set(map(folded_title, header))
    fitting = [
        sheet for sheet in all_sheet_types() if all(folded_title(column.title) in titles for column in _needed(sheet))
    ]
    return fitting[0] if len(fitting) == 1 else None


def _needed(sheet: SheetType) -> Iterator[Column]:
    return (column for column in sheet.columns if column.required and not column.unless)


def lay_out(sheet: SheetType, header: Sequence[str]) -> Layout:
    """Find our columns in a header, in any order. Raises `SheetError` when one is missing or there twice."""
    known = {folded_title(column.title): column for column in sheet.columns}
    places: dict[str, int] = {}
    unknown = []
    for place, title in enumerate(header):
        folded = folded_title(title)
        if folded in places:
            raise _changed_header(f"Kolonnen {quoted(title)} findes to gange. Slet eller omdøb den ene.", title)
        if folded in known or folded == folded_title(CHANGED_TITLE):
            places[folded] = place
        elif folded:
            unknown.append(title)
    if not any(folded in known for folded in places):
        raise _changed_header(
            "Række 1 har ingen af de overskrifter, vi kender. Overskrifterne skal stå i række 1 og data fra række 2."
        )
    _check_titles(sheet, set(places), unknown)
    return Layout(
        sheet,
        tuple((places[folded], column) for folded, column in known.items() if folded in places),
        places.get(folded_title(CHANGED_TITLE)),
        (_left_out(unknown),) if unknown else (),
    )


def _changed_header(message: str, column: str | None = None) -> SheetError:
    return SheetError("changed-header", message, row=1, column=column)


def _check_titles(sheet: SheetType, found: set[str], unknown: Sequence[str]) -> None:
    """Refuse a header that lacks what is required, or in which one of our titles seems to be misspelt."""
    absent = {folded_title(column.title): column for column in sheet.columns if folded_title(column.title) not in found}
    missing = [column.title for column in _needed(sheet) if folded_title(column.title) in absent]
    misspelt = []
    for title in unknown:
        near = difflib.get_close_matches(folded_title(title), absent, 1, LIKE_A_TITLE)
        misspelt += [f"{quoted(title)} skal måske hedde »{absent[near[0]].title}«" for _ in near]
    if missing or misspelt:
        parts = [f"Kolonnen »{title}« mangler." for title in missing[:SHOWN_TITLES_MAX]]
        parts += [f"Kolonnen {text}." for text in misspelt]
        raise _changed_header(" ".join(parts) + " Ret overskrifterne i række 1; ingen rækker fra arket er sendt.")


def _left_out(unknown: Sequence[str]) -> str:
    shown = ", ".join(quoted(title) for title in unknown[:SHOWN_TITLES_MAX])
    more = f" og {len(unknown) - SHOWN_TITLES_MAX} til" if len(unknown) > SHOWN_TITLES_MAX else ""
    return f"Disse kolonner kender vi ikke, og de bliver ikke sendt: {shown}{more}."


def map_row(layout: Layout, row: Row, days_shift: int = 0) -> Mapped:
    """Read a row. Faults are collected, so that its owner hears of all of them at once."""
    data: dict[str, Any] = {}
    faults: list[Fault] = []
    unread: set[str] = set()
    for place, column in layout.places:
        cell = row.cells[place] if place < len(row.cells) else None
        if is_blank(cell):
            continue
        try:
            value = _parsed(column, cell, days_shift, computed=place in row.formulas)
        except CellError as error:
            faults.append(Fault(column.title, str(error), pointer=column.pointer))
            unread.add(column.pointer)
        else:
            _put(data, column, value)
    _put_what_blanks_mean(data, layout.sheet)
    absent = [column for column in layout.sheet.columns if column.required and column.pointer not in unread]
    absent = [
        column
        for column in absent
        if not _has(data, column.pointer) and not (column.unless and _has(data, column.unless))
    ]
    faults += [
        Fault(column.title, f"»{column.title}« skal udfyldes. {column.hint}", "required", column.pointer)
        for column in absent
        if column.fills is None
    ]
    return Mapped(
        data, tuple(faults), tuple(column for column in absent if column.fills), _changed(layout, row, days_shift)
    )


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
    cell = row.cells[layout.changed_at] if layout.changed_at is not None else None
    if isinstance(cell, BadCell):
        return None
    if days_shift and isinstance(cell, int | float) and not isinstance(cell, bool):
        cell += days_shift
    moment = parse_moment(cell)
    return moment if isinstance(moment, datetime) else None


def _put(data: dict[str, Any], column: Column, value: Any) -> None:
    *parents, leaf = column.path
    for step in parents:
        data = data.setdefault(step, {})
    if isinstance(value, list):
        if value:
            data[leaf] = [*data.get(leaf, ()), *value]
    else:
        data[leaf] = value


def _put_what_blanks_mean(data: dict[str, Any], sheet: SheetType) -> None:
    for column in sheet.columns:
        if column.when_blank is not None:
            parent = _find(data, column.path[:-1])
            if isinstance(parent, dict) and column.path[-1] not in parent:
                value = column.when_blank(parent)
                if value is not None:
                    parent[column.path[-1]] = value


def _has(data: Mapping[str, Any], pointer: str) -> bool:
    return _find(data, tuple(pointer.split("/")[1:])) is not None


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
