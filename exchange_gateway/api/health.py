"""Liveness, readiness, metrics, the pages that explain problems, and the AsyncAPI document."""

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from exchange_gateway.api.asyncapi import asyncapi_document
from exchange_gateway.api.common import problems as problems_of
from exchange_gateway.api.problems import PROBLEMS, Problem, explain

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter()

_PROBLEM_TYPE = {"$ref": "#/components/schemas/ProblemType"}
_PROBLEMS = {
    "type": "object",
    "required": ["problems"],
    "properties": {"problems": {"type": "array", "items": _PROBLEM_TYPE}},
}
_READINESS = {
    "type": "object",
    "required": ["ready", "reasons"],
    "properties": {"ready": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}},
}
_TEXT = {"type": "string"}


@router.get("/healthz", tags=["operation"], summary="Say that the process lives")
async def healthz(request: Request) -> dict[str, str]:
    """Say that the process lives, and which instance it is: publishers remember by it what they sent where."""
    gateway: Gateway = request.app.state.gateway
    return {"status": "alive", "instance": gateway.instance.name}


@router.get(
    "/readyz",
    tags=["operation"],
    summary="Say whether requests can be served",
    responses={503: {"description": "Not now, and why", "content": {"application/json": {"schema": _READINESS}}}},
)
async def readyz(request: Request, response: Response) -> dict[str, object]:
    """Say whether requests can be served; 503 and why where not."""
    gateway: Gateway = request.app.state.gateway
    reasons = await gateway.not_ready()
    if reasons:
        response.status_code = 503
    return {"ready": not reasons, "reasons": reasons}


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Get the metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": _TEXT}}}},
)
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    gateway: Gateway = request.app.state.gateway
    gateway.metrics.known_events.set(len(gateway.known))
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/problems",
    tags=["problems"],
    summary="List the problem types",
    response_class=Response,
    responses={200: {"description": "All of them", "content": {"application/json": {"schema": _PROBLEMS}}}},
)
async def problems() -> Response:
    """Return every type that an error of this API can have."""
    return _json({"problems": [explain(row) for row in PROBLEMS.values()]})


@router.get(
    "/problems/{name}",
    tags=["problems"],
    summary="Explain a problem type",
    response_class=Response,
    responses={
        200: {"description": "What it means", "content": {"application/json": {"schema": _PROBLEM_TYPE}}},
        404: problems_of(404)[404],
    },
)
async def problem(name: str) -> Response:
    """Return what a problem type means, and whether trying again helps."""
    row = PROBLEMS.get(name)
    if row is None:
        raise Problem("not-found", f"There is no problem type {name[:64]!r}; GET /problems lists them.")
    return _json(explain(row))


@router.get(
    "/asyncapi.json",
    tags=["operation"],
    summary="Describe the streams and the native door",
    response_class=Response,
    responses={200: {"description": "AsyncAPI 3.0", "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def asyncapi(request: Request) -> Response:
    """Return an AsyncAPI 3.0 document: what a subscription's stream brings, and what a mailbox on Kafka takes."""
    gateway: Gateway = request.app.state.gateway
    document = asyncapi_document(
        gateway.version,
        request.url.netloc,
        request.url.scheme,
        native_door=gateway.settings.kafka_bootstrap is not None,
        prefix=gateway.settings.kafka.prefix,
    )
    return _json(document)


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
