"""Each event type as a schema of its own, with `data` from the dataset: for documents that others make code from.

The dataset's schemas refer to parts of their own (`#/$defs/…`). In a document those stand among its components, and
parts that are equal everywhere are one component.
"""

from collections.abc import Iterable
from typing import Any

from schemas.event import ID_CHARACTERS_MAX, TRACEPARENT
from schemas.identifiers import SUBJECT, DataSchema, EventName
from schemas.registry import Registry
from schemas.tree import Schema
from schemas.views import NEVER_LEAVES

REF = "#/components/schemas/"
_LOCAL = "#/$defs/"
_LEFT_OUT = ("$schema", "$id", "$defs")

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ENVELOPE: dict[str, Any] = {
    "specversion": {"type": "string", "enum": ["1.0"]},
    "id": {"type": "string", "minLength": 1, "maxLength": ID_CHARACTERS_MAX, "description": "Unique within `source`."},
    "source": {
        "type": "string",
        "pattern": "^urn:kommunebro:[a-z0-9-]{2,32}:[A-Za-z0-9._-]{1,64}$",
        "examples": ["urn:kommunebro:0671:opera"],
    },
    "subject": {"type": "string", "pattern": f"^{SUBJECT.pattern}$", "description": "The thing's id."},
    "time": _TIME | {"description": "When it happened, by the publisher's clock."},
    "datacontenttype": {"type": "string", "enum": ["application/json"]},
    "traceparent": {"type": "string", "pattern": f"^{TRACEPARENT.pattern}$"},
}
_FORWARDED: dict[str, Any] = {
    "recordedtime": _TIME,
    "owner": _TEXT | {"description": "Whose thing it is.", "examples": ["0671"]},
    "alliance": _TEXT | {"description": "In which alliance it was shared.", "examples": ["vestalliancen"]},
    "agreementversion": {"type": "integer"},
    "forwardedtime": _TIME,
    "causedby": _TEXT | {"description": "The event because of which the forwarder made this one."},
}
_DAY_OR_TIME: dict[str, Any] = {
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "pattern": r"^\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?$",
}
"""The dataset's way of saying a day or an instant, and one that generators of clients can read."""

_REQUIRED = ("specversion", "id", "source", "type", "subject", "time", "dataschema", "data")


def camel(name: str) -> str:
    """Return a component's name: `JobOrder` for `job-order`."""
    return "".join(part.capitalize() for part in name.split("-"))


def event_name(name: str, *, forwarded: bool = False) -> str:
    """Return the name of an event type's component."""
    return f"{'Forwarded' if forwarded else ''}{camel(name)}Event"


def event_schemas(registry: Registry) -> dict[str, Schema]:
    """Return the components of all events: as published (`Event`), and as forwarded (`ForwardedEvent`)."""
    known = [DataSchema.parse(f"urn:kommunebro:schema:{name}:{version}") for name, version in registry.list()]
    components = _data_schemas([(one, registry.schema(one.name, one.version)) for one in known])
    components["JobOrderSeen"] = _seen(components["JobOrder"], components["JobOrderShared"])
    for forwarded in (False, True):
        union: dict[str, str] = {}
        for name in EventName:
            wanted = name.value + ("-shared" if forwarded else "")
            versions = [one for one in known if one.name == wanted]
            component = event_name(name, forwarded=forwarded)
            components[component] = _event(name, versions, forwarded=forwarded)
            union[name.type] = REF + component
        components["ForwardedEvent" if forwarded else "Event"] = {
            "description": "A CloudEvents 1.0 event in structured mode; docs/events.md has the rules."
            + (" As an alliance's members get it: `data` cut to what the agreement shows." if forwarded else ""),
            "oneOf": [{"$ref": reference} for reference in union.values()],
            "discriminator": {"propertyName": "type", "mapping": union},
        }
    return components


def _seen(full: Schema, shared: Schema) -> Schema:
    """Return what a reader may see of job orders: others' as they are shared, and of its own what never leaves too."""
    own = {name: full["properties"][name] for name in NEVER_LEAVES}
    return shared | {"title": "JobOrderSeen", "properties": own | shared["properties"]}


def _event(name: EventName, versions: list[DataSchema], *, forwarded: bool) -> Schema:
    data = [{"$ref": REF + _data_name(one, versions)} for one in versions]
    properties = _ENVELOPE | {
        "type": {"type": "string", "enum": [name.type]},
        "dataschema": {"type": "string", "enum": [str(one) for one in versions]},
        "data": data[0] if len(data) == 1 else {"anyOf": data},
    }
    return {
        "type": "object",
        "title": event_name(name, forwarded=forwarded),
        "required": [*_REQUIRED, *(("owner", "alliance") if forwarded else ())],
        "properties": properties | (_FORWARDED if forwarded else {}),
        "additionalProperties": False,
    }


def _data_name(one: DataSchema, versions: Iterable[DataSchema]) -> str:
    """Return the newest version's plain name; an older one's has its version."""
    newest = max((other.major, other.minor) for other in versions if other.name == one.name)
    return camel(one.name) + ("" if (one.major, one.minor) == newest else f"V{one.major}_{one.minor}")


def _data_schemas(schemas: list[tuple[DataSchema, Schema]]) -> dict[str, Schema]:
    """Return the dataset's schemas and their parts as components that refer to one another."""
    components: dict[str, Schema] = {}
    everything = [one for one, _ in schemas]
    for one, schema in schemas:
        own = _data_name(one, everything)
        parts = schema.get("$defs", {})
        names = {part: _part_name(part, own, schema, schemas) for part in parts}
        components[own] = _moved({key: value for key, value in schema.items() if key not in _LEFT_OUT}, names)
        components |= {names[part]: _moved(value, names) for part, value in parts.items()}
    return components


def _part_name(part: str, own: str, schema: Schema, schemas: list[tuple[DataSchema, Schema]]) -> str:
    """Return a part's name: shared by all full schemas, or all views, if it is the same wherever it is."""
    shared = schema["$id"].split(":")[-2].endswith("-shared")
    alike = [
        other["$defs"][part]
        for _, other in schemas
        if part in other.get("$defs", {}) and other["$id"].split(":")[-2].endswith("-shared") == shared
    ]
    name = part[0].upper() + part[1:]
    if any(other != alike[0] for other in alike):
        return own + name
    return ("Shared" if shared else "Full") + name


def _moved(node: Any, names: dict[str, str]) -> Any:
    """Copy a schema, its references pointing at components."""
    if isinstance(node, list):
        return [_moved(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value, names) for key, value in node.items()}
    if node.get("anyOf") == _DAY_OR_TIME["anyOf"]:
        moved = {key: value for key, value in moved.items() if key != "anyOf"} | {"pattern": _DAY_OR_TIME["pattern"]}
    reference = node.get("$ref")
    if isinstance(reference, str):
        moved["$ref"] = REF + names[reference.removeprefix(_LOCAL)]
    return moved
