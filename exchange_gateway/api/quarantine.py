"""`/v1/quarantine`: what a participant's own producers wrote and Kommunebro did not take in, and why."""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.common import (
    LIST_DEFAULT,
    After,
    Limit,
    Optional,
    cursor_of,
    instant_ms,
    key_of,
    only_known,
    parsed,
    problems,
    shaped,
    wrong,
)
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.quarantine import item_of
from exchange_gateway.workers.local_index import IndexBehind
from schemas.identifiers import PARTICIPANT

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["native door"])


class QuarantineItem(BaseModel):
    """One message that was refused, or messages that were lost before anybody read them."""

    participant: str = Field(description="Whose mailbox it stands in.", examples=["0671"])
    topic: str = Field(description="The mailbox.", examples=["in.0671"])
    offset: int = Field(description="Where the message stands in the mailbox, which keeps it for a week.")
    until: int | None = Field(None, description="Lost messages only: the offset after the last of them.")
    receivedAt: str | None = Field(None, description="When Kafka recorded the message (RFC 3339).")  # noqa: N815
    quarantinedAt: str = Field(description="When it was refused.")  # noqa: N815
    sha256: str | None = Field(None, description="Of the message's value, to find it again in your own system.")
    eventId: str | None = Field(None, description="The event's id, where one could be read.")  # noqa: N815
    problem: Annotated[dict[str, Any], shaped("Problem")] = Field(description="Why, as over HTTP: problem details.")


class QuarantineList(BaseModel):
    """A page of the quarantine."""

    quarantine: list[QuarantineItem]
    next: str | None = Field(description="Give it as `after` to go on; null on the last page.")


@router.get(
    "/v1/quarantine",
    summary="List what was refused at the native door",
    response_model=QuarantineList,
    responses=problems(403, 503),
    dependencies=[Depends(only_known)],
)
async def list_quarantine(
    request: Request,
    reader: Annotated[Principal, Depends(principal)],
    participant: Annotated[
        Optional,
        Query(
            description="Whose; left out, your own, or everybody's for an auditor or operator.",
            json_schema_extra={"pattern": f"^({PARTICIPANT.pattern})$"},
        ),
    ] = None,
    since: Annotated[
        Optional,
        Query(description="Refused at or after this time (RFC 3339).", json_schema_extra={"format": "date-time"}),
    ] = None,
    limit: Limit = LIST_DEFAULT,
    after: After = None,
) -> Response:
    """Return what stands in quarantine, newest first. On the embedded log there is no native door, and nothing here."""
    require(reader, Role.PUBLISHER, Role.READER, Role.AUDITOR, Role.OPERATOR)
    since_ms = parsed("since", since, instant_ms, "It is a time such as 2026-11-23T08:05:00+01:00 (RFC 3339).")
    before = parsed("after", after, _offset_of, "It is not a cursor that was given here.")
    gateway: Gateway = request.app.state.gateway
    try:
        found = await gateway.quarantine.page(
            _whose(reader, participant), since_ms=since_ms or 0, before=before, limit=limit + 1
        )
    except IndexBehind:
        detail = "The quarantine is still being read from the log. Ask again in a moment."
        raise Problem("read-model-behind", detail, headers={"Retry-After": "2"}) from None
    page = found[:limit]
    body = {
        "quarantine": [item_of(entry.value, entry.recorded_at_ms) for entry in page],
        "next": cursor_of(str(page[-1].offset)) if len(found) > limit else None,
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _whose(reader: Principal, participant: str | None) -> frozenset[str] | None:
    """Return whose quarantine the reader is to see; None for everybody's. Raises `Problem`."""
    if participant is not None and not PARTICIPANT.fullmatch(participant):
        wrong("participant", "It is a participant, such as 0671.")
    sees_all = not reader.roles.isdisjoint({Role.AUDITOR, Role.OPERATOR})
    if participant is None:
        return None if sees_all else reader.participants
    if not sees_all and participant not in reader.participants:
        raise Problem("forbidden", f"Your token speaks for {reader.participant}, not for {participant}.")
    return frozenset({participant})


def _offset_of(cursor: str) -> int:
    return int(key_of(cursor))
