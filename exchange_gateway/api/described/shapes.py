"""The shapes of answers that no model of FastAPI's makes: those of the hot route, and problems."""

from typing import Any

PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}

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
        "errorsLeftOut": {"type": "integer", "description": "How many more there are than `errors` tells."},
        "owners": {"type": "array", "items": {"type": "string"}, "description": "With `ambiguous`: whose they are."},
        "oldest": {"type": "string", "description": "With `cursor-expired`: the oldest cursor to go on from."},
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
                    "index": {"type": "integer", "description": "Which of the events that were sent, from 0 on."},
                    "id": {"type": ["string", "null"]},
                    "status": {"type": "string", "enum": ["accepted", "duplicate", "refused"]},
                    "topic": {"type": "string"},
                    "offset": {"type": "integer"},
                    "problem": PROBLEM_REF,
                },
            },
        },
    },
}
VALIDATED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "The event would be taken in.",
    "required": ["valid", "id", "source", "duplicate"],
    "properties": {
        "valid": {"type": "boolean"},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "duplicate": {"type": "boolean", "description": "Whether it is recorded already."},
    },
}
AGREEMENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An agreement: who shares which events with whom. docs/agreements.md has the rules.",
    "required": ["id", "name", "kind", "validFrom", "members", "shares"],
    "properties": {
        "id": {"type": "string", "examples": ["vestalliancen"]},
        "name": {"type": "string"},
        "kind": {"type": "string", "enum": ["alliance", "local", "national"]},
        "purpose": {"type": ["string", "null"]},
        "legalBasis": {"type": ["string", "null"]},
        "validFrom": {"type": "string", "format": "date-time"},
        "validUntil": {"type": ["string", "null"], "format": "date-time"},
        "coordinators": {"type": ["array", "null"], "items": {"type": "string"}},
        "members": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["participant"],
                "properties": {
                    "participant": {"type": "string", "examples": ["0671"]},
                    "name": {"type": ["string", "null"]},
                    "from": {"type": ["string", "null"], "format": "date-time"},
                    "until": {"type": ["string", "null"], "format": "date-time"},
                    "publishes": {"type": ["array", "null"], "items": {"type": "string"}},
                    "reads": {"type": ["array", "null"], "items": {"type": "string"}},
                },
            },
        },
        "shares": {
            "type": "object",
            "description": "For each type that is shared, what is shown of it.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "fields": {"type": ["array", "null"], "items": {"type": "string"}},
                    "delay": {"type": ["string", "null"], "examples": ["PT0S"]},
                },
            },
        },
        "version": {"type": "integer", "description": "In the list only: which version it is."},
    },
}
RECORD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "One line of a replay.",
    "required": ["topic", "offset", "recordedAt", "event"],
    "properties": {
        "topic": {"type": "string", "examples": ["pub.0671.job-order"]},
        "offset": {"type": "integer"},
        "recordedAt": {"type": "string", "format": "date-time"},
        "event": {"type": "object", "description": "The stored value, byte for byte."},
    },
}
SHAPES = {
    "Problem": PROBLEM_SCHEMA,
    "Place": PLACE_SCHEMA,
    "Results": RESULTS_SCHEMA,
    "Validated": VALIDATED_SCHEMA,
    "Agreement": AGREEMENT_SCHEMA,
    "Record": RECORD_SCHEMA,
}
