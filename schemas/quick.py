"""The quick way in: most events that are right are read and checked in one pass, in some 10 µs.

For each schema a reader with typed fields is made (msgspec), which parses and checks at once and makes no dicts.
It only ever says yes: whatever it does not take is for the careful way (`Event.parse`, `Registry.check`) to judge
and to explain, so it need not know every rule, but must not take what a rule forbids. A schema with a keyword that
is not known here has no quick reader. A property test holds that the careful way takes what this takes, and finds
the same content in it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from keyword import iskeyword
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from schemas.event import FLOAT_SPELLING, ID_CHARACTERS_MAX, JSON, TRACEPARENT, parse_time
from schemas.identifiers import ID_PROPERTIES, SUBJECT, TYPE_PREFIX, EventName, InvalidIdentifier, Source
from schemas.rules import Gathered, Rule, Rules, rule_of
from schemas.strict_json import INTEGER_MAX, has_each_key_once
from schemas.tree import Schema, resolved

_URN = b"urn:kommunebro:schema:"
_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description"})
_DAY = (
    r"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_FORMATS = {
    # Leap days and leap seconds are for the careful way.
    "date": _DAY,
    "date-time": rf"{_DAY}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){{2}}(?:\.[0-9]+)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
}
_DECIMAL_MIN, _DECIMAL_MAX = 0.1, 1000.0


class Reading(NamedTuple):
    """What the quick way read. canonical: the event's content as JSON with sorted keys, as `digest` takes it."""

    event_id: str
    source: str
    name: str
    participant: str
    subject: str
    time: str
    time_us: int
    canonical: bytes


class _NotQuick(Exception):
    """A schema says something that only the careful way understands."""


class QuickReader:
    """Reads events by typed readers of the full schemas. It does not change."""

    def __init__(self, schemas: Iterable[Schema], rules: Rules) -> None:
        self._ways: dict[bytes, _Way] = {}
        for schema in schemas:
            if schema["$id"].split(":")[-2] not in ID_PROPERTIES:
                continue  # a view: nobody publishes in it
            try:
                self._ways[schema["$id"].encode()] = _way(schema)
            except _NotQuick:
                continue
        self._rules = rules
        self._encode = msgspec.json.Encoder().encode

    def read(self, raw: bytes) -> Reading | None:
        """Read one structured-mode event; None where the careful way must judge."""
        begin = raw.find(_URN)
        way = self._ways.get(raw[begin : raw.find(b'"', begin)])
        if way is None:
            return None
        try:
            event = way.decode(raw)
            source = Source.parse(event.source)
            time_us = parse_time(event.time)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidIdentifier):
            return None
        data, subject = event.data, event.subject
        if way.thing_id(data) != subject or not event.id.isprintable():
            return None
        canonical = self._encode(event)
        # No value can be spelled shorter than here: of the same length, nothing was left out as a second key.
        is_plain = len(canonical) == len(raw) or has_each_key_once(raw, canonical)
        if not is_plain or (b".0" in canonical and FLOAT_SPELLING.search(canonical)):
            return None
        found, digits = way.look(data)
        if not (self._rules.kept(found) and (not digits or _are_digits(digits))):
            return None
        if event.datacontenttype is not UNSET or event.traceparent is not UNSET:
            event.datacontenttype = event.traceparent = UNSET
            canonical = self._encode(event)
        return Reading(event.id, event.source, way.name, source.participant, subject, event.time, time_us, canonical)


class _Way(NamedTuple):
    """How the events of one schema are read."""

    name: str
    decode: Callable[[bytes], Any]
    thing_id: Callable[[Any], str]
    look: Callable[[Any], tuple[Gathered, list[str]]]
    """Returns what the dataset's own rules look at, and what must be digits."""


def _way(schema: Schema) -> _Way:
    name = EventName(schema["$id"].split(":")[-2])
    data = _struct(schema, schema, name)
    fields: list[Any] = [
        ("data", data),
        ("datacontenttype", Literal[JSON] | UnsetType, UNSET),
        ("dataschema", Literal[schema["$id"]]),
        ("id", Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]),
        ("source", str),
        ("specversion", Literal["1.0"]),
        # It is compared with the thing's id, whose pattern is the same.
        ("subject", str if _is_subject(schema, ID_PROPERTIES[name]) else _text(SUBJECT.pattern)),
        ("time", str),
        ("traceparent", _text(TRACEPARENT.pattern) | UnsetType, UNSET),
        ("type", Literal[TYPE_PREFIX + name]),
    ]
    envelope = msgspec.defstruct("Envelope", fields, forbid_unknown_fields=True, kw_only=True, gc=False)
    return _Way(name, msgspec.json.Decoder(envelope).decode, attrgetter(ID_PROPERTIES[name]), _looking(schema))


def _text(pattern: str) -> Any:
    return Annotated[str, msgspec.Meta(pattern=rf"^(?:{pattern})\Z")]


def _is_subject(schema: Schema, id_property: str) -> bool:
    return bool(schema["properties"][id_property].get("pattern") == f"^{SUBJECT.pattern}$")


def _attribute(name: str) -> str:
    """Return the field that holds a property: its own name, unless that is a word of Python."""
    return name + "_" if iskeyword(name) else name


# --- from a schema to a type ------------------------------------------------------------------------


def _struct(root: Schema, node: Schema, name: str) -> Any:
    """Return the type of an object. Its fields are sorted, so that encoding it sorts the keys."""
    known = _ANNOTATIONS | {"type", "properties", "required", "additionalProperties", "anyOf"}
    if not _keywords(node) <= known or node.get("additionalProperties") is not False:
        raise _NotQuick(name)
    required = {*node.get("required", ()), *_first_choice(node)}
    fields: list[Any] = []
    for key, child in sorted(node["properties"].items()):
        kind = _type(root, child, f"{name}_{key}")
        fields.append((_attribute(key), kind) if key in required else (_attribute(key), kind | UnsetType, UNSET))
    if not required <= node["properties"].keys():
        raise _NotQuick(name)
    renamed = {_attribute(key): key for key in node["properties"]}
    return msgspec.defstruct(
        _attribute(name), fields, rename=renamed, forbid_unknown_fields=True, kw_only=True, gc=False
    )


def _first_choice(node: Schema) -> Iterable[str]:
    """Return what the first of some alternatives requires; the others are for the careful way."""
    first = node.get("anyOf", [{"required": []}])[0]
    if first.keys() != {"required"}:
        raise _NotQuick("anyOf")
    return tuple(first["required"])


def _type(root: Schema, node: Schema, name: str) -> Any:
    node = resolved(root, node)
    make = _TYPES.get(node.get("type", ""))
    if make is None:
        raise _NotQuick(name)
    return make(root, node, name)


def _keywords(node: Schema) -> set[str]:
    return {key for key in node if not key.startswith("x-")}


def _string(_root: Schema, node: Schema, name: str) -> Any:
    if not _keywords(node) <= _ANNOTATIONS | {"type", "enum", "pattern", "format", "anyOf", "minLength", "maxLength"}:
        raise _NotQuick(name)
    if "enum" in node:
        return Literal[tuple(node["enum"])]
    if (length := _digits(node)) is not None:
        # That they are digits is looked at for all such texts at once.
        return Annotated[str, msgspec.Meta(min_length=length, max_length=length)]
    return Annotated[
        str, msgspec.Meta(pattern=_pattern(node), min_length=node.get("minLength"), max_length=node.get("maxLength"))
    ]


def _digits(node: Schema) -> int | None:
    """Return how many digits a text has that consists of them; None for any other."""
    match = re.fullmatch(r"\^\[0-9\]\{([1-9][0-9]?)\}\$", node.get("pattern", ""))
    plain = match is not None and not node.keys() & {"format", "anyOf", "minLength", "maxLength", "enum"}
    return int(match[1]) if match is not None and plain else None


def _pattern(node: Schema) -> str | None:
    """Return what a text must match: its pattern, its format, or one of some formats; None for any text."""
    rules = [key for key in ("pattern", "format", "anyOf") if key in node]
    if rules == ["pattern"]:
        return _translated(node["pattern"])
    choices = [node] if rules == ["format"] else node.get("anyOf", [])
    formats = [_FORMATS.get(choice.get("format", "")) for choice in choices]
    alone = rules != ["anyOf"] or all(choice.keys() == {"format"} for choice in choices)
    if len(rules) > 1 or None in formats or not alone:
        raise _NotQuick(rules)
    return rf"^(?:{'|'.join(map(str, formats))})\Z" if rules else None


def _translated(pattern: str) -> str:
    r"""Return a schema's pattern for Python, whose `$` lets a line break follow and whose `\d` is every script's."""
    if not re.fullmatch(r"\^[^\\^$|]*\$|\^\([^\\^$()]*\)\$", pattern):
        raise _NotQuick(pattern)
    return pattern[:-1] + r"\Z"


def _integer(_root: Schema, node: Schema, name: str) -> Any:
    """Return the type of an integer written as one. 37.0 for 37 is for the careful way."""
    if not _keywords(node) <= _ANNOTATIONS | {"type", "minimum", "maximum", "exclusiveMinimum", "enum"}:
        raise _NotQuick(name)
    if "enum" in node:
        return Literal[tuple(node["enum"])]
    least = max(node.get("minimum", -INTEGER_MAX), node.get("exclusiveMinimum", -INTEGER_MAX - 1) + 1)
    if not isinstance(least, int):
        raise _NotQuick(name)
    most = min(int(node.get("maximum", INTEGER_MAX)), INTEGER_MAX)
    return Annotated[int, msgspec.Meta(ge=least, le=most)]


def _number(root: Schema, node: Schema, name: str) -> Any:
    """Return the type of a number: an integer, or one with decimals as hours have them.

    Within these bounds every writer spells a number alike, and none can be spelled shorter. A whole one with decimals
    is seen by its spelling, and is for the careful way.
    """
    if "enum" in node:
        return _integer(root, node, name)
    least = max(node.get("minimum", _DECIMAL_MIN), node.get("exclusiveMinimum", 0), _DECIMAL_MIN)
    most = min(node.get("maximum", _DECIMAL_MAX), _DECIMAL_MAX)
    above = {"gt": least} if least == node.get("exclusiveMinimum") else {"ge": least}
    return _integer(root, node, name) | Annotated[float, msgspec.Meta(**above, le=most)]


def _boolean(_root: Schema, node: Schema, name: str) -> Any:
    if not _keywords(node) <= _ANNOTATIONS | {"type"}:
        raise _NotQuick(name)
    return bool


def _array(root: Schema, node: Schema, name: str) -> Any:
    if not _keywords(node) <= _ANNOTATIONS | {"type", "items", "minItems", "maxItems"}:
        raise _NotQuick(name)
    items: Any = _type(root, node["items"], name)
    return Annotated[list[items], msgspec.Meta(min_length=node.get("minItems"), max_length=node.get("maxItems"))]


_TYPES: dict[str, Callable[[Schema, Schema, str], Any]] = {
    "object": _struct,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _array,
}


# --- what the dataset's own rules look at -----------------------------------------------------------

_LISTS = ("texts", "cvrs", "p_numbers", "municipalities")
"""Where each `Rule` finds what it looks at, in the order of their numbers."""


def _looking(schema: Schema) -> Callable[[Any], tuple[Gathered, list[str]]]:
    """Make the function that gathers, from a typed value, what the rules look at.

    It is written out as code, as `dataclasses` and `namedtuple` do it: walking through a plan took four times as long.
    """
    lines = ["def look(value):", " texts, cvrs, p_numbers, municipalities, digits = [], [], [], [], []"]
    lines += _statements(schema, schema, "value", 1)
    lines += [" return (texts, cvrs, p_numbers, municipalities), digits"]
    made: dict[str, Any] = {"UNSET": UNSET}
    exec("\n".join(lines), made)  # noqa: S102  # made of nothing but our own schemas' property names
    look: Callable[[Any], tuple[Gathered, list[str]]] = made["look"]
    return look


def _statements(root: Schema, node: Schema, of: str, depth: int) -> Iterator[str]:
    """Yield the statements that gather from the object in the variable `of`."""
    indent, value = " " * depth, f"v{depth}"
    for name, child in node["properties"].items():
        below = list(_gathering(root, resolved(root, child), name, value, depth + 1))
        if below:
            yield f"{indent}if ({value} := {of}.{_attribute(name)}) is not UNSET:"
            yield from below


def _gathering(root: Schema, node: Schema, name: str, value: str, depth: int) -> Iterator[str]:
    """Yield the statements that gather from the property `name` in the variable `value`."""
    indent = " " * depth
    if "properties" in node:
        yield from _statements(root, node, value, depth)
    elif "items" in node:
        each = list(_gathering(root, resolved(root, node["items"]), name, f"v{depth}", depth + 1))
        if each == [f"{indent} texts.append(v{depth})"]:
            yield f"{indent}texts += {value}"
        elif each:
            yield f"{indent}for v{depth} in {value}:"
            yield from each
    else:
        if (rule := rule_of(name, node)) is not None:
            yield f"{indent}{_LISTS[rule]}.append({value})"
        # The register of municipalities knows codes of four digits only.
        if _digits(node) is not None and rule is not Rule.MUNICIPALITY:
            yield f"{indent}digits.append({value})"


def _are_digits(texts: list[str]) -> bool:
    together = "".join(texts)
    return together.isascii() and together.isdigit()
