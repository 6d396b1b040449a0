"""Code lists that change: dated data beside the schemas, not enumerations in them.

A register answers what a code meant on a day. Only municipality codes are refused when unknown;
occupations and industries are looked up for their labels. `registers/README.md` says where
each list is from and what it is not.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from importlib.resources import files
from typing import NamedTuple, Self, TypeVar

FOR_EVER = date.max

Key = TypeVar("Key")


class Municipality(NamedTuple):
    """A municipality as it was between two days. The point lies within it, in degrees (WGS 84)."""

    code: str
    name: str
    region: str
    valid_from: date
    valid_to: date | None
    latitude: float
    longitude: float


class Code(NamedTuple):
    """A code of some system as it was between two days; one of the labels may be empty."""

    system: str
    code: str
    label_da: str
    label_en: str
    valid_from: date
    valid_to: date | None


Entry = TypeVar("Entry", Municipality, Code)


class Registers:
    """All registers, each entry with the first and the last day on which it was valid."""

    def __init__(
        self, municipalities: Iterable[Municipality], occupations: Iterable[Code], industries: Iterable[Code]
    ) -> None:
        self._municipalities = _by_key((entry.code, entry) for entry in municipalities)
        self._occupations = _by_key(((entry.system, entry.code), entry) for entry in occupations)
        self._industries = _by_key(((entry.system, entry.code), entry) for entry in industries)
        self.municipality_codes = frozenset(self._municipalities)
        """Every code that some municipality has or has had: an old code is not an unknown one."""

    @classmethod
    def load(cls) -> Self:
        """Read the registers that come with this package."""
        return cls(
            [_municipality(row) for row in _rows("municipalities.csv")],
            [_code(row) for row in _rows("occupations.csv")],
            [_code(row) for row in _rows("industries.csv")],
        )

    def municipality(self, code: str, on: date) -> Municipality | None:
        """Return the municipality that had `code` on that day, or None."""
        return _valid(self._municipalities.get(code, ()), on)

    def municipalities(self, on: date) -> list[Municipality]:
        """Return the municipalities of that day, by code."""
        found = (self.municipality(code, on) for code in sorted(self._municipalities))
        return [entry for entry in found if entry is not None]

    def occupation(self, system: str, code: str, on: date) -> Code | None:
        """Return what an occupation's code meant on that day: itself, or the nearest group that holds it.

        None where no register here knows either.
        """
        return _nearest(self._occupations, system, code, on)

    def industry(self, system: str, code: str, on: date) -> Code | None:
        """Return what an industry's code meant on that day: itself, or the nearest group that holds it.

        None where no register here knows either.
        """
        return _nearest(self._industries, system, code, on)


def _nearest(entries: dict[tuple[str, str], list[Code]], system: str, code: str, on: date) -> Code | None:
    """Look a code up, and each time with a digit less; codes that are no digits have no groups."""
    shortest = 1 if code.isdecimal() else len(code)
    for length in range(len(code), shortest - 1, -1):
        found = _valid(entries.get((system, code[:length]), ()), on)
        if found is not None:
            return found
    return None


def _by_key(pairs: Iterable[tuple[Key, Entry]]) -> dict[Key, list[Entry]]:
    entries: dict[Key, list[Entry]] = {}
    for key, entry in pairs:
        entries.setdefault(key, []).append(entry)
    return entries


def _valid(entries: Iterable[Entry], on: date) -> Entry | None:
    return next((entry for entry in entries if entry.valid_from <= on <= (entry.valid_to or FOR_EVER)), None)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files(__package__) / name).open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _municipality(row: dict[str, str]) -> Municipality:
    return Municipality(
        row["code"],
        row["name"],
        row["region"],
        date.fromisoformat(row["validFrom"]),
        _day(row["validTo"]),
        float(row["latitude"]),
        float(row["longitude"]),
    )


def _code(row: dict[str, str]) -> Code:
    return Code(
        row["system"],
        row["code"],
        row["labelDa"],
        row["labelEn"],
        date.fromisoformat(row["validFrom"]),
        _day(row["validTo"]),
    )
