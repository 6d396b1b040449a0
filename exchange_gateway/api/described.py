"""The OpenAPI document: what FastAPI knows of its routes, the hot route, the dataset's schemas and worked examples."""

from typing import Any

from fastapi import FastAPI

from exchange_gateway.api.described_examples import answer_examples, binary_example, body_examples, in_lines
from exchange_gateway.api.described_schemas import (
    AGREEMENT_SCHEMA,
    EVENT_NAME_SCHEMA,
    EXPLANATION_SCHEMA,
    LISTED_AGREEMENT_SCHEMA,
    PLACE_SCHEMA,
    PROBLEM_SCHEMA,
    PUBLISHED_SCHEMA,
    RESULTS_SCHEMA,
    VALIDATED_SCHEMA,
)
from exchange_gateway.api.event_components import EVENT, FORWARDED, PREFIX, SEEN, event_components, pascal, ref
from exchange_gateway.api.problems import MEDIA_TYPE
from exchange_gateway.api.publish import PATH, VALIDATE_PATH
from exchange_gateway.api.subscription_models import ChangedSubscription, CursorBody, FilterBody, NewSubscription
from schemas.event import BATCH, JSON, NDJSON, OPTIONAL, REQUIRED, STRUCTURED
from schemas.identifiers import EventName

Document = dict[str, Any]

_BODIES = (NewSubscription, ChangedSubscription, CursorBody, FilterBody)
_TYPED = {
    ("PullAnswer", "events"): {"type": "array", "items": ref(FORWARDED + EVENT)},
    ("DryRunAnswer", "events"): {"type": "array", "items": ref(FORWARDED + EVENT)},
    ("JobOrderItem", "data"): ref(pascal(EventName.JOB_ORDER) + SEEN),
    ("QuarantineItem", "problem"): ref("Problem"),
    ("AllianceList", "alliances"): {"type": "array", "items": ref("ListedAgreement")},
}
"""What the models leave open, since they would have to say it once more: the dataset's own schemas."""

_REQUEST_ID = {"description": "Names the request in the gateway's log.", "schema": {"type": "string"}}
_RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "string"}}
_WAITS = ("429", "503")
_HEADERS = {"RequestId": _REQUEST_ID, "RetryAfter": _RETRY_AFTER}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell all of it."""
    generate = app.openapi

    def openapi() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend it


def completed(document: Document) -> Document:
    """Add to FastAPI's document what it does not know; changes and returns it."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in _BODIES:
        schemas[model.__name__] = model.model_json_schema(ref_template=PREFIX + "{model}")
        schemas[model.__name__].pop("$defs", None)
        for one in schemas[model.__name__]["properties"].values():
            # That null stands for "left out" says nothing, and generators would ask for a value.
            if one.get("default", ...) is None:
                del one["default"]
    for (model_name, name), schema in _TYPED.items():
        described = schemas[model_name]["properties"][name].get("description")
        schemas[model_name]["properties"][name] = schema | ({"description": described} if described else {})
    schemas.update(event_components())
    schemas.update(
        Problem=PROBLEM_SCHEMA,
        ProblemType=EXPLANATION_SCHEMA,
        EventName=EVENT_NAME_SCHEMA,
        Place=PLACE_SCHEMA,
        Results=RESULTS_SCHEMA,
        Published=PUBLISHED_SCHEMA,
        Validated=VALIDATED_SCHEMA,
        Agreement=AGREEMENT_SCHEMA,
        ListedAgreement=LISTED_AGREEMENT_SCHEMA,
    )
    components["headers"] = _HEADERS
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "docs/access.md says which role each path needs.",
        }
    }
    document["security"] = [{"bearer": []}]
    document["paths"][PATH] = {"post": _publishing("Publish one event or many", "publish_events", recorded=True)}
    document["paths"][VALIDATE_PATH] = {
        "post": _publishing("Check events as publishing would; nothing is recorded", "validate_events", recorded=False)
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, needs_token=path.startswith("/v1/"))
    return document


def _complete(operation: Document, *, needs_token: bool) -> None:
    """Add examples and headers to an operation, and tell of errors as they are."""
    if not needs_token:
        operation["security"] = []
        # A path's parameter is any text here; FastAPI believes that it might refuse it.
        operation["responses"].pop("422", None)
    examples = answer_examples().get(operation["operationId"], {})
    for status, answer in operation["responses"].items():
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}
        if status in _WAITS and MEDIA_TYPE in answer.get("content", {}):
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        for content in answer.get("content", {}).values():
            if status in examples:
                content["example"] = examples[status]


# --- the hot route ----------------------------------------------------------------------------------


def _publishing(summary: str, operation_id: str, *, recorded: bool) -> Document:
    answers = {
        "200": _answer(
            f"{'A duplicate' if recorded else 'One event that is right'}, or a batch in which nothing was refused",
            ref("Published" if recorded else "Validated"),
        ),
        "207": _answer("A batch in which something was refused", ref("Results")),
    }
    if recorded:
        answers["201"] = _answer("One new event, durable now", ref("Place"))
    for status in ("400", "401", "403", "408", "409", "413", "415", "422", "429", "503"):
        answers[status] = _answer("A problem", ref("Problem"), MEDIA_TYPE)
    return {
        "tags": ["events"],
        "summary": summary,
        "description": "A batch's answer has a result for each event, in order; one bad event never spoils the others."
        " In binary mode (`application/json`) the attributes stand in `ce-*` headers, percent-encoded.",
        "operationId": operation_id,
        "parameters": _binary_headers(),
        "requestBody": {"required": True, "content": _bodies()},
        "responses": answers,
    }


def _bodies() -> Document:
    structured, batch = body_examples()
    example = binary_example()["data"]
    return {
        STRUCTURED: {
            "schema": ref(EVENT),
            "examples": {name: {"value": event} for name, event in structured.items()},
        },
        BATCH: {"schema": {"type": "array", "items": ref(EVENT), "maxItems": 10_000}, "example": batch},
        NDJSON: {"schema": {"type": "string", "description": "An event a line."}, "example": in_lines(batch)},
        JSON: {
            # Not one of the five: generators would take that for the body, and offer no way to send an event.
            "schema": {"type": "object", "description": "Binary mode: `data`, by the schema that `ce-type` names."},
            "example": example,
        },
    }


def _binary_headers() -> list[Document]:
    """Describe binary mode's headers. Which of them are wrong depends on the body, so each is any text."""
    event = binary_example()
    return [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": f"Binary mode only: the event's `{name}`.",
        }
        | ({"example": event[name]} if name in event else {})
        for name in (*REQUIRED, *OPTIONAL)
        if name not in ("data", "datacontenttype")
    ]


def _answer(description: str, schema: Document, media_type: str = JSON) -> Document:
    return {"description": description, "content": {media_type: {"schema": schema}}}
