"""Read an .xlsx, which is hostile until checked, and fill single cells in it."""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from openpyxl import load_workbook
from openpyxl.utils.datetime import MAC_EPOCH

from municipality_connectors.sheet_file import (
    COLUMNS_MAX,
    ROWS_MAX,
    BadCell,
    Cell,
    Row,
    SheetError,
    SheetLocked,
    Worksheet,
    checked_text,
    is_blank,
)
from municipality_connectors.sources import replacing, worksheet_xml
from municipality_connectors.sources.archive import check_archive, check_ending, not_a_workbook

LAST_ROW = 1_048_576
"""Excel's own last row; a file that names a later one would be read for ever."""

BATCH_ROWS = 200
"""Rows that are parsed before they are looked at."""

DAYS_FROM_1900_TO_1904 = 1_462

_MERGED = (
    "Arket har flettede celler. Kun den øverste venstre celle i en fletning har en værdi; "
    "de andre rækker læses som tomme. Ophæv fletningen, hvis de skal med."
)
_NOT_COMPUTED = (
    "Cellen har en formel, som ikke er regnet ud. Åbn arket i Excel, gem det, og kør igen, eller skriv værdien selv."
)


class ExcelFile:
    """One .xlsx file, read into memory once."""

    def __init__(self, path: Path) -> None:
        """Check and open the file. Raises `SheetError`."""
        check_ending(path.name)
        self.path = path
        self._raw = replacing.read_file(path)
        self._archive = check_archive(self._raw)
        with _as_sheet_errors():
            self._workbook = load_workbook(BytesIO(self._raw), read_only=True, data_only=True, keep_links=False)
            # openpyxl alone knows where in the archive it found each worksheet.
            sheets: list[Any] = list(self._workbook.worksheets)
            self._parts = {sheet.title: sheet._worksheet_path for sheet in sheets}  # noqa: SLF001
        self._shift = DAYS_FROM_1900_TO_1904 if self._workbook.epoch == MAC_EPOCH else 0

    def worksheet_names(self) -> list[str | None]:
        """Return the worksheets' names in their order."""
        return [sheet.title for sheet in self._workbook.worksheets]

    def worksheet(self, name: str | None) -> Worksheet:
        """Begin reading a worksheet. Raises `SheetError`."""
        with _as_sheet_errors():
            part = self._parts[str(name)]
            with self._archive.open(part) as stream:
                found = worksheet_xml.features(stream)
            formulas: Mapping[int, frozenset[int]] = {}
            if found.formulas:
                with self._archive.open(part) as stream:
                    formulas = worksheet_xml.formula_cells(stream)
        rows = self._rows(str(name))
        _, header = next(rows, (1, ()))
        texts = [" ".join(str(cell).split()) if cell is not None else "" for cell in header]
        while texts and not texts[-1]:
            texts.pop()
        remarks = (_MERGED,) if found.merged else ()
        return Worksheet(name, tuple(texts), _content(rows, len(texts), formulas), self._shift, remarks)

    def _rows(self, name: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        sheet = self._workbook[name]
        # The size that a file states for itself may be wrong; the rows are what counts.
        sheet.reset_dimensions()
        rows = enumerate(sheet.iter_rows(max_row=LAST_ROW, max_col=COLUMNS_MAX, values_only=True), 1)
        while True:
            with _as_sheet_errors():
                batch = list(islice(rows, BATCH_ROWS))
            if not batch:
                return
            yield from batch

    def lock_reason(self) -> str | None:
        """Return why `fill` could not write now, in Danish."""
        if any(member.startswith("_xmlsignatures/") for member in self._archive.namelist()):
            return "Projektmappen er underskrevet digitalt; ændres den, brydes underskriften. Skriv værdierne selv."
        return replacing.lock_reason(self.path)

    def fill(self, name: str | None, values: Mapping[tuple[int, int], str]) -> None:
        """Write texts into cells and replace the file at once. Raises `SheetLocked`."""
        if reason := self.lock_reason():
            raise SheetLocked(reason)
        part = self._parts[str(name)]
        try:
            xml = worksheet_xml.fill_cells(self._archive.read(part), values)
        except worksheet_xml.UnusableXml:
            raise SheetLocked("Arket er gemt på en måde, som vi ikke kan skrive i. Skriv værdierne selv.") from None
        self._replace_part(part, xml)

    def _replace_part(self, part: str, content: bytes) -> None:
        before = sha256(self._raw).digest()
        replacing.replace_file(self.path, before, lambda stream: _copy_archive(self._archive, stream, part, content))
        self._raw = replacing.read_file(self.path)
        self._archive = check_archive(self._raw)


def _content(
    rows: Iterator[tuple[int, tuple[Any, ...]]], width: int, formulas: Mapping[int, frozenset[int]]
) -> Iterator[Row]:
    """Yield the rows with content. Raises `SheetError` when there are too many."""
    found = 0
    for number, values in rows:
        computed = formulas.get(number, frozenset())
        if computed or values.count(None) < len(values):
            cells = tuple(_cell(value, column in computed) for column, value in enumerate(values[:width]))
            if not all(map(is_blank, cells)):
                found += 1
                if found > ROWS_MAX:
                    raise SheetError("too-many-rows", f"Arket har over {ROWS_MAX} rækker. Del det i flere.", row=number)
                yield Row(number, cells, computed)


def _cell(value: Any, computed: bool) -> Cell:
    if isinstance(value, str):
        return checked_text(value)
    if value is None and computed:
        return BadCell(_NOT_COMPUTED)
    return value  # type: ignore[no-any-return]  # openpyxl gives what Cell lists


def _copy_archive(archive: zipfile.ZipFile, stream: BinaryIO, part: str, content: bytes) -> None:
    """Write the archive anew with one part replaced; the others keep their content, time and order."""
    with zipfile.ZipFile(stream, "w") as new:
        for member in archive.infolist():
            copied = zipfile.ZipInfo(member.filename, member.date_time)
            copied.compress_type, copied.external_attr = member.compress_type, member.external_attr
            new.writestr(copied, content if member.filename == part else archive.read(member))


class _as_sheet_errors:  # noqa: N801  # reads as a statement
    """Turn whatever a damaged or hostile workbook makes the parsers raise into one `SheetError`."""

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        # openpyxl warns of what it leaves out (data validations, dates out of range): nothing that we read.
        warnings.simplefilter("ignore")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._warnings.__exit__(None, None, None)
        if isinstance(error, Exception) and not isinstance(error, SheetError):
            raise not_a_workbook() from error
