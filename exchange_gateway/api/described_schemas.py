"""Schemas that stand in no model: problems, the hot route's answers, agreements. Pure values."""

from typing import Any

from exchange_gateway.core.agreements import Kind
from schemas.identifiers import ALLIANCE, PARTICIPANT, EventName

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_TYPES = [name.value for name in EventName]

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details; GET the `type` for an explanation.",
    "required": ["type", "title", "status", "detail", "retryable"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/schema-violation"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether the same request can succeed later."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer into the event"},
                    "detail": {"type": "string"},
                    "rule": {"type": "string"},
                },
            },
        },
    },
}
PLACE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "source", "topic", "offset", "duplicate"],
    "properties": {
        "id": {"type": "string"},
        "source": {"type": "string"},
        "topic": {"type": "string", "examples": ["pub.0671.job-order"]},
        "offset": {"type": "integer"},
        "duplicate": {"type": "boolean"},
    },
}
RESULTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "duplicates", "refused", "results"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "refused": {"type": "integer"},
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "id", "status"],
                "properties": {
                    "index": {"type": "integer"},
                    "id": {"type": ["string", "null"]},
                    "status": {"enum": ["accepted", "duplicate", "refused"]},
                    "topic": {"type": "string"},
                    "offset": {"type": "integer"},
                    "problem": _PROBLEM_REF,
                },
            },
        },
    },
}
EVENT_NAME_SCHEMA: dict[str, Any] = {
    "type": "string",
    "enum": _TYPES,
    "description": "A type's short name, as in topics, schemas and agreements.",
}
VALID_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What publishing this event would do.",
    "required": ["valid", "id", "source", "duplicate"],
    "properties": {
        "valid": {"type": "boolean"},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "duplicate": {"type": "boolean", "description": "Whether it is recorded already."},
    },
}


def _either(one: dict[str, Any], many: dict[str, Any]) -> dict[str, Any]:
    """Return what is either: as one object, since generated clients cannot tell two apart by what is required."""
    return {
        "type": "object",
        "description": "For one event and for a batch: either the former properties or the latter.",
        "properties": one["properties"] | many["properties"],
        "anyOf": [{"required": one["required"]}, {"required": many["required"]}],
    }


PUBLISHED_SCHEMA = _either(PLACE_SCHEMA, RESULTS_SCHEMA)
VALIDATED_SCHEMA = _either(VALID_SCHEMA, RESULTS_SCHEMA)


def _types(description: str) -> dict[str, Any]:
    items = {"$ref": "#/components/schemas/EventName"}
    return {"type": ["array", "null"], "items": items, "uniqueItems": True, "description": description}


_PARTICIPANT = {"type": "string", "pattern": f"^({PARTICIPANT.pattern})$"}
_MEMBER = {
    "type": "object",
    "required": ["participant"],
    "properties": {
        "participant": _PARTICIPANT,
        "name": {"type": ["string", "null"], "maxLength": 200},
        "publishes": _types("Which types it publishes here; left out, all that are shared."),
        "reads": _types("Which types it reads here; left out, all that are shared."),
        "from": {"type": "null", "description": "Kept for later."},
        "until": {"type": "null", "description": "Kept for later."},
    },
}
_SHARE = {
    "type": "object",
    "properties": {
        "fields": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "maxItems": 500,
            "description": "JSON Pointers into `data`; left out, what is shared by default.",
        },
        "delay": {"type": ["string", "null"], "enum": ["PT0S", None]},
    },
}
AGREEMENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An agreement; docs/agreements.md has the rules. A property that is null counts as left out.",
    "required": ["id", "name", "kind", "validFrom", "coordinators", "members", "shares"],
    "properties": {
        "id": {"type": "string", "pattern": f"^{ALLIANCE.pattern}$"},
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "kind": {"type": "string", "enum": [kind.value for kind in Kind]},
        "purpose": {"type": ["string", "null"], "maxLength": 2000},
        "legalBasis": {"type": ["string", "null"], "maxLength": 2000},
        "validFrom": {"type": "string", "format": "date-time"},
        "validUntil": {"type": "null", "description": "Kept for later."},
        "coordinators": {"type": "array", "items": _PARTICIPANT, "maxItems": 100, "uniqueItems": True},
        "members": {"type": "array", "items": _MEMBER, "minItems": 1, "maxItems": 2000},
        "shares": {
            "type": "object",
            "description": "Which types are shared, and what of each.",
            "properties": dict.fromkeys(_TYPES, _SHARE),
            "additionalProperties": False,
        },
    },
}
LISTED_AGREEMENT_SCHEMA: dict[str, Any] = AGREEMENT_SCHEMA | {
    "description": "An agreement, with the number of its version.",
    "required": [*AGREEMENT_SCHEMA["required"], "version"],
    "properties": {**AGREEMENT_SCHEMA["properties"], "version": {"type": "integer", "minimum": 1}},
}
EXPLANATION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "retryable", "explanation"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "retryable": {"type": "boolean"},
        "explanation": {"type": "string"},
    },
}
