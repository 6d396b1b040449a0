"""From a table's rows to rows that may be published, and what is wrong with the others."""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from municipality_connectors.mapping.changes import content_digest
from municipality_connectors.mapping.checking import check_row
from municipality_connectors.mapping.dates import COPENHAGEN, iso_moment
from municipality_connectors.mapping.plan import Layout, Plan, lay_out
from municipality_connectors.mapping.rows import Fault, Mapped, RowMapper, is_wanted
from municipality_connectors.mapping.sheet_types import Column, Fill, SheetType
from municipality_connectors.mapping.withdrawing import withdrawn
from municipality_connectors.report import Notice, Refusal
from municipality_connectors.state.outbox import Place
from municipality_connectors.state.staging import StagedRow
from municipality_connectors.tables import Row, SourceError, SourceLocked, Table
from schemas.cpr import holds_cpr
from schemas.identifiers import SUBJECT
from schemas.registry import Registry

_ID_LETTERS = "23456789BCDFGHJKMNPQRSTVWXZ"
"""Of new ids: no vowels, so no words; nothing that looks like another letter or that Excel takes for a number."""

PROGRESS_ROWS = 500

_LIKE_A_CITIZEN = re.compile(r"[0-9]{6}-?[0-9]{4}")
_CITIZENS_ID = (
    "Id'et ligner et CPR-nummer. Vælg en anden kolonne som id; oplysninger om borgere må aldrig sendes. Er det sagens "
    "eget nummer, så sæt noget foran: { template = 'O-{kolonnen}' }."
)


@dataclass(slots=True)
class Told:
    """What is said of a portion. rows: with content, the refused ones included; wanted: those of them that the
    description's conditions choose; filled: cells that were written.

    blind: rows of which not even the thing's id can be read. cut_off: whether a table's last row was refused, as that
    of a file would be that is not written to its end.
    """

    rows: int = 0
    wanted: int = 0
    filled: int = 0
    blind: int = 0
    cut_off: bool = False
    refusals: list[Refusal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class SeenThing(NamedTuple):
    """A thing whose row cannot be published as it is."""

    name: str
    subject: str
    place: Place


class _Incomplete(NamedTuple):
    """A row that is right but for cells that fill themselves."""

    number: int
    mapped: Mapped


@dataclass(frozen=True)
class RowReader:
    """Reads tables. fill: whether cells that fill themselves are written where they can be; not when only looking."""

    registry: Registry
    participant: str
    fill: bool
    now_us: Callable[[], int]
    on_row: Callable[[str, int], None] = lambda _place, _rows: None

    def read(self, place: str, plan: Plan, table: Table, told: Told) -> Iterator[StagedRow | SeenThing]:
        """Iterate over a table's rows that may be published; the others are told.

        A row that cannot be published, but whose thing is known, gives that thing's type and id as a `SeenThing`.
        Raises `SourceError`.
        """
        return _TableReading(self, place, plan, table, told).run()


class _TableReading:
    """Reads one table."""

    def __init__(self, reader: RowReader, place: str, plan: Plan, table: Table, told: Told) -> None:
        self._reader, self._place, self._plan, self._table, self._told = reader, place, plan, table, told
        self._sheet: SheetType = plan.sheet
        self._id = self._sheet.columns[0]
        self._incomplete: list[_Incomplete] = []

    def run(self) -> Iterator[StagedRow | SeenThing]:
        layout = lay_out(self._plan, self._table.header)
        self._mapper = RowMapper(layout, self._table.days_shift)
        for text in (*self._table.remarks, *layout.notices):
            self._notice(text)
        rows = refused = 0
        for row in self._table.rows:
            rows, refused = rows + 1, len(self._told.refusals)
            if is_wanted(layout, row):
                self._told.wanted += 1
                yield from self._take(layout, row)
            if rows % PROGRESS_ROWS == 0:
                self._reader.on_row(self._place, rows)
        self._told.rows += rows
        self._told.cut_off = self._told.cut_off or refused < len(self._told.refusals)
        if rows == 0 and not self._table.may_be_empty:
            raise SourceError("empty-sheet", "Arket er tomt: der er ingen rækker under overskrifterne.")
        if self._incomplete:
            yield from self._complete(layout)

    def _take(self, layout: Layout, row: Row) -> Iterator[StagedRow | SeenThing]:
        mapped = self._mapper.map(row)
        faults = list(mapped.faults)
        if self._id in mapped.missing and self._table.file is None:
            faults.append(Fault(self._id.title, f"»{self._id.title}« skal udfyldes: den siger, hvilken sag det er."))
        subject = str(mapped.data.get(self._id.path[-1], ""))
        if _LIKE_A_CITIZEN.fullmatch(subject) and holds_cpr(subject):
            # Not even its owner is told which: what is told stands in logs.
            self._refuse(layout, row.number, Fault(self._id.title, _CITIZENS_ID, "citizen-number"), "")
            self._told.blind += 1
            return
        if mapped.gone and faults and SUBJECT.fullmatch(subject):
            # A message that a thing was deleted often has no more than its id.
            yield self._gone(row.number, subject)
            return
        if not faults:
            data = self._taken_back(mapped) | self._values(mapped.missing)
            faults = check_row(self._reader.registry, self._reader.participant, self._sheet, data)
        if faults:
            yield from self._refused(layout, row.number, mapped, faults)
        elif mapped.missing and self._table.file is not None:
            self._incomplete.append(_Incomplete(row.number, mapped))
        else:
            yield self._staged(row.number, mapped, mapped.missing)

    def _refused(
        self, layout: Layout, number: int, mapped: Mapped, faults: list[Fault]
    ) -> Iterator[StagedRow | SeenThing]:
        subject = str(mapped.data.get(self._id.path[-1], ""))
        for fault in faults:
            self._refuse(layout, number, fault, subject)
        if SUBJECT.fullmatch(subject):
            yield SeenThing(self._sheet.name, subject, self._at(number))
        else:
            self._told.blind += 1

    def _gone(self, number: int, subject: str) -> StagedRow:
        """Return a row that says of a thing only that it is gone."""
        sheet = self._sheet
        return StagedRow(sheet.name, subject, b"", b"", None, True, sheet.dataschema, self._at(number))

    def _taken_back(self, mapped: Mapped) -> dict[str, Any]:
        return withdrawn(self._sheet.name, mapped.data) if mapped.gone else mapped.data

    def _staged(self, number: int, mapped: Mapped, noticed: tuple[Column, ...] = ()) -> StagedRow:
        data = self._taken_back(mapped)
        changed_us = int(mapped.changed.timestamp() * 1_000_000) if mapped.changed is not None else None
        # orjson leaves its texts in buffers several times their size; a copy has just the size it needs.
        text = bytes(memoryview(orjson.dumps(data)))
        return StagedRow(
            self._sheet.name, data[self._id.path[-1]], content_digest(self._sheet.dataschema, data), text, changed_us,
            mapped.gone, self._sheet.dataschema, self._at(number), noticed[0].path[-1] if noticed else None,
        )  # fmt: skip

    def _at(self, number: int) -> Place:
        return Place(self._place, self._table.name, number)

    # --- cells that fill themselves -------------------------------------------------------------

    def _values(self, missing: tuple[Column, ...]) -> dict[str, Any]:
        """Return new values for columns that fill themselves; all of them stand at the top of `data`."""
        return {column.path[-1]: self._value(column) for column in missing}

    def _value(self, column: Column) -> str:
        if column.fills is Fill.ID:
            letters = "".join(secrets.choice(_ID_LETTERS) for _ in range(10))
            return f"{self._sheet.id_prefix}-{letters[:5]}-{letters[5:]}"
        return noticed_at(self._reader.now_us())

    def _complete(self, layout: Layout) -> Iterator[StagedRow]:
        """Write what is missing into the sheet; rows whose cells cannot be written are refused."""
        assert self._table.file is not None  # noqa: S101  # else nothing was put aside
        cells: dict[tuple[int, int], str] = {}
        rows = []
        for row in self._incomplete:
            values = self._values(row.mapped.missing)
            for column in row.mapped.missing:
                place = layout.place_of(column.title)
                if place is not None:
                    cells[row.number, place] = _shown(values[column.path[-1]], column)
            rows.append((row.number, row.mapped._replace(data=row.mapped.data | values)))
        reason = self._table.file.lock_reason()
        if not self._reader.fill:
            what = f"{len(rows)} rækker mangler id eller tidspunkt; publish skriver dem i arket."
            self._notice(f"{what} {reason}" if reason else what)
        elif not self._filled(cells, layout):
            return
        yield from (self._staged(number, mapped) for number, mapped in rows)

    def _filled(self, cells: Mapping[tuple[int, int], str], layout: Layout) -> bool:
        assert self._table.file is not None  # noqa: S101
        try:
            self._table.file.fill(self._table.name, cells)
        except SourceLocked as error:
            for row in self._incomplete:
                missing = row.mapped.missing
                titles = " og ".join(f"»{column.title}«" for column in missing)
                message = f"{titles} er tom, og arket kan ikke skrives nu. {error.message} Rækken er ikke sendt."
                self._refuse(layout, row.number, Fault(missing[0].title, message, "locked"))
                self._told.blind += 1
            return False
        self._told.filled += len(cells)
        return True

    # --- telling --------------------------------------------------------------------------------

    def _refuse(self, layout: Layout, number: int, fault: Fault, subject: str = "") -> None:
        cell = layout.cell_name(fault.title, number) if self._table.lettered else None
        self._told.refusals.append(
            Refusal(
                self._place, fault.problem, fault.message, self._table.name, number,
                layout.plan.theirs(fault.title), cell, subject or None,
            )
        )  # fmt: skip

    def _notice(self, message: str) -> None:
        self._told.notices.append(Notice(self._place, message, self._table.name))


def noticed_at(now: int) -> str:
    """Return a time as an event holds it, to the minute. now: UTC microseconds."""
    return iso_moment(datetime.fromtimestamp(now // 60_000_000 * 60, UTC).astimezone(COPENHAGEN))


def _shown(value: str, column: Column) -> str:
    shown = column.kind.show(value)
    return shown.strftime("%d-%m-%Y %H:%M") if isinstance(shown, datetime) else str(shown)


def now_us() -> int:
    """Return UTC microseconds since 1970 by the machine's clock."""
    return time.time_ns() // 1000
