"""`/v1/audit/records`: the log as it was recorded, streamed."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from broker_adapters.log import LogError
from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.bodies import described, read_json
from exchange_gateway.api.common import Optional, check_parameters, only_known, problems, wrong
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.replay import PARAMETERS, WrongParameter, parse_request
from exchange_gateway.core.replay_bounds import Bounds, whose
from exchange_gateway.replay import find_spans, replay, resolve, spans_within
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.redecide import check_forwarding
from schemas.identifiers import PARTICIPANT, SUBJECT, TYPE_PREFIX, EventName

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["audit"])

MEDIA_TYPE = "application/x-ndjson"
_LINE = (
    '{"topic":"pub.0671.job-order","offset":0,"recordedAt":"2026-11-23T07:05:00.123Z",'
    '"event":{"specversion":"1.0","id":"…"}}\n'
)
_DOES = "One record a line, `event` being the stored bytes. An answer that breaks off was not whole: ask again."


def _like(pattern: str) -> dict[str, JsonValue]:
    """Describe what a parameter is like. It is checked in `core/replay.py`, in words that help."""
    return {"pattern": f"^({pattern})$"}


class RecordQuery(BaseModel):
    """The parameters of a replay."""

    topic: Optional = Field(None, description="A name, or a pattern with *. Default: pub.* and alliance.*.")
    begin: Optional = Field(None, alias="from", description="From this time (RFC 3339) or offset on.")
    end: Optional = Field(None, alias="to", description="Up to, not including, this time or offset.")
    participant: Optional = Field(
        None,
        description="Who published it; in alliances' topics, whose thing it is.",
        json_schema_extra=_like(PARTICIPANT.pattern),
    )
    event_type: Optional = Field(
        None,
        alias="type",
        description="dk.kommunebro.job-order, or job-order.",
        json_schema_extra=_like(rf"({re.escape(TYPE_PREFIX)})?({'|'.join(EventName)})"),
    )
    subject: Optional = Field(None, description="The thing's id.", json_schema_extra=_like(SUBJECT.pattern))
    cvr: Optional = Field(None, description="The company's CVR number.", json_schema_extra=_like("[0-9]{8}"))
    as_of: Optional = Field(
        None,
        alias="as-of",
        description="As it was then (RFC 3339): all that was recorded up to and with that instant.",
        json_schema_extra={"format": "date-time"},
    )

    def given(self, request: Request) -> dict[str, str]:
        """Return the parameters by their names in the request. Raises `Problem` for others beside them."""
        check_parameters(request, PARAMETERS)
        return self.model_dump(by_alias=True, exclude_none=True)


class Span(BaseModel):
    """A part of one topic."""

    begin: int = Field(alias="from", ge=0, description="The first offset.")
    end: int = Field(alias="to", ge=0, description="The offset behind the last one.")


class ReplayBounds(BaseModel):
    """Where a replay begins and ends in each topic, and which events it selects there."""

    instance: str = Field(description="Whose offsets these are.")
    filters: dict[str, str] = Field(description="participant, type, subject and cvr, as they were given.")
    topics: dict[str, Span]


_BOUNDS = {
    "instance": "6d1f7c0a-6a3e-4c3e-9a55-0d1b3c0f6a11",
    "filters": {"type": "job-order"},
    "topics": {"pub.0671.job-order": {"from": 0, "to": 17}},
}


class RecordStream(StreamingResponse):
    """Streams lines. What they come from is closed when the client goes, and a fault breaks the answer off."""

    media_type = MEDIA_TYPE

    async def stream_response(self, send: Send) -> None:
        """Send everything."""
        chunks: Any = self.body_iterator
        try:
            async with aclosing(chunks):
                await super().stream_response(send)
        except LogError as error:
            log_event("replay_broken_off", "error", error=type(error).__name__)
            raise


@router.get(
    "/v1/audit/records",
    summary="Replay the log",
    response_class=RecordStream,
    responses={
        200: {"description": _DOES, "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _LINE}}},
        **problems(403, 503),
    },
)
async def replay_records(
    request: Request,
    auditor: Annotated[Principal, Depends(principal)],
    query: Annotated[RecordQuery, Query()],
) -> RecordStream:
    """Return what was recorded, as it was recorded, by (recordedAt, topic, offset).

    It ends with what was in the log when the request came. `participant`, `type`, `subject` and `cvr` select events,
    so with them only `pub` and `alliance` topics answer. With `as-of` the answer is the same for ever: it waits until
    nothing older can still appear. Offsets have a meaning in one topic only. For the whole instance; for auditors.
    """
    require(auditor, Role.AUDITOR)
    gateway: Gateway = request.app.state.gateway
    try:
        asked = parse_request(query.given(request), gateway.clock.now_us())
        spans = await find_spans(gateway.log, asked, gateway.clock)
    except WrongParameter as error:
        wrong(error.parameter, error.detail)
    return RecordStream(replay(gateway.log, asked, spans), headers={"Cache-Control": "no-store"})


@router.get(
    "/v1/audit/bounds",
    summary="Fix where a replay begins and ends",
    response_model=ReplayBounds,
    responses=problems(403, 503),
)
async def replay_bounds(
    request: Request,
    auditor: Annotated[Principal, Depends(principal)],
    query: Annotated[RecordQuery, Query()],
) -> Response:
    """Return the offsets that a replay with these parameters would give now: `POST` them for the same bytes, any day.

    They take the parameters of `GET /v1/audit/records`, and wait as that does.
    """
    require(auditor, Role.AUDITOR)
    gateway: Gateway = request.app.state.gateway
    try:
        _, _, bounds = await resolve(gateway.log, query.given(request), gateway.instance.name, gateway.clock)
    except WrongParameter as error:
        wrong(error.parameter, error.detail)
    return JSONResponse(bounds.as_json(), headers={"Cache-Control": "no-store"})


@router.post(
    "/v1/audit/records",
    summary="Replay the log within bounds that were fixed before",
    response_class=RecordStream,
    responses={
        200: {"description": _DOES, "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _LINE}}},
        **problems(400, 403, 408, 413, 415, 503),
    },
    dependencies=[Depends(only_known)],
    openapi_extra=described(ReplayBounds, _BOUNDS),
)
async def replay_within(request: Request, auditor: Annotated[Principal, Depends(principal)]) -> RecordStream:
    """Return the records within bounds that `GET /v1/audit/bounds` gave: byte for byte the same each time."""
    require(auditor, Role.AUDITOR)
    gateway: Gateway = request.app.state.gateway
    body = await read_json(request, gateway.settings.limits.body_timeout_s)
    try:
        bounds = Bounds.of(body)
        whose(bounds, gateway.instance.name)
        asked, spans = bounds.request(gateway.clock.now_us()), await spans_within(gateway.log, bounds)
    except WrongParameter as error:
        wrong(error.parameter, error.detail)
    return RecordStream(replay(gateway.log, asked, spans), headers={"Cache-Control": "no-store"})


@router.get(
    "/v1/audit/forwarding:check",
    summary="Decide everything that was forwarded once more, and compare",
    response_class=RecordStream,
    responses={
        200: {
            "description": "A line for each difference, and the sum in the last. It takes as long as a replay of all.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": '{"steps":812,"differences":0}\n'}},
        },
        **problems(403, 503),
    },
    dependencies=[Depends(only_known)],
)
async def recheck_forwarding(request: Request, auditor: Annotated[Principal, Depends(principal)]) -> RecordStream:
    """Return what the log holds otherwise than the rules decide now from the same inputs, agreements and instants."""
    require(auditor, Role.AUDITOR)
    gateway: Gateway = request.app.state.gateway

    async def lines() -> AsyncGenerator[bytes, None]:
        verdict = await check_forwarding(gateway.log, gateway.instance.shards, at_rest=False)
        for line in verdict.lines():
            yield line

    return RecordStream(lines(), headers={"Cache-Control": "no-store"})
