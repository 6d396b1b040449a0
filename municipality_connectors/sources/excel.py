"""Read an .xlsx, which is hostile until checked, and fill single cells in it."""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.datetime import MAC_EPOCH
from openpyxl.xml.constants import SHARED_STRINGS

from municipality_connectors.sources import replacing, worksheet_xml
from municipality_connectors.sources.apart import EndedEarly, apart
from municipality_connectors.sources.archive import check_archive, check_ending, not_a_workbook
from municipality_connectors.sources.worksheet_cells import Meaning, ReadRow, read_texts
from municipality_connectors.sources.worksheet_rows import read_rows
from municipality_connectors.tables import (
    COLUMNS_MAX,
    ROWS_MAX,
    BadCell,
    Cell,
    Row,
    SourceError,
    SourceLocked,
    Table,
    checked_text,
    is_blank,
)

LAST_ROW = 1_048_576
"""Excel's own last row; a file that names a later one would be read for ever."""

BATCH_ROWS = 200
"""Rows that are parsed before they are looked at."""

APART_BYTES = 16 * 1024 * 1024
"""Of a worksheet unpacked: some 8,000 rows of 46 columns. From there on it is read by a process of its own, while what
it says is mapped and checked here; it takes half a second to start."""

DAYS_FROM_1900_TO_1904 = 1_462

_MERGED = (
    "Arket har flettede celler. Kun den øverste venstre celle i en fletning har en værdi; "
    "de andre rækker læses som tomme. Ophæv fletningen, hvis de skal med."
)
_INTERRUPTED = (
    "Læsningen af filen blev afbrudt, måske af mangel på hukommelse. Der prøves igen ved næste kørsel. Sker det hver "
    "gang, så del arket i flere filer."
)
_NOT_COMPUTED = (
    "Cellen har en formel, som ikke er regnet ud. Åbn arket i Excel, gem det, og kør igen, eller skriv værdien selv."
)


class ExcelFile:
    """One .xlsx file, read into memory once."""

    def __init__(self, path: Path, raw: bytes | None = None) -> None:
        """Check and open the file; `raw` is its content, where that was read already. Raises `SourceError`."""
        check_ending(path.name)
        self.path = path
        self._raw = replacing.read_file(path) if raw is None else raw
        self._archive = check_archive(self._raw)
        with _as_source_errors():
            structure = _Structure(BytesIO(self._raw), read_only=True, data_only=True, keep_links=False)
            structure.read()
        self._parts, self._meaning = structure.parts, structure.meaning()
        self._shift = DAYS_FROM_1900_TO_1904 if self._meaning.epoch == MAC_EPOCH else 0

    def worksheet_names(self) -> list[str | None]:
        """Return the worksheets' names in their order."""
        return list(self._parts)

    def worksheet(self, name: str | None, header_row: int = 1) -> Table:
        """Begin reading a worksheet. Raises `SourceError`."""
        part = self._parts.get(name)
        if part is None:
            raise not_a_workbook()
        with _as_source_errors(), self._archive.open(part) as stream:
            merged = worksheet_xml.has_merged_cells(stream)
        batches = self._batches(part, header_row)
        header = next(batches)[0].cells
        texts = [" ".join(str(cell).split()) if cell is not None else "" for cell in header]
        return Table(name, tuple(texts), _counted(batches), self._shift, (_MERGED,) if merged else ())

    def _batches(self, part: str, header_row: int) -> Iterator[list[Row]]:
        given = self._raw, part, self._meaning, header_row
        large = self._archive.getinfo(part).file_size >= APART_BYTES
        batches = apart(_read, *given) if large else _read(*given)
        while True:
            with _as_source_errors():
                try:
                    batch = next(batches, None)
                except EndedEarly:
                    raise SourceError("unreadable", _INTERRUPTED) from None
            if batch is None:
                return
            yield batch

    def content_digest(self) -> bytes:
        """Return the SHA-256 of the file as it was read, or last written by `fill`."""
        return sha256(self._raw).digest()

    def lock_reason(self) -> str | None:
        """Return why `fill` could not write now, in Danish."""
        if any(member.startswith("_xmlsignatures/") for member in self._archive.namelist()):
            return "Projektmappen er underskrevet digitalt; ændres den, brydes underskriften. Skriv værdierne selv."
        return replacing.lock_reason(self.path)

    def fill(self, name: str | None, values: Mapping[tuple[int, int], str]) -> None:
        """Write texts into cells and replace the file at once. Raises `SourceLocked`."""
        if reason := self.lock_reason():
            raise SourceLocked(reason)
        part = self._parts[name]
        try:
            xml = worksheet_xml.fill_cells(self._archive.read(part), values)
        except worksheet_xml.UnusableXml:
            raise SourceLocked("Arket er gemt på en måde, som vi ikke kan skrive i. Skriv værdierne selv.") from None
        self._replace_part(part, xml)

    def _replace_part(self, part: str, content: bytes) -> None:
        before = sha256(self._raw).digest()
        replacing.replace_file(self.path, before, lambda stream: _copy_archive(self._archive, stream, part, content))
        self._raw = replacing.read_file(self.path)
        self._archive = check_archive(self._raw)


class _Structure(ExcelReader):
    """Reads what a workbook is made of: its worksheets' names and parts, styles and texts, but no cell."""

    def read_strings(self) -> None:
        """Read the shared texts."""
        content = self.package.find(SHARED_STRINGS)  # type: ignore[no-untyped-call]
        self.texts: list[str] = []
        if content is not None:
            with self.archive.open(content.PartName[1:]) as stream:
                self.texts = read_texts(stream)

    def read_worksheets(self) -> None:
        """Find the worksheets."""
        found = self.parser.find_sheets()
        self.parts: dict[str | None, str] = {
            sheet.name: relation.target for sheet, relation in found
            if relation.target in self.valid_files and "chartsheet" not in relation.Type
        }  # fmt: skip

    def meaning(self) -> Meaning:
        """Return what the workbook says of its cells."""
        book: Any = self.wb
        return Meaning(self.texts, book._date_formats, book._timedelta_formats, book.epoch)  # noqa: SLF001


def _read(raw: bytes, part: str, meaning: Meaning, header_row: int) -> Iterator[list[Row]]:
    """Yield a worksheet's header, alone, then its rows with content, some at a time.

    Raises what the archive and the parser raise.
    """
    with zipfile.ZipFile(BytesIO(raw)) as archive, archive.open(part) as stream:
        rows = read_rows(stream, meaning, columns_max=COLUMNS_MAX, last_row=LAST_ROW)
        first = next((row for row in rows if row.number >= header_row), None)
        header: dict[int, Any] = {}
        if first is not None and first.number == header_row:
            header = first.cells
        elif first is not None:
            rows = chain([first], rows)
        width = max((place for place, cell in header.items() if not is_blank(cell)), default=-1) + 1
        yield [Row(header_row, tuple(map(header.get, range(width))))]
        found = _content(rows, width)
        while batch := list(islice(found, BATCH_ROWS)):
            yield batch


def _content(rows: Iterator[ReadRow], width: int) -> Iterator[Row]:
    """Yield the rows with content."""
    for number, values, computed in rows:
        if values or computed:
            cells = tuple([_cell(values.get(column), column in computed) for column in range(width)])
            if not all(map(is_blank, cells)):
                yield Row(number, cells, computed)


def _counted(batches: Iterator[list[Row]]) -> Iterator[Row]:
    """Yield the rows one by one. Raises `SourceError` when there are too many."""
    found = 0
    for batch in batches:
        for row in batch:
            found += 1
            if found > ROWS_MAX:
                message = f"Arket har over {ROWS_MAX} rækker. Del det i flere."
                raise SourceError("too-many-rows", message, row=row.number)
            yield row


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


class _as_source_errors:  # noqa: N801  # reads as a statement
    """Turn whatever a damaged or hostile workbook makes the parsers raise into one `SourceError`."""

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        # openpyxl warns of what it leaves out (data validations, dates out of range): nothing that we read.
        warnings.simplefilter("ignore")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._warnings.__exit__(None, None, None)
        if isinstance(error, Exception) and not isinstance(error, SourceError):
            raise not_a_workbook() from error
