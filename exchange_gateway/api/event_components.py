"""The shared dataset as both descriptions of the API need it: components, and events as examples. Pure.

The registry's schemas are JSON Schemas of their own, each with its `$defs`. Tools that read a description find only
what stands in `components`, so each schema and each definition becomes a component, and references follow.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import orjson

from exchange_gateway.core.agreements import AgreementVersion, parse_agreement
from exchange_gateway.core.forwarded import Writer
from exchange_gateway.core.routing import Decisions, Forward
from schemas.event import ID_CHARACTERS_MAX, JSON, TRACEPARENT, Event
from schemas.identifiers import ALLIANCE, PARTICIPANT, SUBJECT, SYSTEM, DataSchema, EventName
from schemas.packaged import examples, newest
from schemas.tree import Schema
from schemas.views import NEVER_LEAVES, shared_view

PREFIX = "#/components/schemas/"
SHARED, SEEN, EVENT, FORWARDED = "Shared", "Seen", "Event", "Forwarded"

ALLIANCE_EXAMPLE: dict[str, Any] = {
    "id": "vestalliancen",
    "name": "Vestalliancen",
    "kind": "alliance",
    "purpose": "Fælles rekruttering i Vestjylland",
    "legalBasis": "Lov om en aktiv beskæftigelsesindsats",
    "validFrom": "2026-01-01T00:00:00Z",
    "validUntil": None,
    "coordinators": ["0657"],
    "members": [
        {"participant": "0657", "name": "Herning"},
        {"participant": "0671", "name": "Struer", "publishes": ["job-order"], "reads": ["job-order", "visit"]},
    ],
    "shares": {"job-order": {}, "visit": {"fields": ["/visitId", "/status", "/company", "/start"]}},
}
_SHARES_ALL = ALLIANCE_EXAMPLE | {"shares": {name.value: {} for name in EventName}}
_RECORDED_AT, _SHARED_AT = "2026-11-23T07:05:00.123000Z", "2026-11-23T07:05:01.250000Z"
_SHARING_ASKED_FOR = ("alliances", "national")
_DATE_OR_TIME = [{"format": "date"}, {"format": "date-time"}]
_DATE_OR_TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}.*)?$"


def ref(component: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": PREFIX + component}


def pascal(name: str) -> str:
    """Return a component's name: `job-order` is `JobOrder`, `contactPerson` is `ContactPerson`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


@cache
def event_components() -> dict[str, Schema]:
    """Return the components of everything that is exchanged; treat them as frozen.

    For each type its data as published (`JobOrder`), as forwarded (`JobOrderShared`) and as a list shows it
    (`JobOrderSeen`: one's own whole, others' cut), and the events around them (`JobOrderEvent`, `JobOrderForwarded`).
    """
    full = {pascal(name): newest(name.value) for name in EventName}
    shared = {component: shared_view(schema) for component, schema in full.items()}
    found = _hoisted(full, "") | _hoisted(shared, SHARED)
    for name in EventName:
        component = pascal(name)
        found[component + SEEN] = _seen(found[component], found[component + SHARED])
        found[component + EVENT] = _event(name)
        found[component + FORWARDED] = _forwarded(name)
    return found | {EVENT: one_of(EVENT), FORWARDED + EVENT: one_of(FORWARDED)}


def one_of(kind: str) -> Schema:
    """Return what is any type's event, told apart by `type`. kind: `EVENT` or `FORWARDED`."""
    components = {name.type: PREFIX + pascal(name) + kind for name in EventName}
    said = "An event as it is published." if kind == EVENT else "An event as an alliance shares it."
    return {
        "description": f"{said} CloudEvents 1.0 in structured mode; `type` says which.",
        "oneOf": [{"$ref": component} for component in components.values()],
        "discriminator": {"propertyName": "type", "mapping": components},
    }


def published_examples(name: EventName) -> dict[str, dict[str, Any]]:
    """Return the dataset's own examples of a type by name: whole events, as published."""
    return deepcopy(examples(name.value))


def forwarded_examples(name: EventName) -> dict[str, dict[str, Any]]:
    """Return those of the dataset's examples that may leave, as the forwarder writes them for an alliance."""
    agreement = parse_agreement(_SHARES_ALL)
    by = ALLIANCE_EXAMPLE["coordinators"][0]
    version = AgreementVersion(agreement.id, 1, 0, agreement, _SHARES_ALL, by, _SHARED_AT)
    decisions = Decisions.of([Forward(agreement.id, version)])
    found = {}
    for title, attributes in published_examples(name).items():
        if attributes["data"].get("sharing", {}).get("scope", "alliances") in _SHARING_ASKED_FOR:
            recorded = Event(attributes | {"recordedtime": _RECORDED_AT}, stored=True)
            [(_, record)], _ = Writer(_SHARED_AT).write(recorded, decisions)
            found[title] = orjson.loads(record.value)
    return found


def _hoisted(schemas: dict[str, Schema], suffix: str) -> dict[str, Schema]:
    """Return each schema and each of its definitions as a component. suffix: what the components' names end with."""
    variants: dict[str, set[str]] = defaultdict(set)
    for schema in schemas.values():
        for name, definition in schema["$defs"].items():
            variants[name].add(json.dumps(definition, sort_keys=True))
    found: dict[str, Schema] = {}
    for component, schema in schemas.items():
        # Where two types mean other things by one name, each has its own.
        names = {
            name: ("" if len(variants[name]) == 1 else component) + pascal(name) + suffix for name in schema["$defs"]
        }
        for name, definition in schema["$defs"].items():
            found[names[name]] = _rewritten(definition, names)
        body = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "$defs")}
        found[component + suffix] = _rewritten(body, names)
    return found


def _rewritten(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_rewritten(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return node | ref(names[node["$ref"].removeprefix("#/$defs/")])
    if node.get("anyOf") == _DATE_OR_TIME:
        # Generators of clients know no text of two formats.
        node = {key: value for key, value in node.items() if key != "anyOf"} | {"pattern": _DATE_OR_TIME_PATTERN}
    return {key: _rewritten(value, names) for key, value in node.items()}


def _seen(full: Schema, shared: Schema) -> Schema:
    own = {name: full["properties"][name] for name in NEVER_LEAVES if name in full["properties"]}
    description = "What you may see of it: everything of your own; of others', what the agreement shows."
    return shared | {
        "title": shared["title"].removesuffix(", shared"),
        "description": description,
        "properties": shared["properties"] | own,
    }


def _event(name: EventName) -> Schema:
    properties = _envelope(name, DataSchema.parse(newest(name)["$id"]), pascal(name))
    return {
        "title": f"{newest(name)['title']}, published",
        "description": "A CloudEvents 1.0 event in structured mode; docs/events.md has the rules.",
        "type": "object",
        "required": [key for key in properties if key not in ("datacontenttype", "traceparent")],
        "properties": properties,
        "additionalProperties": False,
    }


def _forwarded(name: EventName) -> Schema:
    properties = _envelope(name, DataSchema.parse(newest(name)["$id"]).shared, pascal(name) + SHARED)
    time: Schema = {"type": "string", "format": "date-time"}
    set_by_forwarder = {
        "owner": {"type": "string", "pattern": f"^({PARTICIPANT.pattern})$", "description": "Whose thing it is."},
        "alliance": {"type": "string", "pattern": f"^{ALLIANCE.pattern}$", "description": "Where it is shared."},
        "agreementversion": {"type": "integer", "minimum": 1, "description": "By which version of its agreement."},
        "forwardedtime": time | {"description": "When it was shared."},
    }
    more = {
        "recordedtime": time | {"description": "When it was recorded; not in what the forwarder made itself."},
        "causedby": {"type": "string", "description": "Only in what the forwarder made itself: the event's id."},
    }
    return {
        "title": f"{newest(name)['title']}, forwarded",
        "description": "What an alliance shares of an event, or what the forwarder tells of it.",
        "type": "object",
        "required": [key for key in properties if key not in ("datacontenttype", "traceparent")]
        + list(set_by_forwarder),
        "properties": properties | set_by_forwarder | more,
    }


def _envelope(name: EventName, dataschema: DataSchema, data: str) -> dict[str, Schema]:
    """Return the publisher's attributes; any minor version of the schema up to this one may stand in `dataschema`."""
    urn = f"urn:kommunebro:schema:{dataschema.name}:{dataschema.major}"
    return {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": ID_CHARACTERS_MAX,
            "description": "Unique within `source`; no control characters.",
        },
        "source": {
            "type": "string",
            "pattern": f"^urn:kommunebro:({PARTICIPANT.pattern}):{SYSTEM.pattern}$",
            "description": "The publisher's participant and system.",
        },
        "type": {"type": "string", "enum": [name.type]},
        "subject": {"type": "string", "pattern": f"^{SUBJECT.pattern}$", "description": f"As `{name.id_property}`."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened, at the publisher."},
        "dataschema": {
            "type": "string",
            "enum": [f"{urn}.{minor}" for minor in range(dataschema.minor + 1)],
            "description": "Which schema `data` follows.",
        },
        "datacontenttype": {"type": "string", "enum": [JSON]},
        "traceparent": {"type": "string", "pattern": f"^{TRACEPARENT.pattern}$", "description": "W3C trace context."},
        "data": ref(data),
    }


def names_of(schema: Any) -> Iterator[str]:
    """Yield the components that a schema refers to, directly."""
    if isinstance(schema, list):
        for item in schema:
            yield from names_of(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str) and schema["$ref"].startswith(PREFIX):
            yield schema["$ref"].removeprefix(PREFIX)
        for value in schema.values():
            yield from names_of(value)
