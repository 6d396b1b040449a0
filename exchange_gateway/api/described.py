"""The OpenAPI entries of the hot route, which FastAPI does not know of."""

from typing import Any

from fastapi import FastAPI

from exchange_gateway.api.publish import PATH, VALIDATE_PATH
from schemas.event import BATCH, JSON, NDJSON, STRUCTURED

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}

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
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvents 1.0 event in structured mode; docs/events.md has the rules.",
    "required": ["specversion", "id", "source", "type", "subject", "time", "dataschema", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 128},
        "source": {"type": "string", "examples": ["urn:kommunebro:0671:opera"]},
        "type": {"type": "string", "examples": ["dk.kommunebro.job-order"]},
        "subject": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "time": {"type": "string", "format": "date-time"},
        "dataschema": {"type": "string", "examples": ["urn:kommunebro:schema:job-order:1.0"]},
        "datacontenttype": {"const": "application/json"},
        "traceparent": {"type": "string"},
        "data": {"type": "object"},
    },
    "additionalProperties": False,
}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell of the hot route too, and of problems on every route."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(Problem=PROBLEM_SCHEMA, Place=PLACE_SCHEMA, Results=RESULTS_SCHEMA, Event=EVENT_SCHEMA)
            document["components"]["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            }
            document["security"] = [{"bearer": []}]
            document["paths"][PATH] = {"post": _operation("Publish one event or many", "publish_events", recorded=True)}
            document["paths"][VALIDATE_PATH] = {
                "post": _operation(
                    "Check events as publishing would; nothing is recorded", "validate_events", recorded=False
                )
            }
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend it


def _operation(summary: str, operation_id: str, *, recorded: bool) -> dict[str, Any]:
    event, text = {"$ref": "#/components/schemas/Event"}, {"type": "string"}
    place, results = {"$ref": "#/components/schemas/Place"}, {"$ref": "#/components/schemas/Results"}
    one = place if recorded else {"type": "object"}
    answers = {
        "200": _answer("A duplicate, or a batch in which nothing was refused", {"oneOf": [one, results]}),
        "207": _answer("A batch in which something was refused", results),
    }
    if recorded:
        answers["201"] = _answer("One new event, durable now", place)
    for status in ("400", "401", "403", "408", "409", "413", "415", "422", "429", "503"):
        answers[status] = _answer("A problem", _PROBLEM_REF, "application/problem+json")
    content = {
        STRUCTURED: {"schema": event},
        BATCH: {"schema": {"type": "array", "items": event}},
        NDJSON: {"schema": text},
        JSON: {"schema": {"type": "object", "description": "Binary mode: `data`, with the attributes in ce-* headers"}},
    }
    return {
        "tags": ["events"],
        "summary": summary,
        "operationId": operation_id,
        "requestBody": {"required": True, "content": content},
        "responses": answers,
    }


def _answer(description: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}
