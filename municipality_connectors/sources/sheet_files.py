"""Spreadsheet files as a source: named ones, or those of a folder that fit a pattern."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from municipality_connectors.mapping.plan import Plan, fitting_sheet, folded_title, is_known_title
from municipality_connectors.mapping.sheet_types import SheetType, all_sheet_types
from municipality_connectors.sources.delimited import DelimitedFile
from municipality_connectors.sources.excel import ExcelFile
from municipality_connectors.sources.folders import Files, files_in
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.sources.replacing import read_file
from municipality_connectors.tables import SheetFile, SourceError, Table

DELIMITED_ENDINGS = (".csv", ".txt", ".tsv")
SHEET_ENDINGS = (".xlsx", *DELIMITED_ENDINGS)

_OWN_WORKSHEETS = ("vejledning", "lister")
"""Worksheets of our examples that hold no rows."""

Chosen = tuple[Plan, str | None]
"""A plan, and the worksheet that it is for."""

Choose = Callable[[SheetFile], tuple[list[Chosen | SourceError], str | None]]
"""From a file to its worksheets that are read, and what its owner should know of the others."""


@dataclass(frozen=True)
class SheetSettings:
    """How files are read. fingerprint: changes whenever a file has to be read anew. header_row: from 1.

    write: whether missing ids may be filled in.
    """

    choose: Choose
    fingerprint: bytes
    is_title: Callable[[str], bool] = is_known_title
    header_row: int = 1
    write: bool = True


class SheetFiles:
    """The files of one source."""

    def __init__(self, settings: SheetSettings, files: Files) -> None:
        self._settings, self._files = settings, files

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:  # noqa: ARG002  # a file tells by itself
        """Iterate over the files in the order of their names. Raises `SourceError`."""
        for found in files_in(self._files, SHEET_ENDINGS):
            yield found if isinstance(found, SourceError) else SheetPortion(found, self._settings)


class SheetPortion(Portion):
    """One file."""

    def __init__(self, path: Path, settings: SheetSettings) -> None:
        self.place = str(path)
        self._path, self._settings = path, settings
        self._raw: bytes | None = None

    def is_as_marked(self, mark: bytes) -> bool:
        """Whether its content is what was read."""
        self._raw = read_file(self._path)
        return mark == self._mark_of(self._raw)

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Iterate over the worksheets that are read."""
        file = open_sheet_file(self._path, self._settings.is_title, self._raw)
        self._raw = None
        chosen, remark = self._settings.choose(file)
        for choice in chosen:
            if isinstance(choice, SourceError):
                yield choice
                continue
            plan, name = choice
            try:
                table = file.worksheet(name, self._settings.header_row)
            except SourceError as error:
                yield error.within(name)
                continue
            remarks = (*table.remarks, *([remark] if remark else []))
            remark = None
            yield plan, table._replace(file=file if self._settings.write else None, remarks=remarks)
        self._after = file.content_digest()

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # it tells how far it was read
        """Return the digest of what was read, with what was filled in."""
        return self._settings.fingerprint + self._after

    def _mark_of(self, raw: bytes) -> bytes:
        return self._settings.fingerprint + sha256(raw).digest()


def open_sheet_file(
    path: Path, is_title: Callable[[str], bool] = is_known_title, raw: bytes | None = None
) -> SheetFile:
    """Open a file by its ending. raw: its content, where that was read already. Raises `SourceError`."""
    if path.suffix.lower() in DELIMITED_ENDINGS:
        return DelimitedFile(path, is_title, raw)
    return ExcelFile(path, raw)


def own_sheets(file: SheetFile) -> tuple[list[Chosen | SourceError], str | None]:
    """Choose the worksheets that are named and headed as ours. Raises `SourceError` when none is."""
    names = file.worksheet_names()
    if names == [None]:
        return [(Plan(_sheet_of_csv(file)), None)], None
    ours = {folded_title(sheet.worksheet): sheet for sheet in all_sheet_types()}
    known: list[Chosen | SourceError] = [
        (Plan(ours[folded_title(name)]), name) for name in names if name is not None and folded_title(name) in ours
    ]
    unknown = [
        f"»{name}«" for name in names if name is not None and folded_title(name) not in (*ours, *_OWN_WORKSHEETS)
    ]
    if not known:
        wanted = ", ".join(f"»{sheet.worksheet}«" for sheet in all_sheet_types())
        raise SourceError(
            "wrong-sheet", f"Filen har ingen af arkene {wanted}; den har {', '.join(unknown)}. Omdøb fanen."
        )
    remark = f"Disse faner kender vi ikke, og de blev ikke læst: {', '.join(unknown)}." if unknown else None
    return known, remark


def _sheet_of_csv(file: SheetFile) -> SheetType:
    stem = folded_title(file.path.stem)
    for sheet in all_sheet_types():
        if stem.startswith((sheet.file_name, folded_title(sheet.worksheet))):
            return sheet
    fitting = fitting_sheet(file.worksheet(None).header)
    if fitting is None:
        wanted = ", ".join(f"{known.file_name}.csv" for known in all_sheet_types())
        raise SourceError(
            "wrong-sheet",
            f"Vi kan ikke se, hvad filen indeholder. Giv den et navn, der begynder som et af disse: {wanted}, "
            "og brug overskrifterne fra eksemplet.",
        )
    return fitting


def named_sheets(plans: Sequence[tuple[Plan, str | None]]) -> Choose:
    """Return a choice of the worksheets that plans name; a plan without a name takes the only one there is."""

    def choose(file: SheetFile) -> tuple[list[Chosen | SourceError], str | None]:
        names = file.worksheet_names()
        if names == [None]:
            return [(plan, None) for plan, _ in plans], None
        return [_named(plan, wanted, names) for plan, wanted in plans], None

    return choose


def _named(plan: Plan, wanted: str | None, names: Sequence[str | None]) -> Chosen | SourceError:
    filled = [name for name in names if name is not None and folded_title(name) not in _OWN_WORKSHEETS]
    look_for = wanted if wanted is not None else plan.sheet.worksheet
    for name in filled:
        if folded_title(name) == folded_title(look_for):
            return plan, name
    if wanted is None and len(filled) == 1:
        return plan, filled[0]
    there = ", ".join(f"»{name}«" for name in filled)
    return SourceError(
        "wrong-sheet",
        f"Filen har ikke arket »{look_for}«; den har {there}. Ret »worksheet« i forbindelsesfilen, eller omdøb fanen.",
        part=look_for,
    )
