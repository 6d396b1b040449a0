"""Read a spreadsheet file into rows that may be published, and say what is wrong with the others."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from municipality_connectors.changes import content_digest
from municipality_connectors.checking import check_row
from municipality_connectors.dates import COPENHAGEN, iso_moment
from municipality_connectors.mapping import Fault, Layout, fitting_sheet, folded_title, is_known_title, lay_out, map_row
from municipality_connectors.report import Notice, Refusal
from municipality_connectors.sheet_file import Row, SheetError, SheetFile, SheetLocked, column_letter
from municipality_connectors.sheet_types import Column, Fill, SheetType, all_sheet_types
from municipality_connectors.sources.delimited import DelimitedFile
from municipality_connectors.sources.excel import ExcelFile
from schemas.identifiers import ID_PROPERTIES
from schemas.registry import Registry

SHEET_ENDINGS = (".xlsx", ".csv", ".txt", ".tsv")
_ID_LETTERS = "23456789BCDFGHJKMNPQRSTVWXZ"
"""Of new ids: no vowels, so no words; nothing that looks like another letter or that Excel takes for a number."""

_OWN_WORKSHEETS = ("vejledning", "lister")
"""Worksheets of our examples that hold no rows."""


@dataclass(slots=True)
class ReadRow:
    """One row that may be published. data: its JSON; changed_us: when it was changed, where the sheet says so."""

    sheet: SheetType
    worksheet: str | None
    number: int
    subject: str
    data: bytes
    content: bytes
    changed_us: int | None


@dataclass(slots=True)
class ReadFile:
    """What a file holds. rows: with content, the refused ones included; filled: cells that were written."""

    good: list[ReadRow] = field(default_factory=list)
    rows: int = 0
    filled: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class Incomplete(NamedTuple):
    """A row that is right but for cells that fill themselves."""

    number: int
    data: dict[str, Any]
    missing: tuple[Column, ...]
    changed_us: int | None


class SheetReader:
    """Reads sheet files. fill: whether cells that fill themselves are written; not so when only validating."""

    def __init__(
        self,
        registry: Registry,
        participant: str,
        *,
        fill: bool,
        now_us: Callable[[], int],
        on_row: Callable[[str, int], None] = lambda _file, _rows: None,
    ) -> None:
        self._registry, self._participant, self._fill, self._now_us, self._on_row = (
            registry,
            participant,
            fill,
            now_us,
            on_row,
        )

    def read(self, path: Path) -> ReadFile:
        """Read a file; what is wrong with it is in the result, nothing is raised."""
        result = ReadFile()
        try:
            file = open_sheet_file(path)
            for worksheet, sheet in self._sheets(file, result):
                try:
                    _WorksheetReading(self, file, sheet, worksheet, result).run()
                except SheetError as error:
                    result.refusals.append(_refusal(path, error, worksheet))
        except SheetError as error:
            result.refusals.append(_refusal(path, error, None))
        return result

    def _sheets(self, file: SheetFile, result: ReadFile) -> Iterator[tuple[str | None, SheetType]]:
        """Yield the file's worksheets that are ours. Raises `SheetError` when none is."""
        names = file.worksheet_names()
        if names == [None]:
            yield None, _sheet_of_csv(file)
            return
        ours = {folded_title(sheet.worksheet): sheet for sheet in all_sheet_types()}
        known = [(name, ours[folded_title(name)]) for name in names if name is not None and folded_title(name) in ours]
        unknown = [
            f"»{name}«" for name in names if name is not None and folded_title(name) not in (*ours, *_OWN_WORKSHEETS)
        ]
        if not known:
            wanted = ", ".join(f"»{sheet.worksheet}«" for sheet in all_sheet_types())
            raise SheetError(
                "wrong-sheet", f"Filen har ingen af arkene {wanted}; den har {', '.join(unknown)}. Omdøb fanen."
            )
        if unknown:
            result.notices.append(
                Notice(str(file.path), f"Disse faner kender vi ikke, og de blev ikke læst: {', '.join(unknown)}.")
            )
        yield from known


def open_sheet_file(path: Path) -> SheetFile:
    """Open a file by its ending. Raises `SheetError`."""
    if path.suffix.lower() in (".csv", ".txt", ".tsv"):
        return DelimitedFile(path, is_known_title)
    return ExcelFile(path)


def _sheet_of_csv(file: SheetFile) -> SheetType:
    stem = folded_title(file.path.stem)
    for sheet in all_sheet_types():
        if stem.startswith((sheet.file_name, folded_title(sheet.worksheet))):
            return sheet
    fitting = fitting_sheet(file.worksheet(None).header)
    if fitting is None:
        wanted = ", ".join(f"{known.file_name}.csv" for known in all_sheet_types())
        raise SheetError(
            "wrong-sheet",
            f"Vi kan ikke se, hvad filen indeholder. Giv den et navn, der begynder som et af disse: {wanted}, "
            "og brug overskrifterne fra eksemplet.",
        )
    return fitting


class _WorksheetReading:
    """Reads one worksheet into a result."""

    def __init__(
        self, reader: SheetReader, file: SheetFile, sheet: SheetType, worksheet: str | None, result: ReadFile
    ) -> None:
        self._reader, self._file, self._sheet, self._worksheet, self._result = reader, file, sheet, worksheet, result
        self._path = str(file.path)
        self._good: list[ReadRow] = []
        self._incomplete: list[Incomplete] = []

    def run(self) -> None:
        """Read all rows, fill what is missing, and refuse what is there twice. Raises `SheetError`."""
        source = self._file.worksheet(self._worksheet)
        layout = lay_out(self._sheet, source.header)
        for text in (*source.remarks, *layout.notices):
            self._notice(text)
        rows = 0
        for row in source.rows:
            rows += 1
            self._take(layout, row, source.days_shift)
            if rows % 500 == 0:
                self._reader._on_row(self._path, rows)  # noqa: SLF001  # one class in two
        self._result.rows += rows
        if rows == 0:
            raise SheetError("empty-sheet", "Arket er tomt: der er ingen rækker under overskrifterne.")
        if self._incomplete:
            self._complete(layout)
        self._result.good += self._without_twins(layout)

    def _take(self, layout: Layout, row: Row, days_shift: int) -> None:
        mapped = map_row(layout, row, days_shift)
        data, faults = mapped.data, list(mapped.faults)
        if not faults:
            values = self._values(mapped.missing) if mapped.missing else {}
            faults = check_row(self._reader._registry, self._reader._participant, self._sheet, data | values)  # noqa: SLF001
        if faults:
            for fault in faults:
                self._refuse(layout, row.number, fault, str(data.get(ID_PROPERTIES[self._sheet.name], "")))
            return
        changed_us = int(mapped.changed.timestamp() * 1_000_000) if mapped.changed is not None else None
        if mapped.missing:
            self._incomplete.append(Incomplete(row.number, data, mapped.missing, changed_us))
        else:
            self._good.append(self._good_row(row.number, data, changed_us))

    def _good_row(self, number: int, data: dict[str, Any], changed_us: int | None) -> ReadRow:
        subject = data[ID_PROPERTIES[self._sheet.name]]
        content = content_digest(self._sheet.dataschema, data)
        # orjson leaves its texts in buffers several times their size; a copy has just the size it needs.
        text = bytes(memoryview(orjson.dumps(data)))
        return ReadRow(self._sheet, self._worksheet, number, subject, text, content, changed_us)

    # --- cells that fill themselves -------------------------------------------------------------

    def _values(self, missing: tuple[Column, ...]) -> dict[str, Any]:
        """Return new values for columns that fill themselves; all of them stand at the top of `data`."""
        return {column.path[-1]: self._value(column) for column in missing}

    def _value(self, column: Column) -> str:
        if column.fills is Fill.ID:
            letters = "".join(secrets.choice(_ID_LETTERS) for _ in range(10))
            return f"{self._sheet.id_prefix}-{letters[:5]}-{letters[5:]}"
        now = datetime.fromtimestamp(self._reader._now_us() // 60_000_000 * 60, UTC).astimezone(COPENHAGEN)  # noqa: SLF001
        return iso_moment(now)

    def _complete(self, layout: Layout) -> None:
        """Write what is missing into the sheet; rows whose cells cannot be written are refused."""
        cells: dict[tuple[int, int], str] = {}
        rows = []
        for row in self._incomplete:
            values = self._values(row.missing)
            for column in row.missing:
                place = layout.place_of(column.title)
                if place is not None:
                    cells[row.number, place] = _shown(values[column.path[-1]], column)
            rows.append(self._good_row(row.number, row.data | values, row.changed_us))
        reason = self._file.lock_reason()
        if not self._reader._fill:  # noqa: SLF001
            what = f"{len(rows)} rækker mangler id eller tidspunkt; publish skriver dem i arket."
            self._notice(f"{what} {reason}" if reason else what)
        elif not self._filled(cells, layout):
            return
        self._good = sorted([*self._good, *rows], key=lambda row: row.number)

    def _filled(self, cells: dict[tuple[int, int], str], layout: Layout) -> bool:
        try:
            self._file.fill(self._worksheet, cells)
        except SheetLocked as error:
            for row in self._incomplete:
                titles = " og ".join(f"»{column.title}«" for column in row.missing)
                message = f"{titles} er tom, og arket kan ikke skrives nu. {error.message} Rækken er ikke sendt."
                self._refuse(layout, row.number, Fault(row.missing[0].title, message, "locked"))
            return False
        self._result.filled += len(cells)
        return True

    # --- refusing -------------------------------------------------------------------------------

    def _without_twins(self, layout: Layout) -> list[ReadRow]:
        """Refuse all rows that share an id: nobody but their owner knows which of them is meant."""
        by_subject: dict[str, list[ReadRow]] = {}
        for row in self._good:
            by_subject.setdefault(row.subject, []).append(row)
        for twins in by_subject.values():
            for row in twins if len(twins) > 1 else ():
                other = next(twin.number for twin in twins if twin is not row)
                message = (
                    f"Id'et {row.subject} står også i række {other}. Et id hører til én række: ret det ene, "
                    "eller tøm cellen i den nye række, så den får sit eget id."
                )
                self._refuse(
                    layout, row.number, Fault(self._sheet.columns[0].title, message, "duplicate-id"), row.subject
                )
        return [row for row in self._good if len(by_subject[row.subject]) == 1]

    def _refuse(self, layout: Layout, number: int, fault: Fault, subject: str = "") -> None:
        place = layout.place_of(fault.title)
        cell = f"{column_letter(place)}{number}" if place is not None else None
        self._result.refusals.append(
            Refusal(
                self._path, fault.problem, fault.message, self._worksheet, number, fault.title, cell, subject or None
            )
        )

    def _notice(self, message: str) -> None:
        self._result.notices.append(Notice(self._path, message, self._worksheet))


def _shown(value: str, column: Column) -> str:
    shown = column.kind.show(value)
    return shown.strftime("%d-%m-%Y %H:%M") if isinstance(shown, datetime) else str(shown)


def _refusal(path: Path, error: SheetError, worksheet: str | None) -> Refusal:
    return Refusal(str(path), error.problem, error.message, worksheet, error.row, error.column)


def now_us() -> int:
    """Return UTC microseconds since 1970 by the machine's clock."""
    return time.time_ns() // 1000
