"""`/v1/subscriptions`: what a participant's system wants to hear of, and pulling it."""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.bodies import described, read_body
from exchange_gateway.api.common import LIST_DEFAULT, After, Limit, Optional, only_known, page_of, problems, wrong
from exchange_gateway.api.connections import Connections
from exchange_gateway.api.problems import Problem
from exchange_gateway.api.pulling import PATH_OF_PULLS, Pull, PullResponse, Waiting, pulled
from exchange_gateway.api.subscription_common import (
    answer_json,
    cursor_of,
    description,
    joined,
    not_there,
    reading_of,
    spliced,
    start_of,
)
from exchange_gateway.api.subscription_models import (
    ChangedSubscription,
    CursorBody,
    DryRunAnswer,
    NewSubscription,
    PullAnswer,
    SubscriptionAnswer,
    SubscriptionList,
    Wishes,
)
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.subscriptions import EARLIEST, Cursor, Subscription, short_name
from schemas.event import format_time

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["subscriptions"])

_EXAMPLE = {
    "name": "Svejsere i Vestalliancen",
    "types": ["dk.kommunebro.job-order"],
    "alliances": ["vestalliancen"],
    "filter": {"occupation": ["svejser"], "status": ["open"]},
    "start": "earliest",
}
_ROUTES = "/v1/subscriptions"
_ONE = "/v1/subscriptions/{subscription_id}"
Reader = Annotated[Principal, Depends(principal)]


@router.get(
    _ROUTES,
    summary="List your subscriptions",
    response_model=SubscriptionList,
    responses=problems(403, 503),
    dependencies=[Depends(only_known)],
)
async def list_subscriptions(
    request: Request, reader: Reader, limit: Limit = LIST_DEFAULT, after: After = None
) -> Response:
    """Return your participant's subscriptions, by id, each with its lag."""
    require(reader, Role.READER)
    gateway: Gateway = request.app.state.gateway
    book = await gateway.subscriptions.fresh()
    page, following = page_of(book.of(reader.participants), limit, after)
    answers = [await description(gateway, reader, one) for one in page]
    return answer_json({"subscriptions": answers, "next": following})


@router.post(
    _ROUTES,
    summary="Subscribe",
    status_code=201,
    response_model=SubscriptionAnswer,
    responses=problems(400, 403, 408, 409, 413, 415, 503),
    dependencies=[Depends(only_known)],
    openapi_extra=described(NewSubscription, _EXAMPLE),
)
async def make_subscription(request: Request, reader: Reader) -> Response:
    """Make a subscription. It brings what your alliances share with you, your own events left out."""
    require(reader, Role.READER)
    gateway: Gateway = request.app.state.gateway
    body = await read_body(request, NewSubscription, gateway.settings.limits.body_timeout_s)
    new = await _made(gateway, reader, body)
    mine = (await gateway.subscriptions.fresh()).of(reader.participants).values()
    held = sum(1 for one in mine if one.subscription.participant == reader.participant)
    if held >= gateway.settings.limits.subscriptions_max:
        raise Problem("too-many-subscriptions", f"{reader.participant} has {held} subscriptions already.")
    made = await gateway.subscriptions.write(new)
    assert made is not None  # noqa: S101  # nobody knows its id yet who could delete it
    return answer_json(await description(gateway, reader, made), 201, {"Location": f"{_ROUTES}/{new.id}"})


@router.post(
    "/v1/subscriptions:dry-run",
    summary="Try a subscription on what the log holds",
    response_model=DryRunAnswer,
    responses=problems(400, 403, 408, 413, 415, 503),
    dependencies=[Depends(only_known)],
    openapi_extra=described(NewSubscription, _EXAMPLE),
)
async def try_subscription(
    request: Request, reader: Reader, limit: Annotated[int, Query(ge=0, le=100, description="Events to show.")] = 10
) -> Response:
    """Return what such a subscription would have brought, and make none."""
    require(reader, Role.READER)
    gateway: Gateway = request.app.state.gateway
    body = await read_body(request, NewSubscription, gateway.settings.limits.body_timeout_s)
    new = await _made(gateway, reader, body)
    wanted = await gateway.delivery.wanted(new, reader)
    found = await gateway.delivery.page(new, reader, wanted, Cursor(0, new.positions), limit=100_000, alone=True)
    shown = joined(found.records[:limit])
    head = {"lookedAt": found.looked_at, "found": len(found.records), "complete": found.lag_events == 0}
    return answer_json(spliced(head, shown))


@router.get(
    _ONE,
    summary="Look at a subscription",
    response_model=SubscriptionAnswer,
    responses=problems(403, 404, 503),
    dependencies=[Depends(only_known)],
)
async def get_subscription(request: Request, subscription_id: str, reader: Reader) -> Response:
    """Return a subscription, with its committed cursor and its lag."""
    gateway: Gateway = request.app.state.gateway
    return answer_json(await description(gateway, reader, await reading_of(gateway, reader, subscription_id)))


@router.patch(
    _ONE,
    summary="Change a subscription",
    response_model=SubscriptionAnswer,
    responses=problems(400, 403, 404, 408, 413, 415, 503),
    dependencies=[Depends(only_known)],
    openapi_extra=described(ChangedSubscription, {"name": "Alle svejsere", "filter": {"occupation": ["svejs"]}}),
)
async def change_subscription(request: Request, subscription_id: str, reader: Reader) -> Response:
    """Change what it brings from its cursor on. What it passed over before does not come back; rewind for that."""
    gateway: Gateway = request.app.state.gateway
    before = (await reading_of(gateway, reader, subscription_id)).subscription
    body = await read_body(request, ChangedSubscription, gateway.settings.limits.body_timeout_s)
    given = body.model_fields_set
    if "name" in given and body.name is None:
        wrong("name", "A subscription has a name.")
    wishes = _wishes(body)
    changed = replace(
        before,
        version=before.version + 1,
        name=body.name or before.name,
        changed_at=format_time(gateway.clock.now_us()),
        changed_by=reader.client_id,
        **{name: value for name, value in wishes.items() if name in given},
    )
    after = await gateway.subscriptions.write(changed)
    if after is None:
        raise not_there(subscription_id)
    return answer_json(await description(gateway, reader, after))


@router.delete(
    _ONE,
    summary="Delete a subscription",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "It is deleted."}, **problems(403, 404, 503)},
    dependencies=[Depends(only_known)],
)
async def delete_subscription(request: Request, subscription_id: str, reader: Reader) -> Response:
    """Delete a subscription and its cursor. Streams that are open end."""
    gateway: Gateway = request.app.state.gateway
    before = (await reading_of(gateway, reader, subscription_id)).subscription
    at = format_time(gateway.clock.now_us())
    deleted = replace(before, version=before.version + 1, deleted=True, changed_at=at, changed_by=reader.client_id)
    await gateway.subscriptions.write(deleted)
    return Response(status_code=204)


@router.get(
    PATH_OF_PULLS,
    summary="Pull events",
    response_model=PullAnswer,
    responses=problems(403, 404, 410, 503),
    dependencies=[Depends(only_known)],
)
async def pull_events(
    request: Request,
    subscription_id: str,
    reader: Reader,
    limit: Limit = LIST_DEFAULT,
    wait: Annotated[float, Query(ge=0, le=3600, description="Seconds to wait for a first event.")] = 0.0,
    after: Annotated[Optional, Query(description="A cursor to go on from; left out: the committed one.")] = None,
) -> Response:
    """Return what comes after the committed cursor, in order within each topic.

    The same comes again until a cursor is committed, so nothing is lost if you fail in between.
    """
    connections: Connections = request.app.state.connections
    asked, waiting = Pull(subscription_id, limit, wait, after), Waiting(connections, request.scope)
    return PullResponse(await pulled(request.app.state.gateway, reader, asked, waiting), connections.answers)


@router.post(
    "/v1/subscriptions/{subscription_id}/cursor",
    summary="Commit a cursor, or rewind",
    response_model=SubscriptionAnswer,
    responses=problems(400, 403, 404, 408, 409, 413, 415, 503),
    dependencies=[Depends(only_known)],
    openapi_extra=described(CursorBody, {"rewind": "2026-11-23T06:00:00Z"}),
)
async def move_cursor(request: Request, subscription_id: str, reader: Reader) -> Response:
    """Commit everything before a cursor, which never goes backwards; or rewind to a time, the beginning or the end."""
    gateway: Gateway = request.app.state.gateway
    one = await reading_of(gateway, reader, subscription_id)
    body = await read_body(request, CursorBody, gateway.settings.limits.body_timeout_s)
    if (body.cursor is None) == (body.rewind is None):
        wrong("cursor", "Give either `cursor` or `rewind`.")
    if body.cursor is not None:
        cursor = cursor_of(gateway, subscription_id, body.cursor, "cursor")
        if cursor.epoch != one.committed.epoch:
            raise Problem("cursor-rewound", "The subscription was rewound after this cursor was given. Pull again.")
    else:
        wanted = await gateway.delivery.wanted(one.subscription, reader)
        start = start_of(gateway, "rewind", body.rewind or EARLIEST)
        cursor = Cursor(one.committed.epoch, await gateway.delivery.places(wanted, start))
    by = reader.client_id
    moved = await gateway.subscriptions.move(subscription_id, cursor, rewound=body.rewind is not None, by=by)
    if moved is None:
        raise not_there(subscription_id)
    return answer_json(await description(gateway, reader, moved))


def _wishes(body: Wishes) -> dict[str, Any]:
    """Return what a body wishes for, as a subscription holds it."""
    return {
        "types": None if body.types is None else tuple(map(short_name, body.types)),
        "alliances": None if body.alliances is None else tuple(body.alliances),
        "filter": {} if body.filter is None else body.filter.model_dump(exclude_none=True),
    }


async def _made(gateway: "Gateway", reader: Principal, body: NewSubscription) -> Subscription:
    now = format_time(gateway.clock.now_us())
    new = Subscription(
        id=f"sub-{secrets.token_hex(8)}",
        participant=reader.participant,
        version=1,
        name=body.name,
        start=body.start,
        positions={},
        created_at=now,
        changed_at=now,
        changed_by=reader.client_id,
        **_wishes(body),
    )
    start = start_of(gateway, "start", body.start)
    positions = await gateway.delivery.places(await gateway.delivery.wanted(new, reader), start)
    return replace(new, positions=positions)
