"""Which properties an agreement can name, and which ones it shows when it names none. Pure.

A field is a JSON Pointer (RFC 6901) into `data`. On its way it passes through a list to each of the
list's items, so `/outlook/direction` means that property of every item.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.identifiers import ID_PROPERTIES, EventName

STATUS_PROPERTIES: Mapping[str, str] = {
    EventName.JOB_ORDER: "status",
    EventName.VISIT: "status",
    EventName.JOB_ORDER_RESPONSE: "kind",
}
"""The property that says how far a thing has come, where its type has one."""

NEVER_LEAVE = ("/sharing", "/agreedAt")
"""Between the publisher and Kommunebro, or between the publisher and the employer: no agreement shows them."""

_JOB_ORDER = (
    "company", "title", "occupation", "positions", "positionsFilled", "candidatesWanted", "employmentTypes",
    "startWith", "duration", "hoursPerWeek", "workingTime", "startDate", "startAsap", "applicationDeadline",
    "answerBy", "workplace", "requirements", "certificates", "drivingLicence", "languages", "description",
    "applyVia", "consultant", "employerAgreed", "externalIds", "registeredAt",
)  # fmt: skip
_RESPONSE = (
    "jobOrderOwner", "jobOrderId", "via", "candidateCount", "positions", "until", "reason", "handover", "message",
    "consultant",
)  # fmt: skip

DEFAULT_FIELDS: Mapping[str, tuple[str, ...]] = {
    EventName.JOB_ORDER: tuple("/" + name for name in _JOB_ORDER),
    EventName.COMPANY_CONTACT: ("/company", "/occurredAt", "/purposes", "/consultant/unit"),
    EventName.VISIT: ("/company", "/start", "/end", "/purposes", "/consultant", "/followUp/date"),
    EventName.COMPANY_COOPERATION: ("/company", "/forms", "/active", "/since", "/until", "/band", "/keyConsultant"),
    EventName.JOB_ORDER_RESPONSE: tuple("/" + name for name in _RESPONSE),
}
"""What leaves where an agreement lists no fields, besides id and status. Written out, not derived from
the schema: what a later schema adds is shared by default only when somebody has decided so here."""

DEFAULT_WHEN_HELD: Mapping[str, str] = {EventName.VISIT: "/followUp/date"}
"""By default a visit's follow-up is shown only when the visit was held."""

DEFAULT_WITHOUT_CLOCK: Mapping[str, str] = {EventName.COMPANY_CONTACT: "/occurredAt"}
"""By default a contact's time is shown without its time of day. An agreement that lists it shows it whole."""


def always_leaves(name: str) -> tuple[str, ...]:
    """Return the pointers that every forwarded event of this type has, listed or not."""
    status = STATUS_PROPERTIES.get(name)
    own_id = "/" + ID_PROPERTIES[EventName(name)]
    return (own_id,) if status is None else (own_id, "/" + status)


def default_fields(name: str) -> tuple[str, ...]:
    """Return what an agreement that lists no fields shows, id and status included."""
    return always_leaves(name) + DEFAULT_FIELDS[name]


KnownFields = Mapping[str, frozenset[str]]
"""For each type, every JSON Pointer that some version of its schema has."""


def known_fields(schemas: Iterable[tuple[str, Mapping[str, Any]]]) -> KnownFields:
    """Collect the pointers that agreements can list, from (type, schema) of all versions of all types."""
    found: dict[str, frozenset[str]] = {name.value: frozenset() for name in EventName}
    for name, schema in schemas:
        if name in found:
            found[name] |= pointers(schema)
    return found


def pointers(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON Pointers of all properties that a schema describes, through its local references."""
    return frozenset(_walk(schema, schema, ""))


def _walk(schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str) -> set[str]:
    found: set[str] = set()
    while "$ref" in schema and schema["$ref"].startswith("#/"):
        schema = _resolve(root, schema["$ref"])
    for name, child in schema.get("properties", {}).items():
        pointer = f"{prefix}/{escape(name)}"
        found |= {pointer} | _walk(child, root, pointer)
    if isinstance(schema.get("items"), dict):
        found |= _walk(schema["items"], root, prefix)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword, ()):
            found |= _walk(part, root, prefix)
    return found


def _resolve(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    target: Any = root
    for token in tokens(reference[1:]):
        target = target[token]
    return target  # type: ignore[no-any-return]


def escape(token: str) -> str:
    """Write a property's name as a part of a JSON Pointer (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def tokens(pointer: str) -> list[str]:
    """Split a JSON Pointer into the names that it passes."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def covers(wider: str, pointer: str) -> bool:
    """Whether what `wider` points to holds what `pointer` points to."""
    return pointer == wider or pointer.startswith(wider + "/")
