"""CloudEvents 1.0, as Kommunebro exchanges them. An `Event` with a wrong envelope cannot exist.

The envelope is checked here; whether `data` follows its schema is `registry.py`'s question. Source of
the rules: CloudEvents 1.0.2 with its JSON format and HTTP binding, and the table in `docs/events.md`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from schemas import strict_json
from schemas.dates import is_date_time
from schemas.identifiers import ID_PROPERTIES, SUBJECT, TYPE_PREFIX, DataSchema, EventName, InvalidIdentifier, Source

ID_CHARACTERS_MAX = 128
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
JSON = "application/json"

REQUIRED = ("specversion", "id", "source", "type", "subject", "time", "dataschema", "data")
OPTIONAL = ("datacontenttype", "traceparent")
SET_BY_GATEWAY = ("recordedtime", "recordedby")
SET_BY_FORWARDER = ("owner", "alliance", "agreementversion", "forwardedtime", "causedby")

_FROM_PUBLISHERS = frozenset(REQUIRED + OPTIONAL)
_STORED = _FROM_PUBLISHERS | frozenset(SET_BY_GATEWAY + SET_BY_FORWARDER)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_QUOTED_PAIR = re.compile(r"\\(.)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = slice(17, 19)
_SECOND_US = 1_000_000


class Violation(NamedTuple):
    """One thing that is wrong with an event.

    pointer: JSON Pointer (RFC 6901) into the whole event. rule: a JSON Schema keyword, or one of
    `cpr`, `modulus-11`, `register`, `envelope`. detail: English, never the offending personal data.
    expected: what the rule asks for (the enum's values, the maximum, …), for messages in other languages.
    """

    pointer: str
    rule: str
    detail: str
    expected: Any = None


class InvalidEvent(ValueError):
    """What came is not an event that this dataset knows.

    problem: the name of the problem type, such as `not-an-event` or `schema-violation`.
    event_id: the event's id where one could be read.
    """

    def __init__(
        self, problem: str, detail: str, violations: Iterable[Violation] = (), event_id: str | None = None
    ) -> None:
        super().__init__(detail)
        self.problem, self.detail, self.violations = problem, detail, tuple(violations)
        self.event_id = event_id


class Event:
    """One CloudEvent with a right envelope. Build it with `parse`, `from_json` or `from_binary`.

    attributes: the whole event as a dict, `data` included; treat it as frozen.
    time_us: `time` as UTC microseconds since 1970.
    """

    __slots__ = ("attributes", "dataschema", "name", "source", "time_us")

    def __init__(self, attributes: dict[str, Any], *, stored: bool = False) -> None:
        """Check the envelope. Raises `InvalidEvent`; `stored` allows what only Kommunebro sets."""
        # A null attribute is one that was not set (CloudEvents JSON format, section 2.2).
        if None in attributes.values():
            attributes = {key: value for key, value in attributes.items() if value is not None}
        allowed = _STORED if stored else _FROM_PUBLISHERS
        # Written out, since it runs for every event: a loop over the names takes four times as long.
        get = attributes.get
        if not (
            type(get("id")) is type(get("source")) is type(get("type")) is type(get("subject")) is str
            and type(get("time")) is type(get("dataschema")) is type(get("specversion")) is str
            and type(get("data")) is dict
            and type(get("traceparent", "")) is type(get("datacontenttype", "")) is str
            and attributes.keys() <= allowed
        ):
            raise _not_an_event(attributes, _shape_violations(attributes, allowed))
        self.attributes = attributes
        try:
            self.source = Source.parse(attributes["source"])
            self.dataschema = DataSchema.parse(attributes["dataschema"])
            self.time_us = parse_time(attributes["time"])
        except InvalidIdentifier:
            raise _not_an_event(attributes, _value_violations(attributes, stored=stored)) from None
        self.name = attributes["type"][len(TYPE_PREFIX) :]
        if not self._hangs_together(stored=stored):
            raise _not_an_event(attributes, _value_violations(attributes, stored=stored))

    def _hangs_together(self, *, stored: bool) -> bool:
        """Whether the attributes are well formed and agree with one another, in the cheapest order."""
        attributes = self.attributes
        event_id, subject = attributes["id"], attributes["subject"]
        id_property = ID_PROPERTIES.get(self.name)
        return (
            attributes["specversion"] == "1.0"
            and 0 < len(event_id) <= ID_CHARACTERS_MAX
            and _CONTROL.search(event_id) is None
            and SUBJECT.fullmatch(subject) is not None
            and id_property is not None
            and attributes["type"].startswith(TYPE_PREFIX)
            and attributes["data"].get(id_property) == subject
            and (self.dataschema.name == self.name or (stored and self.dataschema.name == self.name + "-shared"))
            and attributes.get("datacontenttype", JSON) == JSON
            and ("traceparent" not in attributes or TRACEPARENT.fullmatch(attributes["traceparent"]) is not None)
        )

    @property
    def id(self) -> str:
        """The attribute `id`."""
        return self.attributes["id"]  # type: ignore[no-any-return]

    @property
    def subject(self) -> str:
        """The attribute `subject`."""
        return self.attributes["subject"]  # type: ignore[no-any-return]

    @property
    def data(self) -> dict[str, Any]:
        """The attribute `data`: the whole state of the thing; treat it as frozen."""
        return self.attributes["data"]  # type: ignore[no-any-return]

    @property
    def participant(self) -> str:
        """Who published it, by its `source`."""
        return self.source.participant

    @classmethod
    def parse(cls, raw: bytes, *, stored: bool = False) -> "Event":
        """Read one structured-mode event. Raises `strict_json.UnreadableJson` or `InvalidEvent`."""
        return cls.from_json(strict_json.loads(raw), stored=stored)

    @classmethod
    def from_json(cls, value: Any, *, stored: bool = False) -> "Event":
        """Take a parsed JSON value. Raises `InvalidEvent`."""
        if not isinstance(value, dict):
            raise InvalidEvent(
                "not-an-event", "An event is a JSON object.", [Violation("", "envelope", "Not an object.")]
            )
        return cls(value, stored=stored)

    @classmethod
    def from_binary(cls, headers: Mapping[str, str], body: bytes) -> "Event":
        """Read one event in HTTP's binary mode: attributes in `ce-` headers (lower case), `data` in the body.

        Raises `strict_json.UnreadableJson` or `InvalidEvent`.
        """
        attributes: dict[str, Any] = {
            name.removeprefix("ce-"): _header_text(name, value)
            for name, value in headers.items()
            if name.startswith("ce-")
        }
        attributes["data"] = strict_json.loads(body)
        return cls.from_json(attributes)


def _header_text(name: str, value: str) -> str:
    """Decode an attribute: quotes first, then percent signs (CloudEvents HTTP binding, section 3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        detail = f"The header {name[:64]} is not percent-encoded UTF-8."
        raise InvalidEvent("not-an-event", detail, [Violation("/" + name[3:64], "envelope", detail)]) from None


def digest(attributes: Mapping[str, Any], key: bytes) -> int:
    """Return 60 bits that are equal for equal content, whatever its spelling or the door it came through.

    Keyed, so that nobody without the key can find out what an erased event said by guessing.
    """
    return digest_of(canonical(attributes), key)


def canonical(attributes: Mapping[str, Any]) -> bytes:
    """Return an event's content in the one spelling that its digest is taken of: JSON with sorted keys.

    `datacontenttype` has one value only, and `traceparent` another one each time that a traced client sends
    the same event again: both are left out.
    """
    if not attributes.keys() <= _DIGESTED:
        attributes = {name: attributes[name] for name in _DIGESTED if name in attributes}
    spelled = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)
    # 37.0 and 37 are one number to JSON Schema; only such spellings need the slower way. Floats that orjson
    # writes with an exponent lie beyond 2^53, where no integer of the same value is taken.
    if b".0" in spelled and FLOAT_SPELLING.search(spelled):
        spelled = orjson.dumps(_integral(attributes), option=orjson.OPT_SORT_KEYS)
    return spelled


def digest_of(spelled: bytes, key: bytes) -> int:
    """Return the digest of a content that `canonical` has spelled."""
    hashed = _keyed(key).copy()
    hashed.update(spelled)
    return int.from_bytes(hashed.digest()[:8], "big") >> 4


_DIGESTED = frozenset(REQUIRED)
FLOAT_SPELLING = re.compile(rb"\.0[,}\]]")
"""A whole number with decimals, or a text that looks like one."""


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> Any:
    """Return SHA-256 that has taken in the key, filled up to a block: the inner half of HMAC (RFC 2104).

    Enough here, where 60 bits of the hash stay inside; the processor's own SHA instructions make it twice as
    fast as a keyed BLAKE2.
    """
    return sha256(key.ljust(64, b"\0"))


def _integral(value: Any) -> Any:
    if isinstance(value, float) and abs(value) <= strict_json.INTEGER_MAX and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _integral(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_integral(item) for item in value]
    return value


def parse_time(text: str) -> int:
    """Return an RFC 3339 instant as UTC microseconds since 1970; finer digits are cut off.

    A leap second counts as the second after it. Raises `InvalidIdentifier` for anything else, a time
    without its offset from UTC included, and for the years that Python's calendar lacks.
    """
    if not _TIME.fullmatch(text):
        raise InvalidIdentifier("Not a time such as 2026-11-23T08:05:00+01:00 (RFC 3339, with the offset from UTC).")
    try:
        since = datetime.fromisoformat(text.upper()) - _EPOCH
    except (ValueError, OverflowError):
        if text[_SECONDS] == "60" and is_date_time(text):
            return parse_time(text[: _SECONDS.start] + "59" + text[_SECONDS.stop :]) + _SECOND_US
        raise InvalidIdentifier("Not a time that exists, such as 2026-11-23T08:05:00+01:00 (RFC 3339).") from None
    return (since.days * 86_400 + since.seconds) * _SECOND_US + since.microseconds


def format_time(time_us: int) -> str:
    """Return UTC microseconds since 1970 as RFC 3339 with milliseconds and `Z`; finer digits are cut off."""
    # Not by fromtimestamp: a float of seconds is a millisecond off some centuries from now.
    text = (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _shape_violations(attributes: dict[str, Any], allowed: frozenset[str]) -> list[Violation]:
    """Say which attributes are missing, unknown, or of the wrong JSON type."""
    violations = [
        Violation("", "required", f"The attribute {name!r} is missing.", name)
        for name in REQUIRED
        if name not in attributes
    ]
    for name, value in islice(attributes.items(), _ATTRIBUTES_TOLD_MAX):
        # A strange name is told so that it can be found, but not at any length.
        pointer = "/" + name[:64].replace("~", "~0").replace("/", "~1")
        if name in _STORED and name not in allowed:
            violations.append(Violation(pointer, "envelope", f"{name!r} is set by Kommunebro; leave it out."))
        elif name not in allowed:
            violations.append(Violation(pointer, "envelope", f"{name[:64]!r} is not an attribute of our events."))
        elif name == "data" and not isinstance(value, dict):
            violations.append(Violation(pointer, "type", "'data' is an object.", "object"))
        elif name not in _NOT_TEXT and not isinstance(value, str):
            violations.append(Violation(pointer, "type", f"{name!r} is a text.", "string"))
    return violations


_NOT_TEXT = frozenset({"data", "agreementversion"})
_ATTRIBUTES_TOLD_MAX = 100


def _value_violations(attributes: dict[str, Any], *, stored: bool) -> list[Violation]:
    """Say what is wrong with attributes that are all there and of the right JSON type."""
    found = [
        Violation("/" + name, *rest)
        for name, is_right, *rest in _VALUES
        if name in attributes and not is_right(attributes[name])
    ]
    for name, parse in (("source", Source.parse), ("dataschema", DataSchema.parse), ("time", parse_time)):
        try:
            parse(attributes[name])
        except InvalidIdentifier as error:
            found.append(Violation("/" + name, "envelope", str(error)))
    name = attributes["type"].removeprefix(TYPE_PREFIX)
    if attributes["type"] not in _TYPES:
        found.append(Violation("/type", "enum", f"The type is one of {', '.join(_TYPES)}.", list(_TYPES)))
        return found
    view = f"{name}-shared" if stored else name
    schemas = (f"{_SCHEMA_PREFIX}{name}:", f"{_SCHEMA_PREFIX}{view}:")
    if not attributes["dataschema"].startswith(schemas) and "/dataschema" not in {wrong.pointer for wrong in found}:
        detail = f"The schema of a {name} is {_SCHEMA_PREFIX}{name}:<major>.<minor>."
        found.append(Violation("/dataschema", "envelope", detail))
    return found + _identity_violations(attributes, ID_PROPERTIES[EventName(name)])


def _identity_violations(attributes: dict[str, Any], id_property: str) -> list[Violation]:
    if id_property not in attributes["data"]:
        return [Violation("/data", "required", f"{id_property!r} is missing.", id_property)]
    if attributes["data"][id_property] == attributes["subject"]:
        return []
    detail = f"{id_property} and the event's subject are the same text."
    return [Violation(f"/data/{id_property}", "const", detail)]


_SCHEMA_PREFIX = "urn:kommunebro:schema:"
_TYPES = tuple(name.type for name in EventName)
_VALUES: tuple[tuple[str, Callable[[str], object], str, str, Any], ...] = (
    ("specversion", "1.0".__eq__, "const", "specversion is '1.0'.", "1.0"),
    (
        "id",
        lambda text: 0 < len(text) <= ID_CHARACTERS_MAX and not _CONTROL.search(text),
        "envelope",
        f"An id has 1 to {ID_CHARACTERS_MAX} characters and no control characters.",
        None,
    ),
    (
        "subject",
        SUBJECT.fullmatch,
        "pattern",
        "A subject has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.",
        SUBJECT.pattern,
    ),
    ("datacontenttype", JSON.__eq__, "const", f"datacontenttype is {JSON!r} or left out.", JSON),
    (
        "traceparent",
        TRACEPARENT.fullmatch,
        "envelope",
        "Not a W3C trace context (version-trace-parent-flags in lower-case hexadecimal digits).",
        None,
    ),
)


def _not_an_event(attributes: Mapping[str, Any], violations: list[Violation]) -> InvalidEvent:
    event_id = attributes.get("id")
    return InvalidEvent(
        "not-an-event",
        "The envelope is not that of an event: " + " ".join(violation.detail for violation in violations[:3]),
        violations,
        event_id[:ID_CHARACTERS_MAX] if isinstance(event_id, str) else None,
    )
