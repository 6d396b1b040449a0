"""Propose a mapping from what a source has: its columns, and a sample of its rows. Pure."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from municipality_connectors.mapping.cells import CellError, Choice, Identifier, Kind, ListOf, plain
from municipality_connectors.mapping.plan import needed
from municipality_connectors.mapping.rules import Rule, is_form
from municipality_connectors.mapping.sheet_types import Column, Fill, SheetType, all_sheet_types
from municipality_connectors.new.synonyms import CAUTIOUS, CHANGED, SYNONYMS
from municipality_connectors.tables import Cell, is_blank, quoted

NEAR_ENOUGH = 0.86
VALUES_SHOWN_MAX = 30
SEPARATORS = (";", "\n", ",")
"""Signs between several values in one cell, the surest first."""

FORMS = ("dd.MM.yyyy HH:mm", "dd-MM-yyyy HH:mm", "MM/dd/yyyy", "MM/dd/yyyy HH:mm", "yyyyMMdd", "unix", "unix-ms")
"""Ways of writing dates that are tried on a sample that cannot be read as it is."""

_OF_AN_ID = re.compile("[A-Za-z0-9._-]")

PRIVATE = re.compile(r"cpr|personnummer|borger|intern|notat|note\b|bemærkning|kommentar|adgangskode", re.IGNORECASE)
"""Names of columns that are never proposed, whatever else they look like."""


class Sample(NamedTuple):
    """What is known of a source. header: its columns; rows: some of them."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column(self, name: str) -> list[Cell]:
        """Return what stands in a column, without blanks."""
        place = self.header.index(name)
        return [row[place] for row in self.rows if place < len(row) and not is_blank(row[place])]

    def without(self, names: AbstractSet[str]) -> "Sample":
        """Return it without some of its columns' names."""
        return Sample(tuple("" if name in names else name for name in self.header), self.rows)


@dataclass(frozen=True)
class Hints:
    """What is known of a system before its columns are seen.

    names: by our field, what it may be called there, the surest first. prefixes: by our field, what stands before
    their value in ours. codes: by our field, their values and ours. never: names that are not proposed. remark: for
    a field that is proposed by it.
    """

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    never: frozenset[str] = frozenset()
    remark: str = ""


NO_HINTS = Hints()


@dataclass(frozen=True)
class ProposedField:
    """A field of the proposal. column: theirs, or None for a constant `value`. remark: for its owner, in Danish.

    codes: their values, each with ours where it is plain what it means, else None. split: the sign between several
    values in one cell. prefix: what stands before their value in ours. replace: their signs, and what takes the place
    of each. missing: required, and nothing could be
    proposed.
    """

    target: Column
    column: str | None = None
    value: str | None = None
    codes: Mapping[str, str | None] = field(default_factory=dict)
    split: str = ""
    prefix: str = ""
    replace: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    remark: str = ""
    missing: bool = False


def squeezed(name: str) -> str:
    """Return a column's name without what people vary: case, spaces, signs, and how a machine spells æ, ø and å."""
    # A point before a space ends an abbreviation, as in »Løn pr. time«; any other leads into a document.
    letters = re.sub(r"[\W_]+", "", re.split(r"\.(?=\S)", name.rstrip("."))[-1].casefold())
    return letters.replace("æ", "ae").replace("ø", "oe").replace("å", "aa")


def fitting_type(sample: Sample) -> SheetType:
    """Return the type whose fields fit the columns best."""

    def fit(sheet: SheetType) -> float:
        found = sum(_column_for(column, sample, set()) is not None for column in sheet.columns)
        required = list(needed(sheet))
        there = sum(_column_for(column, sample, set()) is not None for column in required)
        return there / len(required) + found / 100

    return max(all_sheet_types(), key=fit)


def propose(sheet: SheetType, sample: Sample, participant: str, hints: Hints = NO_HINTS) -> list[ProposedField]:
    """Return a field for each that can be proposed, and each that is required, in the order of our columns."""
    hinted = _hinted(sheet, sample, hints)
    # What stands behind a prefix is the same value once more, and keeps no other field from its column.
    taken = {name for key, name in hinted.items() if key not in hints.prefixes}
    found = dict(hinted)
    sample = sample.without({name for name in sample.header if squeezed(name) in set(map(squeezed, hints.never))})
    for exact in (True, False):
        for column in sheet.columns:
            if column.key not in found and (name := _column_for(column, sample, taken, exact=exact)) is not None:
                found[column.key] = name
                taken.add(name)
    fields = []
    for column in sheet.columns:
        if column.key in found:
            proposed = from_column(column, found[column.key], sample, hints)
            by_hint = column.key in hinted and not proposed.remark
            fields.append(replace(proposed, remark=hints.remark) if by_hint else proposed)
        elif column.key in CAUTIOUS and column.required:
            value, remark = CAUTIOUS[column.key]
            fields.append(ProposedField(column, value=value, remark=remark))
        elif column.key == "workplace.municipality" and participant.isdigit():
            remark = "Jeres egen kommune, når ingen kolonne siger andet."
            fields.append(ProposedField(column, value=participant, remark=remark))
        elif (
            column.required and column.fills in (None, Fill.ID) and not (column.unless and _given(column.unless, found))
        ):
            fields.append(ProposedField(column, missing=True, remark=column.hint))
    return fields


def _hinted(sheet: SheetType, sample: Sample, hints: Hints) -> dict[str, str]:
    """Return the columns that go by a name that is known of the system, by our field."""
    by_name = {squeezed(name): name for name in reversed(sample.header)}
    found = {}
    for column in sheet.columns:
        names = (by_name.get(squeezed(name)) for name in hints.names.get(column.key, ()))
        if (name := next(filter(None, names), None)) is not None:
            found[column.key] = name
    return found


def _given(pointer: str, found: Iterable[str]) -> bool:
    return any(key.startswith(pointer.strip("/").replace("/", ".")) for key in found)


def changed_column(sample: Sample) -> str | None:
    """Return the column that says when a row was changed, where one seems to."""
    return next((name for name in sample.header if squeezed(name) in set(map(squeezed, CHANGED))), None)


def _column_for(column: Column, sample: Sample, taken: set[str], *, exact: bool = False) -> str | None:
    names = {squeezed(column.title), squeezed(column.key), *SYNONYMS.get(column.key, ())}
    names = {squeezed(name) for name in names}
    free = [name for name in sample.header if name and name not in taken and not PRIVATE.search(name)]
    by_name = {squeezed(name): name for name in reversed(free)}
    for name in (squeezed(column.title), *map(squeezed, SYNONYMS.get(column.key, ())), squeezed(column.key)):
        if name in by_name and not (len(name) < 3 and column.key.count(".")):  # noqa: PLR2004  # nr and id mean the row
            return by_name[name]
    if exact:
        return None
    for name in sorted(names, key=len, reverse=True):
        near = difflib.get_close_matches(name, by_name, 1, NEAR_ENOUGH)
        if near and len(name) > 4:  # noqa: PLR2004  # short names are alike by chance
            return by_name[near[0]]
    return None


def answered(missing: ProposedField, answer: str, sample: Sample, hints: Hints = NO_HINTS) -> ProposedField:
    """Return a field as its owner says that it is: a column's name, or = and a value that is always the same.

    Raises `ValueError`, in Danish.
    """
    target = missing.target
    if answer.startswith("="):
        value = answer[1:].strip()
        if not value:
            raise ValueError("Skriv noget efter =.")
        try:
            target.kind.parse(value)
        except CellError as error:
            raise ValueError(str(error)) from None
        return ProposedField(target, value=value)
    if answer in sample.header:
        return from_column(target, answer, sample, hints)
    meant = [name for name in sample.header if name and squeezed(name) == squeezed(answer)]
    if len(meant) > 1:
        raise ValueError(f"Hvilken af dem: {', '.join(meant)}?")
    if not meant:
        raise ValueError(f"Kilden har ingen kolonne, der hedder {answer}.")
    return from_column(target, meant[0], sample, hints)


def from_column(column: Column, name: str, sample: Sample, hints: Hints) -> ProposedField:
    """Return a field that has a column, with what its values need to be understood."""
    cells = sample.column(name)
    kind = column.kind
    if column.key in hints.prefixes:
        return ProposedField(column, name, prefix=hints.prefixes[column.key])
    known = hints.codes.get(column.key, {})
    if not known and _all_read(kind, cells):
        return ProposedField(column, name)
    if kind.is_moment:
        form = next((form for form in FORMS if is_form(form) and _all_read(kind, cells, form)), "")
        return ProposedField(column, name, date=form, remark="" if form else _dates_remark(kind, cells))
    if isinstance(kind, Identifier):
        signs = sorted({sign for cell in cells for sign in str(cell) if not _OF_AN_ID.fullmatch(sign)})
        return ProposedField(
            column, name, replace=dict.fromkeys(signs, "-"), remark="Tegn, der ikke må være i et id, bliver til -."
        )
    choice = kind.item if isinstance(kind, ListOf) else kind
    if isinstance(choice, Choice):
        remark = f"Vores værdier: {', '.join(choice.codes)}."
        split = _separator(cells) if isinstance(kind, ListOf) else ""
        texts = [str(cell) for cell in cells]
        parts = [part.strip() for text in texts for part in text.split(split)] if split else texts
        return ProposedField(column, name, codes=_codes(choice, parts, known), split=split, remark=remark)
    return ProposedField(column, name, remark="Nogle af rækkerne kan ikke læses; prøv med --dry-run.")


def _dates_remark(kind: Kind, cells: Sequence[Cell]) -> str:
    unread = [cell for cell in cells if not _all_read(kind, [cell])]
    if len(unread) == len(cells):
        return "Vi kan ikke læse datoerne: skriv i date, hvordan de er skrevet."
    return f"Nogle af rækkerne har ingen dato, fx {quoted(str(unread[0]))}; de afvises, eller vælg dem fra med when."


def _separator(cells: Sequence[Cell]) -> str:
    return next((sign for sign in SEPARATORS if any(sign in str(cell) for cell in cells)), "")


def _all_read(kind: Kind, cells: Sequence[Cell], form: str = "") -> bool:
    rule = Rule(columns=("x",), date=form)
    for cell in cells:
        try:
            kind.parse(rule.cell({"x": cell}.get, dict))
        except CellError:
            return False
    return True


def _codes(choice: Choice, cells: Sequence[Cell], known: Mapping[str, str]) -> dict[str, str | None]:
    """Return their values, most frequent first, each with ours where it is known or its own words say it."""
    counts: dict[str, int] = {}
    for cell in cells:
        try:
            text = plain(cell)
        except CellError:
            continue
        counts[text] = counts.get(text, 0) + 1
    codes: dict[str, str | None] = dict(known)
    for text in sorted(counts.keys() - known, key=lambda text: (-counts[text], text))[:VALUES_SHOWN_MAX]:
        try:
            codes[text] = choice.parse(text)
        except CellError:
            codes[text] = None
    return codes
