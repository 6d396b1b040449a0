"""Read a .csv the way Excel in Denmark writes it, or as others do, and fill single fields in it."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from io import StringIO
from itertools import islice
from pathlib import Path

from municipality_connectors.sources import replacing
from municipality_connectors.tables import (
    CELL_CHARACTERS_MAX,
    COLUMNS_MAX,
    ROWS_MAX,
    Cell,
    Row,
    SourceError,
    SourceLocked,
    Table,
    checked_text,
)

DELIMITERS = (";", "\t", ",")
"""In the order in which a draw is decided: Excel writes `;` where the comma is for decimals."""

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

_UTF_8_SIGN = re.compile(rb"\xc3(?:[\x80-\xbf]|\Z)|\xe2[\x80-\xbf]{2}")
"""What UTF-8 writes for `æ`, `Å` or a dash, or half an `æ` at the end: no text in Danish has `Ã` or `â` so."""

HEADER_CHARACTERS_MAX = 64 * 1024
"""How much is looked at to find the delimiter; 200 columns with long titles have some 10,000 characters."""


class _Line(list[str]):
    """One record's fields, and the text that it was read from."""

    raw: str


class DelimitedFile:
    """One .csv file, read into memory once."""

    def __init__(self, path: Path, is_title: Callable[[str], bool], raw: bytes | None = None) -> None:
        """Open the file; `is_title` knows the columns, and so finds the delimiter. Raises `SourceError`."""
        self.path = path
        self._raw = replacing.read_file(path) if raw is None else raw
        self._text, self._encoding = _decoded(self._raw)
        if self._text[:4].lower() == "sep=" and len(first := self._text[:7].splitlines()[0]) == 5:  # noqa: PLR2004  # sep=;
            self._prelude = self._text[: len(first) + _line_end(self._text, len(first))]
            self._delimiter = first[4]
        else:
            self._prelude = ""
            self._delimiter = _delimiter(self._text, is_title)

    def worksheet_names(self) -> list[str | None]:
        """Return `[None]`: the file is one unnamed worksheet."""
        return [None]

    def worksheet(self, name: str | None = None, header_row: int = 1) -> Table:  # noqa: ARG002  # there is only one
        """Begin reading. Raises `SourceError`."""
        records = self._records()
        _, header = next(islice(records, header_row - 1, None), (header_row, []))
        titles = [" ".join(field.split()) for field in header]
        while titles and not titles[-1]:
            titles.pop()
        if len(titles) > COLUMNS_MAX:
            raise SourceError("too-large", f"Filen har over {COLUMNS_MAX} kolonner. Er skilletegnet rigtigt?", row=1)
        return Table(None, tuple(titles), _content(records, len(titles)))

    def _records(self) -> Iterator[tuple[int, _Line]]:
        """Yield each record with its number, counted as Excel counts rows. Raises `SourceError`."""
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

    def content_digest(self) -> bytes:
        """Return the SHA-256 of the file as it was read, or last written by `fill`."""
        return sha256(self._raw).digest()

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
            raise SourceLocked("De manglende værdier kan ikke skrives i filens tegnsæt. Skriv dem selv.") from None
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


def _broken_quote(row: int) -> SourceError:
    return SourceError(
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
                raise SourceError("too-many-rows", f"Filen har over {ROWS_MAX} rækker. Del den i flere.", row=number)
            cells: list[Cell] = [_cell(field) for field in record[:width]]
            yield Row(number, tuple(cells + [None] * (width - len(cells))))


def _cell(field: str) -> Cell:
    # A quote before a character that would begin a formula was put there by whoever exported the file.
    if field[:1] == "'" and field[1:2] in ("=", "+", "-", "@"):
        field = field[1:]
    return checked_text(field)


def _not_text() -> SourceError:
    return SourceError(
        "unreadable", "Filen er ikke en CSV-fil: den indeholder andet end tekst. Gem arket som CSV eller .xlsx."
    )


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return the text and its encoding: by its byte-order mark, else UTF-8, else what Windows writes in Denmark."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            try:
                return raw.decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise _damaged(raw, error) if mark == codecs.BOM_UTF8 else _not_text() from None
    if b"\0" in raw:
        raise _not_text()
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError as error:
            if encoding == "utf-8" and _UTF_8_SIGN.search(raw):
                raise _damaged(raw, error) from None
    raise _not_text()


def _damaged(raw: bytes, error: UnicodeDecodeError) -> SourceError:
    row = len((raw[: error.start] + b"x").splitlines())
    return SourceError(
        "damaged-text",
        f"Filen er skrevet i UTF-8, men i linje {row} står et tegn, der ikke er det. Er filen skrevet helt, eller er "
        "den sat sammen af to? Eksportér den igen, eller gem den som »CSV UTF-8« fra Excel.",
        row=row,
    )


def _delimiter(text: str, is_title: Callable[[str], bool]) -> str:
    """Return the delimiter with which the header shows most of the titles that we know."""
    begin = text[:HEADER_CHARACTERS_MAX]

    def known(delimiter: str) -> int:
        try:
            header = next(csv.reader(StringIO(begin, newline=""), delimiter=delimiter))
        except (csv.Error, StopIteration):
            return 0
        return sum(map(is_title, header))

    return max(DELIMITERS, key=known)


def _line_end(text: str, at: int) -> int:
    return 2 if text.startswith("\r\n", at) else 1
