"""Read a .csv the way Excel in Denmark writes it, or as others do, and fill single fields in it."""

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from io import StringIO
from pathlib import Path

from municipality_connectors.sheet_file import (
    CELL_CHARACTERS_MAX,
    COLUMNS_MAX,
    ROWS_MAX,
    Cell,
    Row,
    SheetError,
    SheetLocked,
    Worksheet,
    checked_text,
)
from municipality_connectors.sources import replacing

DELIMITERS = (";", "\t", ",")
"""In the order in which a draw is decided: Excel writes `;` where the comma is for decimals."""

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class _Line(list[str]):
    """One record's fields, and the text that it was read from."""

    raw: str


class DelimitedFile:
    """One .csv file, read into memory once."""

    def __init__(self, path: Path, is_title: Callable[[str], bool]) -> None:
        """Open the file; `is_title` knows our columns, and so finds the delimiter. Raises `SheetError`."""
        self.path = path
        self._raw = replacing.read_file(path)
        self._text, self._encoding = _decoded(self._raw)
        if self._text[:4].lower() == "sep=" and len(first := self._text.splitlines()[0]) == 5:  # noqa: PLR2004  # sep=;
            self._prelude = self._text[: len(first) + _line_end(self._text, len(first))]
            self._delimiter = first[4]
        else:
            self._prelude = ""
            self._delimiter = _delimiter(self._text, is_title)

    def worksheet_names(self) -> list[str | None]:
        """Return `[None]`: the file is one unnamed worksheet."""
        return [None]

    def worksheet(self, name: str | None = None) -> Worksheet:  # noqa: ARG002  # there is only one
        """Begin reading. Raises `SheetError`."""
        records = self._records()
        _, header = next(records, (1, []))
        titles = [" ".join(field.split()) for field in header]
        while titles and not titles[-1]:
            titles.pop()
        if len(titles) > COLUMNS_MAX:
            raise SheetError("too-large", f"Filen har over {COLUMNS_MAX} kolonner. Er skilletegnet rigtigt?", row=1)
        return Worksheet(None, tuple(titles), _content(records, len(titles)))

    def _records(self) -> Iterator[tuple[int, _Line]]:
        """Yield each record with its number, counted as Excel counts rows. Raises `SheetError`."""
        source = _Recorder(self._text[len(self._prelude) :])
        reader = csv.reader(source, delimiter=self._delimiter, strict=True)
        number = 0
        while True:
            number += 1
            source.taken.clear()
            try:
                record = _Line(next(reader))
            except StopIteration:
                return
            except csv.Error:
                raise _broken_quote(number) from None
            if len(source.taken) > 1 and sum(map(len, source.taken)) > CELL_CHARACTERS_MAX * 2:
                raise _broken_quote(number)
            record.raw = "".join(source.taken)
            yield number, record

    def lock_reason(self) -> str | None:
        """Return why `fill` could not write now, in Danish."""
        return replacing.lock_reason(self.path)

    def fill(self, name: str | None, values: Mapping[tuple[int, int], str]) -> None:  # noqa: ARG002
        """Write texts into fields and replace the file at once; other records keep their spelling."""
        by_row: dict[int, dict[int, str]] = {}
        for (row, column), text in values.items():
            by_row.setdefault(row, {})[column] = text
        parts = [self._prelude]
        for number, record in self._records():
            parts.append(self._filled(record, by_row[number]) if number in by_row else record.raw)
        try:
            content = "".join(parts).encode(self._encoding)
        except UnicodeEncodeError:
            raise SheetLocked("De manglende værdier kan ikke skrives i filens tegnsæt. Skriv dem selv.") from None
        replacing.replace_file(self.path, sha256(self._raw).digest(), lambda stream: _write(stream.write, content))
        self._raw, self._text = content, "".join(parts)

    def _filled(self, record: _Line, fields: Mapping[int, str]) -> str:
        values = list(record) + [""] * (max(fields) + 1 - len(record))
        for column, text in fields.items():
            values[column] = text
        end = record.raw[len(record.raw.rstrip("\r\n")) :]
        written = StringIO(newline="")
        csv.writer(written, delimiter=self._delimiter, lineterminator="").writerow(values)
        return written.getvalue() + end


class _Recorder:
    """Hands out a text's lines and keeps those taken for the record being read."""

    def __init__(self, text: str) -> None:
        self._lines = StringIO(text, newline="")
        self.taken: list[str] = []

    def __iter__(self) -> "_Recorder":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        return line


def _write(write: Callable[[bytes], int], content: bytes) -> None:
    write(content)


def _broken_quote(row: int) -> SheetError:
    return SheetError(
        "broken-quote",
        f'Et citationstegn passer ikke: i række {row} begynder en tekst med " uden at slutte rigtigt. '
        'Et citationstegn inde i en tekst skrives dobbelt (""). Ret rækken, eller gem filen igen fra Excel.',
        row=row,
    )


def _content(records: Iterator[tuple[int, _Line]], width: int) -> Iterator[Row]:
    found = 0
    for number, record in records:
        if any(field.strip() for field in record[:width]):
            found += 1
            if found > ROWS_MAX:
                raise SheetError("too-many-rows", f"Filen har over {ROWS_MAX} rækker. Del den i flere.", row=number)
            cells: list[Cell] = [_cell(field) for field in record[:width]]
            yield Row(number, tuple(cells + [None] * (width - len(cells))))


def _cell(field: str) -> Cell:
    # A quote before a character that would begin a formula was put there by whoever exported the file.
    if field[:1] == "'" and field[1:2] in ("=", "+", "-", "@"):
        field = field[1:]
    return checked_text(field)


def _not_text() -> SheetError:
    return SheetError(
        "unreadable", "Filen er ikke en CSV-fil: den indeholder andet end tekst. Gem arket som CSV eller .xlsx."
    )


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return the text and its encoding: by its byte-order mark, else UTF-8, else what Windows writes in Denmark."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            try:
                return raw.decode(encoding), encoding
            except UnicodeDecodeError:
                raise _not_text() from None
    if b"\0" in raw:
        raise _not_text()
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise _not_text()


def _delimiter(text: str, is_title: Callable[[str], bool]) -> str:
    """Return the delimiter with which the header shows most of the titles that we know."""

    def known(delimiter: str) -> int:
        try:
            header = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter))
        except (csv.Error, StopIteration):
            return 0
        return sum(map(is_title, header))

    return max(DELIMITERS, key=known)


def _line_end(text: str, at: int) -> int:
    return 2 if text.startswith("\r\n", at) else 1
