"""What a connector does with the rows of one table: which type they are, and what each field is read from. Pure."""

import difflib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from municipality_connectors.mapping.rules import Condition, Get, Rule
from municipality_connectors.mapping.sheet_types import CHANGED_TITLE, Column, Fill, SheetType, all_sheet_types
from municipality_connectors.tables import Cell, Row, SourceError, column_letter, quoted

LIKE_A_TITLE = 0.84
"""How alike an unknown title and a missing one must be for the sheet to be refused: a typing error, not a note."""

SHOWN_TITLES_MAX = 12

WITHDRAW_SHARE_MAX = 0.1
"""More of a source's things than this are not taken back at once: the source is cut off, or it is the wrong one."""


@dataclass(frozen=True)
class Plan:
    """What becomes of one table's rows.

    fields: by the key of our column, or None where the table has our own titles. only: rows for which not all of it
    holds are passed over. withdrawn: rows for which all of it holds are taken back. changed: what says when a row was
    changed. withdraw_vanished: whether a row that is gone is taken back, at most `withdraw_share_max` at once.
    definition: a digest of all that the connector file says of it and its source.
    """

    sheet: SheetType
    fields: Mapping[str, Rule] | None = None
    only: tuple[Condition, ...] = ()
    withdrawn: tuple[Condition, ...] = ()
    changed: Rule | None = None
    withdraw_vanished: bool = False
    withdraw_share_max: float = WITHDRAW_SHARE_MAX
    definition: str = ""
    by_key: Mapping[str, Column] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {column.key: column for column in self.sheet.columns})

    def mark_key(self, place: str) -> str:
        """Return the name of the mark that is left at a place. Read by another description, it is read anew."""
        return f"{place}\n{self.definition}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the source that is asked for, each once."""
        rules = [*(self.fields or {}).values(), *([self.changed] if self.changed else [])]
        names = [name for rule in rules for name in rule.names]
        names += [condition.column for condition in (*self.only, *self.withdrawn)]
        return tuple(dict.fromkeys(names))

    def theirs(self, title: str | None) -> str | None:
        """Return what the source calls one of our columns; ours where no column of it stands behind."""
        column = next((column for column in self.sheet.columns if column.title == title), None)
        rule = (self.fields or {}).get(column.key) if column is not None else None
        return title if rule is None or not rule.names else rule.names[0]


class Placed(NamedTuple):
    """One of our columns and what it is read from: a place in the row (from 0), or a rule where that is not all."""

    column: Column
    place: int | None
    rule: Rule | None


class Layout(NamedTuple):
    """Where in a table each of our columns stands. notices: for its owner, in Danish."""

    plan: Plan
    header: tuple[str, ...]
    placed: tuple[Placed, ...]
    changed_at: int | None
    places: Mapping[str, int]
    notices: tuple[str, ...] = ()

    @property
    def sheet(self) -> SheetType:
        """Our columns for the rows' type."""
        return self.plan.sheet

    def place_of(self, title: str | None) -> int | None:
        """Return where one of our columns stands; None for one that the table lacks."""
        return next((placed.place for placed in self.placed if placed.column.title == title), None)

    def cell_name(self, title: str | None, row: int) -> str | None:
        """Return where a column stands in a row as a spreadsheet shows it, such as F7."""
        place = self.place_of(title)
        return None if place is None else f"{column_letter(place)}{row}"

    def getter(self, row: Row) -> Get:
        """Return a look-up of the row's cells by the table's own names."""
        cells, places = row.cells, self.places

        def get(name: str) -> Cell:
            place = places[folded_title(name)]
            return cells[place] if place < len(cells) else None

        return get

    def by_name(self, row: Row) -> Callable[[], Mapping[str, Cell]]:
        """Return what makes all of the row's cells by the table's own names."""
        return lambda: dict(zip(self.header, [*row.cells, *[None] * len(self.header)], strict=False))


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
        sheet for sheet in all_sheet_types() if all(folded_title(column.title) in titles for column in needed(sheet))
    ]
    return fitting[0] if len(fitting) == 1 else None


def needed(sheet: SheetType) -> Iterator[Column]:
    """Iterate over the columns without which no row can be published."""
    return (column for column in sheet.columns if column.required and not column.unless)


def unprovided(plan: Plan) -> list[Column]:
    """Return the required columns for which a plan has no rule: such a plan would lose every row."""
    if plan.fields is None:
        return []
    given = set(plan.fields)
    # Whose columns are described in the file has no cell in which an id of ours could be kept.
    lacking = [column for column in needed(plan.sheet) if column.key not in given and column.fills in (None, Fill.ID)]
    for column in plan.sheet.columns:
        other = column.unless.strip("/").replace("/", ".")
        instead = column.unless and any(key == other or key.startswith(f"{other}.") for key in given)
        if column.required and column.unless and column.key not in given and not instead:
            lacking.append(column)
    return lacking


def lay_out(plan: Plan, header: Sequence[str]) -> Layout:
    """Find our columns in a header, in any order. Raises `SourceError` when one is missing or there twice."""
    header = tuple(header)
    return _by_titles(plan, header) if plan.fields is None else _by_rules(plan, header, plan.fields)


def _by_rules(plan: Plan, header: tuple[str, ...], fields: Mapping[str, Rule]) -> Layout:
    wanted = {folded_title(name) for name in plan.columns}
    places: dict[str, int] = {}
    for place, title in enumerate(header):
        folded = folded_title(title)
        if folded in places and folded in wanted:
            raise _changed_header(f"Kolonnen {quoted(title)} findes to gange. Slet eller omdøb den ene.", title)
        places.setdefault(folded, place)
    missing = [name for name in plan.columns if folded_title(name) not in places]
    if not any(header):
        raise SourceError(
            "empty-sheet",
            f"Arket er tomt: der er ingen overskrifter. Gem det igen med {_listed(plan.columns)}.",
        )
    if missing:
        raise _changed_header(_missing(missing, header), missing[0])
    placed = []
    for key, rule in fields.items():
        names = rule.names
        at = places[folded_title(names[0])] if names else None
        placed.append(Placed(plan.by_key[key], at, None if rule.plain_column else rule))
    left_out = [title for title in header if title and folded_title(title) not in wanted]
    notices = (f"Disse kolonner bliver ikke sendt: {_listed(left_out)}.",) if left_out else ()
    return Layout(plan, header, tuple(placed), None, places, notices)


def _missing(missing: Sequence[str], header: Sequence[str]) -> str:
    parts = []
    for name in missing[:SHOWN_TITLES_MAX]:
        near = difflib.get_close_matches(folded_title(name), map(folded_title, header), 1, LIKE_A_TITLE)
        meant = next((title for title in header if [folded_title(title)] == near), None)
        parts.append(f"Kolonnen {quoted(name)} mangler" + (f"; hedder den nu {quoted(meant)}?" if meant else "."))
    return (
        f"{' '.join(parts)} Kilden har kolonnerne {_listed(header)}. Ret kilden eller forbindelsesfilen; "
        "ingen rækker herfra er sendt."
    )


def _by_titles(plan: Plan, header: tuple[str, ...]) -> Layout:
    sheet = plan.sheet
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
    placed = tuple(Placed(column, places[folded], None) for folded, column in known.items() if folded in places)
    notices = (f"Disse kolonner kender vi ikke, og de bliver ikke sendt: {_listed(unknown)}.",) if unknown else ()
    return Layout(plan, header, placed, places.get(folded_title(CHANGED_TITLE)), places, notices)


def _changed_header(message: str, column: str | None = None) -> SourceError:
    return SourceError("changed-header", message, row=1, column=column)


def _check_titles(sheet: SheetType, found: set[str], unknown: Sequence[str]) -> None:
    """Refuse a header that lacks what is required, or in which one of our titles seems to be misspelt."""
    absent = {folded_title(column.title): column for column in sheet.columns if folded_title(column.title) not in found}
    missing = [column.title for column in needed(sheet) if folded_title(column.title) in absent]
    misspelt = []
    for title in unknown:
        near = difflib.get_close_matches(folded_title(title), absent, 1, LIKE_A_TITLE)
        misspelt += [f"{quoted(title)} skal måske hedde »{absent[near[0]].title}«" for _ in near]
    if missing or misspelt:
        parts = [f"Kolonnen »{title}« mangler." for title in missing[:SHOWN_TITLES_MAX]]
        parts += [f"Kolonnen {text}." for text in misspelt]
        raise _changed_header(" ".join(parts) + " Ret overskrifterne i række 1; ingen rækker fra arket er sendt.")


def _listed(titles: Sequence[str]) -> str:
    shown = ", ".join(quoted(title) for title in titles[:SHOWN_TITLES_MAX])
    more = f" og {len(titles) - SHOWN_TITLES_MAX} til" if len(titles) > SHOWN_TITLES_MAX else ""
    return f"{shown}{more}"
