"""`/v1/trace`: where an event went and why, and why not."""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from broker_adapters.log import Record
from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.common import Optional, only_known, problems, wrong
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.trace import decided_on, trace
from exchange_gateway.known_events import known_key
from exchange_gateway.workers.topic_index import IndexBehind
from schemas.event import ID_CHARACTERS_MAX
from schemas.identifiers import PARTICIPANT, InvalidIdentifier, Source

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["audit"])

READ_TIMEOUT_S = 5.0


class TraceAnswer(BaseModel):
    """An event's way."""

    event: dict[str, Any] = Field(description="What it is, and where it stands.")
    received: dict[str, Any] = Field(description="When, through which door, by which client.")
    decided: dict[str, Any] | None = Field(description="The step that decided on it; null when none has yet.")
    forwarded: list[dict[str, Any]] = Field(
        description="Into which alliance, by which version of its agreement, in which form, and what was cut."
    )
    withheld: list[dict[str, Any]] = Field(description="From which alliance, or from all others, and why.")
    participant: dict[str, Any] | None = Field(None, description="What became of it for the participant asked for.")


@router.get(
    "/v1/trace",
    summary="Trace an event",
    response_model=TraceAnswer,
    response_model_exclude_none=True,
    responses=problems(403, 404, 503),
    dependencies=[Depends(only_known)],
)
async def trace_event(
    request: Request,
    reader: Annotated[Principal, Depends(principal)],
    source: Annotated[Optional, Query(max_length=200, description="The event's source. Needed.")] = None,
    event_id: Annotated[
        Optional, Query(alias="id", max_length=ID_CHARACTERS_MAX, description="The event's id. Needed.")
    ] = None,
    participant: Annotated[
        Optional,
        Query(description="Also what became of it for this one.", json_schema_extra={"pattern": PARTICIPANT.pattern}),
    ] = None,
) -> Response:
    """Return what became of an event, from the log: an auditor of any, a publisher or a reader of their own."""
    require(reader, Role.AUDITOR, Role.PUBLISHER, Role.READER)
    if participant is not None and not PARTICIPANT.fullmatch(participant):
        wrong("participant", "It is a participant, such as 0671.")
    if source is None or not event_id:
        wrong("source" if source is None else "id", "An event is known by its `source` and `id`; both are needed.")
    try:
        owner = Source.parse(source).participant
    except InvalidIdentifier as error:
        wrong("source", str(error))
    gateway: Gateway = request.app.state.gateway
    known = None
    if Role.AUDITOR in reader.roles or owner in reader.participants:
        await gateway.ingest.catch_up()
        key = known_key(source, event_id, gateway.keys.digest)
        known = gateway.known.find((key,)).get(key)
    if known is None:
        raise Problem("not-found", f"There is no event {event_id[:64]!r} of {source[:100]} that you may trace.")
    record = await _record_at(gateway, known.topic, known.offset)
    try:
        step = await gateway.steps.step_of(known.topic, known.offset)
    except IndexBehind:
        detail = "What the forwarder decided is still being read from the log. Ask again in a moment."
        raise Problem("read-model-behind", detail, headers={"Retry-After": "2"}) from None
    decided = None if step is None else decided_on(step, known.topic, known.offset)
    answer = trace(record, decided, await gateway.fresh_book(), participant)
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


async def _record_at(gateway: "Gateway", topic: str, offset: int) -> Record:
    async with gateway.log.reader({topic: offset}) as reader:
        records = await reader.poll(records_max=1, timeout_s=READ_TIMEOUT_S)
    if not records or records[0].offset != offset:
        raise Problem("not-found", "The event is known, but the log does not keep it any more.")
    return records[0]
