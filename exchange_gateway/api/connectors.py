"""`/v1/connectors`: how municipalities' connectors are, by what they tell of themselves."""

from typing import TYPE_CHECKING, Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.bodies import described, read_body
from exchange_gateway.api.common import (
    LIST_DEFAULT,
    After,
    Limit,
    Optional,
    cursor_of,
    key_of,
    only_known,
    parsed,
    problems,
    wrong,
)
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role, may_tell_of_connectors
from exchange_gateway.core.connectors import ConnectorKey, connector_item, report_record
from exchange_gateway.workers.local_index import IndexBehind
from schemas.event import parse_time
from schemas.identifiers import CONNECTORS_TOPIC, PARTICIPANT, SYSTEM

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["connectors"])

COUNT_MAX = 10_000_000_000
NAME = "^[a-z0-9][a-z0-9-]{0,63}$"
_TIME: dict[str, JsonValue] = {"format": "date-time"}


class ConnectorReport(BaseModel):
    """What a connector tells of itself. It holds nothing of what the connector reads."""

    model_config = ConfigDict(extra="forbid", strict=True)

    system: Annotated[str, Field(pattern=f"^({SYSTEM.pattern})$", description="The system in its events' source.")]
    kind: Annotated[str, Field(pattern="^[a-z-]{1,20}$", description="What its source is: excel, sql, rest and so on.")]
    waiting: Annotated[int, Field(ge=0, le=COUNT_MAX, description="Events that were not taken in yet.")]
    waitingSince: Annotated[  # noqa: N815
        str | None, Field(json_schema_extra=_TIME, description="When the first of them was noticed.")
    ] = None
    refused: Annotated[
        int, Field(ge=0, le=COUNT_MAX, description="Rows that its last run refused, and events that we refused.")
    ]
    sent: Annotated[int, Field(ge=0, le=COUNT_MAX, description="Events that its last run sent.")]
    lastRun: Annotated[str, Field(json_schema_extra=_TIME, description="When that was.")]  # noqa: N815
    nextRun: Annotated[  # noqa: N815
        str | None, Field(json_schema_extra=_TIME, description="When the next is due; null when nobody knows.")
    ] = None
    problem: Annotated[
        str | None,
        Field(pattern="^[a-z-]{1,40}$", description="Why its source could not be read: a stable name."),
    ] = None


class Connector(ConnectorReport):
    """A connector, as it last told."""

    model_config = ConfigDict(extra="forbid", strict=False)

    participant: str = Field(description="Whose it is.", examples=["0671"])
    name: str = Field(description="Its name.", examples=["ordrer"])
    state: Literal["well", "behind", "refusing", "failing", "silent"] = Field(
        description="The gravest: silent (its next run is overdue), failing (it cannot read its source), refusing "
        "(rows or events are refused), behind (events wait), well."
    )
    lastSeen: str = Field(json_schema_extra=_TIME, description="When it last told.")  # noqa: N815


class ConnectorList(BaseModel):
    """A page of connectors."""

    connectors: list[Connector]
    next: str | None = Field(description="Give it as `after` to go on; null on the last page.")


_EXAMPLE = {
    "system": "opera", "kind": "sql", "waiting": 0, "waitingSince": None, "refused": 2, "sent": 14,
    "lastRun": "2026-11-23T08:05:00Z", "nextRun": "2026-11-23T08:10:00Z", "problem": None,
}  # fmt: skip

_Participant = Annotated[
    Optional,
    Query(
        description="Whose; left out, your own, or everybody's for an operator.",
        json_schema_extra={"pattern": f"^({PARTICIPANT.pattern})$"},
    ),
]


@router.get(
    "/v1/connectors",
    summary="List connectors and how they are",
    response_model=ConnectorList,
    responses=problems(403, 503),
    dependencies=[Depends(only_known)],
)
async def list_connectors(
    request: Request,
    reader: Annotated[Principal, Depends(principal)],
    participant: _Participant = None,
    limit: Limit = LIST_DEFAULT,
    after: After = None,
) -> Response:
    """Return the connectors that told of themselves, by participant, system and name: your own, or all as operator."""
    require(reader, Role.PUBLISHER, Role.READER, Role.OPERATOR)
    behind = parsed("after", after, _key_of, "It is not a cursor that was given here.")
    gateway: Gateway = request.app.state.gateway
    try:
        found = await gateway.connectors.page(_whose(reader, participant), after=behind, limit=limit + 1)
    except IndexBehind:
        detail = "The connectors are still being read from the log. Ask again in a moment."
        raise Problem("read-model-behind", detail, headers={"Retry-After": "2"}) from None
    page, now_us = found[:limit], gateway.clock.now_us()
    body = {
        "connectors": [connector_item(told.value, told.recorded_at_ms, now_us=now_us) for told in page],
        "next": cursor_of("/".join(page[-1].key)) if len(found) > limit else None,
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.put(
    "/v1/connectors/{name}",
    summary="Tell how a connector is",
    status_code=204,
    responses=problems(400, 403, 408, 413, 415, 503),
    dependencies=[Depends(only_known)],
    openapi_extra=described(ConnectorReport, _EXAMPLE),
)
async def tell_connector(
    request: Request,
    name: Annotated[str, Path(pattern=NAME, description="The connector's name.")],
    teller: Annotated[Principal, Depends(principal)],
    participant: Annotated[
        Optional,
        Query(
            description="Whose it is; left out, your own.",
            json_schema_extra={"pattern": f"^({PARTICIPANT.pattern})$"},
        ),
    ] = None,
) -> Response:
    """Take what a connector tells of itself; it stands at `GET /v1/connectors` at once."""
    whose = participant or teller.participant
    denied = may_tell_of_connectors(teller, whose)
    if denied is not None:
        raise Problem("forbidden", denied.detail)
    gateway: Gateway = request.app.state.gateway
    report = await read_body(request, ConnectorReport, gateway.settings.limits.body_timeout_s)
    for moment in ("waitingSince", "lastRun", "nextRun"):
        parsed(moment, getattr(report, moment), parse_time, "It is a time such as 2026-11-23T08:05:00Z (RFC 3339).")
    key = ConnectorKey(whose, report.system, name)
    await gateway.log.append(CONNECTORS_TOPIC, [report_record(key, report.model_dump(exclude={"system"}))])
    return Response(status_code=204)


def _whose(reader: Principal, participant: str | None) -> frozenset[str] | None:
    """Return whose connectors the reader is to see; None for everybody's. Raises `Problem`."""
    if participant is not None and not PARTICIPANT.fullmatch(participant):
        wrong("participant", "It is a participant, such as 0671.")
    if participant is None:
        return None if Role.OPERATOR in reader.roles else reader.participants
    if Role.OPERATOR not in reader.roles and participant not in reader.participants:
        raise Problem("forbidden", f"Your token speaks for {reader.participant}, not for {participant}.")
    return frozenset({participant})


def _key_of(cursor: str) -> ConnectorKey:
    participant, system, name = key_of(cursor).split("/")
    return ConnectorKey(participant, system, name)
