"""`/v1/job-orders`: the current state of the job orders that the reader may see."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.common import (
    LIST_DEFAULT,
    After,
    Limit,
    Optional,
    instant_ms,
    only_known,
    parsed,
    problems,
    shaped,
    wrong,
)
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.job_orders import BETWEEN, Filters, JobOrder, Place, Sight, normal
from exchange_gateway.workers.read_models import ReadModelBehind
from schemas.identifiers import ALLIANCE, PARTICIPANT, SUBJECT, EventName

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["job orders"])

TEXT_CHARACTERS_MAX = 200
WORDS_MAX = 10
_INDUSTRY = re.compile(r"(DB[0-9]{2}:)?[0-9]{1,6}")
_MUNICIPALITY = re.compile(r"[0-9]{4}")

Status = Literal["open", "enough-candidates", "paused", "filled", "expired", "withdrawn"]


class EventReference(BaseModel):
    """The event that an answer's state comes from."""

    source: str = Field(examples=["urn:kommunebro:0671:opera"])
    id: str


class JobOrderItem(BaseModel):
    """A job order as the reader sees it."""

    jobOrderId: str  # noqa: N815  # names as in the dataset
    owner: str = Field(description="The participant that registered it and keeps the employer.", examples=["0671"])
    status: Status
    alliances: list[str] = Field(description="Where you see it; for your own orders, where it is shared.")
    recordedAt: str = Field(description="When this state was recorded (RFC 3339).")  # noqa: N815
    firstRecordedAt: str = Field(description="When it was first recorded where you see it.")  # noqa: N815
    time: str = Field(description="When this state came about, by the publisher's clock.")
    event: EventReference
    data: Annotated[dict[str, Any], shaped("JobOrderSeen")] = Field(description="What you may see of it.")


class JobOrderList(BaseModel):
    """A page of job orders."""

    jobOrders: list[JobOrderItem]  # noqa: N815
    next: str | None = Field(description="Give it as `after` to go on; null on the last page.")


def _text(description: str, like: re.Pattern[str] | None = None, **more: Any) -> Any:
    """Describe a parameter. What it must be like is checked below, in words that help."""
    described = more if like is None else more | {"pattern": f"^({like.pattern})$"}
    return Query(description=description, min_length=1, max_length=TEXT_CHARACTERS_MAX, json_schema_extra=described)


@router.get(
    "/v1/job-orders",
    summary="List the job orders that you may see",
    response_model=JobOrderList,
    responses=problems(403, 503),
    dependencies=[Depends(only_known)],
)
async def list_job_orders(
    request: Request,
    reader: Annotated[Principal, Depends(principal)],
    owner: Annotated[Optional, _text("The participant that registered it, such as 0671.", PARTICIPANT)] = None,
    alliance: Annotated[Optional, _text("An alliance in which it is shared.", ALLIANCE)] = None,
    municipality: Annotated[Optional, _text("The workplace's municipality, a 4-digit code.", _MUNICIPALITY)] = None,
    occupation: Annotated[
        Optional, _text("Part of an occupation's label, or the beginning of its code (ESCO:… or without).")
    ] = None,
    industry: Annotated[Optional, _text("The beginning of an industry code: 25, 251100 or DB07:25.", _INDUSTRY)] = None,
    status: Annotated[Optional, _text("The order's status.", enum=list(get_args(Status)))] = None,
    since: Annotated[Optional, _text("Recorded at or after this time (RFC 3339).", format="date-time")] = None,
    q: Annotated[
        Optional,
        Query(
            max_length=TEXT_CHARACTERS_MAX,
            description="Words that all occur in the title, description, requirements, company, occupation or place.",
        ),
    ] = None,
    limit: Limit = LIST_DEFAULT,
    after: After = None,
) -> Response:
    """Return the orders that your participant published, and those that your alliances share with it.

    Newest first, by when an order was first recorded where you see it. Going through pages meets every
    order that is there all the time exactly once, whatever is published meanwhile. The answer has
    everything that was in the log when the request came.
    """
    require(reader, Role.READER)
    filters = Filters(
        owner=_matching("owner", owner, PARTICIPANT, "a participant, such as 0671"),
        alliance=_matching("alliance", alliance, ALLIANCE, "an alliance's id, such as vestalliancen"),
        municipality=_matching("municipality", municipality, _MUNICIPALITY, "a municipality's 4-digit code"),
        occupation=_normal(occupation),
        industry=_normal(
            _matching("industry", industry, _INDUSTRY, "an industry code or its beginning: 2511, DB07:2511")
        ),
        status=_status(status),
        since_ms=parsed("since", since, instant_ms, "It is a time such as 2026-11-23T08:05:00+01:00 (RFC 3339)."),
        words=_words(q),
    )
    place = parsed("after", after, Place.parse, "It is not a cursor that was given here.")
    gateway: Gateway = request.app.state.gateway
    sight = await _sight(gateway, reader)
    try:
        orders, more = await gateway.job_orders.page(sight, filters, place, limit)
    except ReadModelBehind:
        raise _behind() from None
    following = Place(orders[-1].first_ms, orders[-1].owner, orders[-1].subject).cursor() if more else None
    return _answer({"jobOrders": [order.as_json() for order in orders], "next": following})


@router.get(
    "/v1/job-orders/{job_order_id}",
    summary="Look at one job order",
    response_model=JobOrderItem,
    responses=problems(403, 404, 409, 503),
    dependencies=[Depends(only_known)],
)
async def get_job_order(
    request: Request,
    job_order_id: str,
    reader: Annotated[Principal, Depends(principal)],
    owner: Annotated[Optional, _text("Whose order, where several participants use the same id.", PARTICIPANT)] = None,
) -> Response:
    """Return what you may see of one job order, as it stands in the log now."""
    require(reader, Role.READER)
    _matching("owner", owner, PARTICIPANT, "a participant, such as 0671")
    gateway: Gateway = request.app.state.gateway
    found: list[JobOrder] = []
    if SUBJECT.fullmatch(job_order_id):
        try:
            found = await gateway.job_orders.one(job_order_id, owner, await _sight(gateway, reader))
        except ReadModelBehind:
            raise _behind() from None
    if not found:
        raise Problem("not-found", f"There is no job order {job_order_id[:64]!r} that you may see.")
    if len(found) > 1:
        owners = [order.owner for order in found]
        raise Problem(
            "ambiguous", f"{' and '.join(owners)} each have a job order {job_order_id}; add ?owner=.", owners=owners
        )
    return _answer(found[0].as_json())


async def _sight(gateway: "Gateway", reader: Principal) -> Sight:
    """Return what the reader may see by the agreements that are in the log now."""
    book = await gateway.fresh_book()
    now_us = gateway.clock.now_us()
    shared = (book.reads(participant, EventName.JOB_ORDER, now_us) for participant in reader.participants)
    return Sight(reader.participants, frozenset(alliance for alliances in shared for alliance in alliances))


def _matching(parameter: str, text: str | None, pattern: re.Pattern[str], wanted: str) -> str | None:
    if text is not None and not pattern.fullmatch(text):
        wrong(parameter, f"It is {wanted}.")
    return text


def _status(text: str | None) -> str | None:
    if text is not None and text not in get_args(Status):
        wrong("status", f"It is one of {', '.join(get_args(Status))}.")
    return text


def _normal(text: str | None) -> str | None:
    return None if text is None else normal(text).replace(BETWEEN, " ")


def _words(text: str | None) -> tuple[str, ...]:
    words = tuple(dict.fromkeys((_normal(text) or "").split()))
    if len(words) > WORDS_MAX:
        wrong("q", f"It has at most {WORDS_MAX} words.")
    return words


def _behind() -> Problem:
    detail = "The job orders are still being read from the log. Ask again in a moment."
    return Problem("read-model-behind", detail, headers={"Retry-After": "2"})


def _answer(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})
