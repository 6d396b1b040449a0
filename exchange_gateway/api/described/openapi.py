"""The OpenAPI 3.1 document: what FastAPI knows, the hot route that it does not know of, types of events, examples."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import starmap
from typing import Any

from fastapi import FastAPI, Request

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.api import schemas_api
from exchange_gateway.api.common import SHAPE, problems
from exchange_gateway.api.connectors import ConnectorReport
from exchange_gateway.api.described import asyncapi, examples
from exchange_gateway.api.described.event_schemas import REF, camel, event_schemas
from exchange_gateway.api.described.shapes import SHAPES
from exchange_gateway.api.problems import MEDIA_TYPE
from exchange_gateway.api.publish import PATH, VALIDATE_PATH
from exchange_gateway.api.subscription_models import ChangedSubscription, CursorBody, NewSubscription
from schemas.event import BATCH, JSON, NDJSON, STRUCTURED
from schemas.identifiers import EventName
from schemas.registry import Registry

Node = dict[str, Any]

DESCRIPTION = """Job orders, company contacts and visits, exchanged between Danish municipalities.

Send `Authorization: Bearer <token>`. Every error is `application/problem+json`, with a `type` that `GET /problems`
explains. `/asyncapi.json` describes the streams, and the native door on Kafka."""

TAGS = {
    "events": "Publish, or check what publishing would say",
    "job orders": "What your participant may see of job orders now",
    "subscriptions": "Hear of what is new: pull, or stream",
    "alliances": "The agreements: who shares what with whom",
    "connectors": "How the programs are that publish from municipalities' systems",
    "native door": "What your own Kafka producer wrote and was refused",
    "audit": "Replay the log, and trace events",
    "schemas": "The shared dataset",
    "problems": "Every error explained",
    "operation": "Whether it runs, and how",
}
_HOT_STATUSES = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell everything, and serve the AsyncAPI document beside it."""
    generate = app.openapi

    @app.get("/asyncapi.json", tags=["operation"], summary="The streams and the native door, as AsyncAPI 3.0")
    async def asyncapi_document(request: Request) -> Node:
        """Return what describes the doors that HTTP's requests and answers do not: see docs/clients.md."""
        return asyncapi.document(request.app.state.gateway)

    def openapi() -> Node:
        if app.openapi_schema is None:
            app.openapi_schema = _whole(generate(), app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend it


def _whole(document: Node, app: FastAPI) -> Node:
    registry: Registry = app.state.gateway.registry
    document["info"]["description"] = DESCRIPTION
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    document["paths"] = {
        PATH: {"post": _publishing("Publish one event or many", "publish_events", recorded=True)},
        VALIDATE_PATH: {
            "post": _publishing("Check events as publishing would; nothing is recorded", "validate_events")
        },
        **document["paths"],
    }
    components = document.setdefault("components", {})
    found = {name: schema for name, schema in components.get("schemas", {}).items() if "ValidationError" not in name}
    components["schemas"] = found | _bodies() | SHAPES | event_schemas(registry)
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "`kommunebro token` makes one; it names a participant and its roles.",
        }
    }
    components["headers"] = {
        "RequestId": {"description": "Names this request in the gateway's log.", "schema": {"type": "string"}}
    }
    document["security"] = [{"bearer": []}]
    _complete(document)
    _add_examples(document, registry)
    return _shaped(document)  # type: ignore[no-any-return]


def _bodies() -> dict[str, Node]:
    """Return the models of bodies, which routes read for themselves."""
    found: dict[str, Node] = {}
    for model in (NewSubscription, ChangedSubscription, CursorBody, ConnectorReport):
        schema = model.model_json_schema(ref_template=REF + "{model}")
        found |= schema.pop("$defs", {}) | {model.__name__: schema}
    for schema in found.values():
        for described in schema["properties"].values():
            if described.get("default", ...) is None:
                # Left out and null are not the same in a PATCH, and generators would send what they call a default.
                del described["default"]
    return found


def _complete(document: Node) -> None:
    """Say of each operation whether it needs a token, and what they all can answer and send along."""
    for operation in _operations(document):
        answers = operation["responses"]
        if "HTTPValidationError" in str(answers.get("422")):
            # FastAPI's guess for a route that takes any text in its path.
            del answers["422"]
        if "401" not in answers:
            operation["security"] = []
        answers.setdefault("500", deepcopy(problems(500)[500]))
        for answer in answers.values():
            answer.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}


def _operations(document: Node) -> Iterator[Node]:
    return (operation for path in document["paths"].values() for operation in path.values())


def _add_examples(document: Node, registry: Registry) -> None:
    agreement = next(body for body in packaged_agreements() if body["id"] == examples.VESTALLIANCEN)
    known = examples.answers(agreement, schemas_api.items_of(registry))
    for operation in _operations(document):
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if media_type == MEDIA_TYPE:
                    content["example"] = examples.problem(int(status))
                elif (operation["operationId"], status) in known:
                    content["example"] = known[operation["operationId"], status]


def _shaped(node: Any) -> Any:
    """Put references where a model names a shape that is none of FastAPI's."""
    if isinstance(node, list):
        return [_shaped(item) for item in node]
    if not isinstance(node, dict):
        return node
    if SHAPE in node:
        return {"$ref": REF + node[SHAPE]} | {key: node[key] for key in ("description",) if key in node}
    return {key: _shaped(value) for key, value in node.items()}


def _publishing(summary: str, operation_id: str, *, recorded: bool = False) -> Node:
    event, place, results = ({"$ref": REF + name} for name in ("Event", "Place", "Results"))
    one = place if recorded else {"$ref": REF + "Validated"}
    answers = {
        "200": _answer("A duplicate, or a batch in which nothing was refused", {"anyOf": [one, results]}),
        "207": _answer("A batch in which something was refused", results),
    }
    if recorded:
        answers = {"201": _answer("One new event, durable now", place), **answers}
    told = {str(status): answer for status, answer in problems(*_HOT_STATUSES).items()}
    data = [{"$ref": REF + camel(name)} for name in EventName]
    schemas = {
        STRUCTURED: event,
        BATCH: {"type": "array", "items": event},
        NDJSON: {"type": "string", "description": "An `Event` a line."},
        JSON: {"description": "Binary mode: `data`, with the attributes in ce-* headers", "anyOf": data},
    }
    shown = examples.publications()
    return {
        "tags": ["events"],
        "summary": summary,
        "description": "One event (structured or binary mode), a batch, or a line each. docs/events.md has the rules.",
        "operationId": operation_id,
        "parameters": list(starmap(_attribute, examples.binary_headers(examples.event(), "ce-").items())),
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": schema, "examples": shown[kind]} for kind, schema in schemas.items()},
        },
        "responses": answers | told,
    }


def _attribute(name: str, example: str) -> Node:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"Binary mode only, and needed there: the event's `{name.removeprefix('ce-')}`.",
        "schema": {"type": "string"},
        "example": example,
    }


def _answer(description: str, schema: Node) -> Node:
    return {"description": description, "content": {JSON: {"schema": schema}}}
