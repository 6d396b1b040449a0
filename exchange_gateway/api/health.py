"""Liveness, readiness, metrics, and the pages that explain problems."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from exchange_gateway.api.problems import PROBLEMS, Problem, explain

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter()


@router.get("/healthz", tags=["operation"])
async def healthz(request: Request) -> dict[str, str]:
    """Say that the process lives, and which instance it is: publishers remember by it what they sent where."""
    gateway: Gateway = request.app.state.gateway
    return {"status": "alive", "instance": gateway.instance.name}


@router.get("/readyz", tags=["operation"])
async def readyz(request: Request, response: Response) -> dict[str, object]:
    """Say whether requests can be served; 503 and why where not."""
    gateway: Gateway = request.app.state.gateway
    reasons = await gateway.not_ready()
    if reasons:
        response.status_code = 503
    return {"ready": not reasons, "reasons": reasons}


@router.get("/metrics", tags=["operation"])
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    gateway: Gateway = request.app.state.gateway
    gateway.metrics.known_events.set(len(gateway.known))
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems", tags=["problems"])
async def problems() -> dict[str, list[dict[str, object]]]:
    """List every problem type."""
    return {"problems": [explain(row) for row in PROBLEMS.values()]}


@router.get("/problems/{name}", tags=["problems"])
async def problem(name: str) -> dict[str, object]:
    """Explain one problem type: what it means, and whether trying again helps."""
    row = PROBLEMS.get(name)
    if row is None:
        raise Problem("not-found", f"There is no problem type {name[:64]!r}; GET /problems lists them.")
    return explain(row)
