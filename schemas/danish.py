"""Say in Danish what is wrong with an event, to the municipal employee who owns the sheet or form it came from."""

from collections.abc import Callable
from typing import Any

from schemas.event import Violation
from schemas.packaged import newest
from schemas.tree import Schema, join, node_at

PATTERNS = {
    "^[0-9]{4}$": "4 cifre",
    "^[0-9]{6}$": "6 cifre",
    "^[0-9]{8}$": "8 cifre",
    "^[0-9]{10}$": "10 cifre",
    "^[A-Za-z0-9._-]{1,64}$": "1 til 64 tegn uden mellemrum: A-Z, a-z, tal, punktum, bindestreg og understreg",
    "^([0-9]{4}|[a-z][a-z0-9-]{1,31})$": "en kommunekode på 4 cifre eller en anden deltagers navn med små bogstaver",
}
"""What each pattern in the schemas asks for; a test holds that none is left out."""

_TYPES = {
    "string": "tekst",
    "integer": "et helt tal",
    "number": "et tal",
    "boolean": "ja eller nej",
    "array": "en liste",
    "object": "en gruppe af felter",
}
_FORMATS = {
    "date": "en dato, for eksempel 23-11-2026",
    "date-time": "en dato med klokkeslæt, for eksempel 23-11-2026 08:05",
}
_ATTRIBUTES = {
    "/id": "Hændelsens id skal have 1 til 128 tegn og ingen linjeskift.",
    "/source": "Afsenderen skal skrives urn:kommunebro:<deltager>:<system>, for eksempel urn:kommunebro:0671:regneark.",
    "/type": "Hændelsens type er ukendt.",
    "/subject": "Id skal have " + PATTERNS["^[A-Za-z0-9._-]{1,64}$"] + ".",
    "/time": "Tidspunktet skal være en dato med klokkeslæt, der ikke ligger i fremtiden.",
    "/dataschema": "Versionen af datasættet er ukendt.",
}


def explain(violation: Violation, name: str) -> str:
    """Return one sentence or two about a violation, for an event of the type `name`, such as `job-order`."""
    if violation.pointer != "/data" and not violation.pointer.startswith("/data/"):
        return _ATTRIBUTES.get(violation.pointer, "Hændelsens ydre oplysninger er ikke rigtige.")
    pointer = violation.pointer.removeprefix("/data")
    say = _SENTENCES.get(violation.rule, _something)
    return say(_Place(name, pointer), violation.expected)


class _Place:
    """The property that a violation points at, with its words."""

    def __init__(self, name: str, pointer: str) -> None:
        self.name, self.pointer = name, pointer
        self.node: Schema = node_at(newest(name), pointer) or {}

    def __str__(self) -> str:
        return f"'{self.of(self.pointer)}'"

    def of(self, pointer: str) -> str:
        """Return the label at a pointer, or of the nearest that has one: a list's item has its list's."""
        while True:
            node = node_at(newest(self.name), pointer)
            if node is not None and "x-label-da" in node:
                return str(node["x-label-da"])
            pointer = pointer.rpartition("/")[0]


def _required(place: _Place, expected: Any) -> str:
    return f"'{place.of(join(place.pointer, expected))}' mangler."


def _any_of(place: _Place, expected: Any) -> str:
    labels = [f"'{place.of(join(place.pointer, name))}'" for name in expected]
    return f"{' eller '.join(labels)} mangler."


def _number(place: _Place, _: Any) -> str:
    least = place.node.get("minimum")
    bound = "" if least is None else f" på mindst {least}"
    return f"{place} skal være {_TYPES.get(place.node.get('type', ''), 'et tal')}{bound}."


def _type(place: _Place, expected: Any) -> str:
    if "enum" in place.node:
        return _enum(place, place.node["enum"])
    if "format" in place.node:
        return _format(place, place.node["format"])
    if expected in ("integer", "number"):
        return _number(place, expected)
    return f"{place} skal være {_TYPES[expected]}."


def _enum(place: _Place, expected: Any) -> str:
    words = place.node.get("x-enum-labels-da", {})
    return f"{place} skal være en af disse: {', '.join(words.get(str(value), str(value)) for value in expected)}."


def _format(place: _Place, expected: Any) -> str:
    formats = [expected] if isinstance(expected, str) else expected
    return f"{place} skal være {', eller '.join(_FORMATS[name] for name in formats)}."


def _unknown(place: _Place, _: Any) -> str:
    last = place.pointer.rpartition("/")[2]
    return f"Feltet '{last}' er ukendt og må ikke være med."


def _something(place: _Place, _: Any) -> str:
    return f"{place} er ikke rigtigt udfyldt."


_SENTENCES: dict[str, Callable[[_Place, Any], str]] = {
    "required": _required,
    "anyOf": _any_of,
    "type": _type,
    "enum": _enum,
    "format": _format,
    "minimum": _number,
    "additionalProperties": _unknown,
    "maxLength": lambda place, most: f"{place} må højst have {most} tegn.",
    "minItems": lambda place, least: f"{place} skal have mindst {least} udfyldt.",
    "pattern": lambda place, pattern: f"{place} skal være {PATTERNS[pattern]}.",
    "modulus-11": lambda place, _: (
        f"Nummeret i {place} findes ikke: kontrolcifferet passer ikke. Se efter, om et ciffer er tastet forkert."
    ),
    "register": lambda place, _: f"{place} er ikke en kendt kommunekode.",
    "cpr": lambda place, _: (
        f"{place} ser ud til at indeholde et CPR-nummer. Slet det: oplysninger om borgere må ikke sendes."
    ),
}
