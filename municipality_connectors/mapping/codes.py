"""Cells that hold codes: CVR and P-numbers, municipalities, alliances, codes with the name of their system. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from municipality_connectors.mapping.cells import CellError, Choice, Kind, ListOf, plain
from municipality_connectors.tables import Cell, quoted
from schemas.identifiers import PARTICIPANT
from schemas.registers import FOR_EVER, Registers

_ASCII = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa", "é": "e", "ü": "u", "ö": "o", "ä": "a"})

_DANISH_ORDER = str.maketrans({"æ": "{", "ø": "|", "å": "}"})


class Digits(Kind):
    """A number that is really a code: a fixed count of digits, of which Excel drops leading zeros."""

    def __init__(self, count: int, what: str, *, prefix: str = "", others: bool = False) -> None:
        """`prefix`: letters that may stand before it; `others`: whether other texts pass, too."""
        self._count, self._what, self._others = count, what, others
        self._prefix = re.compile(rf"^(?:{prefix})[- ]?", re.IGNORECASE) if prefix else None
        self.hint = f"{count} cifre."

    def parse(self, cell: Cell) -> str:
        text = plain(cell)
        digits = re.sub(r"[\s.\u00a0-]", "", self._prefix.sub("", text) if self._prefix else text)
        # Only a number cell has lost its zeros; a text that is too short was typed wrong.
        enough = len(digits) == self._count or (isinstance(cell, int | float) and len(digits) < self._count)
        if digits.isascii() and digits.isdigit() and enough:
            return digits.zfill(self._count)
        if self._others:
            return text
        raise CellError(f"{quoted(text)} er ikke et {self._what}: det har {self._count} cifre.")


class Postcode(Digits):
    """A Danish postcode, or a foreign one as it is written there."""

    def __init__(self) -> None:
        super().__init__(4, "postnummer", prefix="dk", others=True)


class Municipality(Kind):
    """A municipality, by name or by code."""

    hint = "Kommunens navn eller 4-cifrede kode, fx Struer eller 0671."

    def parse(self, cell: Cell) -> str:
        text = plain(cell)
        code = municipality_code(text)
        if code is None:
            raise CellError(f"{quoted(text)} er ikke en dansk kommune. Skriv navnet eller koden, fx Struer eller 0671.")
        return code

    def show(self, value: Any) -> Cell:
        return _by_code().get(str(value), str(value))


def municipality_code(text: str) -> str | None:
    """Return the code of a municipality given by name (`Struer`, `Struer Kommune`) or code (`671`, `0671`)."""
    if text.isascii() and text.isdigit() and len(text) in (3, 4):
        return text.zfill(4)
    return _by_name().get(_folded_name(text))


def _folded_name(text: str) -> str:
    folded = " ".join(text.split()).casefold().removesuffix(" kommune").removeprefix("kommunen ").translate(_ASCII)
    return re.sub(r"[\s-]+", "-", folded)


@lru_cache(maxsize=1)
def _by_code() -> Mapping[str, str]:
    return {municipality.code: municipality.name for municipality in Registers.load().municipalities(FOR_EVER)}


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, str]:
    return {_folded_name(name): code for code, name in _by_code().items()}


def municipality_names() -> list[str]:
    """Return the names of today's municipalities, as they are sorted in Danish."""
    return sorted(_by_code().values(), key=lambda name: name.casefold().replace("aa", "å").translate(_DANISH_ORDER))


class ParticipantId(Municipality):
    """A participant: a municipality by name or code, or another actor by its id."""

    hint = "Kommunens navn eller kode, eller en anden deltagers id, fx Struer, 0671 eller erhvervshus-midtjylland."

    def parse(self, cell: Cell) -> str:
        text = plain(cell)
        if (code := municipality_code(text)) is not None:
            return code
        if not PARTICIPANT.fullmatch(text):
            raise CellError(f"{quoted(text)} er hverken en kommune eller en deltagers id. {self.hint}")
        return text


class Alliance(Kind):
    """An alliance, by its id or its name."""

    hint = "Alliancens id eller navn, fx vestalliancen."

    def parse(self, cell: Cell) -> str:
        text = plain(cell)
        slug = re.sub(r"[^a-z0-9]+", "-", text.casefold().translate(_ASCII)).strip("-")
        if not slug:
            raise CellError(f"{quoted(text)} er ikke en alliances id. Skriv fx vestalliancen.")
        return slug


class CodeWithSystem(Kind):
    """A code with the name of the system that it is from, and perhaps its label: `DB07 251100 Fremstilling …`."""

    def __init__(self, systems: Mapping[str, str], example: str, *, digits: int = 0) -> None:
        """`systems`: how a system may be written, to its name; `digits`: the code is that many, dots aside."""
        self._systems, self._example, self._digits = systems, example, digits
        names = "|".join(sorted(map(re.escape, systems), key=len, reverse=True))
        self._pattern = re.compile(rf"({names})[\s:]+(\S+)(?:\s+(\S.*))?", re.IGNORECASE)
        self.hint = f"Kodesystem, kode og evt. betegnelse, fx {example}."

    def parse(self, cell: Cell) -> dict[str, str]:
        text = " ".join(plain(cell).split())
        match = self._pattern.fullmatch(text)
        code = match[2].replace(".", "") if match and self._digits else (match[2] if match else "")
        if match is None or (self._digits and not re.fullmatch(rf"[0-9]{{{self._digits}}}", code)):
            raise CellError(f"{quoted(text)} kan ikke læses. Skriv kodesystem og kode, fx {self._example}.")
        value = {"system": self._systems[match[1].upper()], "code": code}
        return value | {"label": match[3]} if match[3] else value

    def show(self, value: Any) -> Cell:
        return " ".join(filter(None, map(value.get, ("system", "code", "label"))))


class ExternalId(Kind):
    """The thing's id in another system: `DFDG: 8de97cdf-…`."""

    hint = "Systemets navn, kolon og id, fx DFDG: 8de97cdf-3e06-5711-9697-88258007ae13."

    def parse(self, cell: Cell) -> dict[str, str]:
        system, colon, identifier = (part.strip() for part in plain(cell).partition(":"))
        if not (system and colon and identifier):
            raise CellError(
                f"{quoted(plain(cell))} kan ikke læses. Skriv systemets navn, kolon og id, fx DFDG: 8de97cdf."
            )
        return {"system": system, "id": identifier}

    def show(self, value: Any) -> Cell:
        return ": ".join(filter(None, map(value.get, ("system", "id"))))


class Expectation(Kind):
    """One answer to the Jobbarometer: `Lastbilchauffør: stigende (4)`, for a horizon in months."""

    hint = (
        "Stilling, kolon, forventning (stigende, uændret, faldende, ved ikke) og evt. antal, "
        "fx Klejnsmed: stigende (3)."
    )
    _pattern = re.compile(r"(\S.*?)\s*:\s*([^:()]+?)\s*(?:\((\d{1,6})(?: stk\.?)?\))?")
    _directions = Choice(
        {"increase": "Stigende", "unchanged": "Uændret", "decrease": "Faldende", "unknown": "Ved ikke"}
    )

    def __init__(self, months: int) -> None:
        self._months = months

    def parse(self, cell: Cell) -> dict[str, Any]:
        text = " ".join(plain(cell).split())
        match = self._pattern.fullmatch(text)
        if match is None:
            raise CellError(f"{quoted(text)} kan ikke læses. Skriv fx »Klejnsmed: stigende (3)«.")
        answer: dict[str, Any] = {
            "occupation": {"label": match[1]},
            "horizonMonths": self._months,
            "direction": self._directions.parse(match[2]),
        }
        return answer | {"positions": int(match[3])} if match[3] else answer

    def show(self, value: Any) -> Cell:
        count = f" ({value['positions']})" if "positions" in value else ""
        direction = str(self._directions.show(value["direction"])).lower() if "direction" in value else None
        return ": ".join(filter(None, (value.get("occupation", {}).get("label"), direction))) + count


class Expectations(ListOf):
    """All answers for one horizon; an event holds both horizons' in one list."""

    def __init__(self, months: int) -> None:
        super().__init__(Expectation(months))
        self._months = months

    def bound(self, name: Any, pointer: str) -> "Expectations":  # noqa: ARG002  # holds no labels of the schema's
        return self

    def show(self, value: Any) -> Cell:
        return super().show([answer for answer in value if answer.get("horizonMonths") == self._months]) or None


_OCCUPATION_SYSTEMS = {
    "ESCO": "ESCO",
    "ESCO-STAR": "ESCO-STAR",
    "ESCO (STAR)": "ESCO-STAR",
    "DISCO-08": "DISCO-08",
    "DISCO": "DISCO-08",
}

CVR = Digits(8, "CVR-nummer", prefix="dk|cvr")
P_NUMBER = Digits(10, "P-nummer", prefix="p")
POSTCODE = Postcode()
MUNICIPALITY = Municipality()
PARTICIPANT_ID = ParticipantId()
PARTICIPANTS = ListOf(PARTICIPANT_ID)
ALLIANCES = ListOf(Alliance())
INDUSTRY_CODES = ListOf(CodeWithSystem({"DB07": "DB07", "DB25": "DB25"}, "DB07 251100", digits=6))
OCCUPATION_CODES = ListOf(CodeWithSystem(_OCCUPATION_SYSTEMS, "DISCO-08 721400"))
EXTERNAL_IDS = ListOf(ExternalId())
