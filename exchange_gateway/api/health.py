"""Liveness, readiness, metrics, and the pages that explain problems."""

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from exchange_gateway.api.common import problems
from exchange_gateway.api.problems import PROBLEMS, Problem, explain

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter()


class Alive(BaseModel):
    """The process lives."""

    status: Literal["alive"]
    instance: str = Field(description="The instance's name, the same for as long as its log lives.")


class Ready(BaseModel):
    """Whether requests can be served."""

    ready: bool
    reasons: list[str] = Field(description="Why not.")


class ProblemExplained(BaseModel):
    """A problem type."""

    type: str
    title: str
    status: int
    retryable: bool = Field(description="Whether the same request can succeed later without a change to it.")
    explanation: str


class ProblemList(BaseModel):
    """Every problem type."""

    problems: list[ProblemExplained]


_NOT_READY = {"description": "It cannot serve now; `reasons` says why", "model": Ready}
_NO_SUCH = problems(404)[404]
_METRICS = {
    "description": "Metrics in Prometheus' text format",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": "kommunebro_known_events 812.0\n"}},
}


@router.get("/healthz", tags=["operation"], summary="Whether the process lives", response_model=Alive)
async def healthz(request: Request) -> dict[str, str]:
    """Say that the process lives, and which instance it is: publishers remember by it what they sent where."""
    gateway: Gateway = request.app.state.gateway
    return {"status": "alive", "instance": gateway.instance.name}


@router.get(
    "/readyz",
    tags=["operation"],
    summary="Whether requests can be served",
    response_model=Ready,
    responses={503: _NOT_READY},
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
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: _METRICS},
)
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    gateway: Gateway = request.app.state.gateway
    gateway.metrics.known_events.set(len(gateway.known))
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems", tags=["problems"], summary="List every error", response_model=ProblemList)
async def list_problems() -> dict[str, list[dict[str, object]]]:
    """List every problem type."""
    return {"problems": [explain(row) for row in PROBLEMS.values()]}


@router.get(
    "/problems/{name}",
    tags=["problems"],
    summary="Explain one error",
    response_model=ProblemExplained,
    responses={404: _NO_SUCH},
)
async def get_problem(name: str) -> dict[str, object]:
    """Explain one problem type: what it means, and whether trying again helps."""
    row = PROBLEMS.get(name)
    if row is None:
        raise Problem("not-found", f"There is no problem type {name[:64]!r}; GET /problems lists them.")
    return explain(row)
