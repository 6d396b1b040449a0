"""What pulling, streaming and managing subscriptions share: whose it is, its cursor, and what comes next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Response

from broker_adapters.log import Record
from exchange_gateway.api.authentication import require
from exchange_gateway.api.common import wrong
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.subscriptions import EARLIEST, LATEST, BadCursor, Cursor, Reading, Subscription
from exchange_gateway.workers.delivery import PAGE_BYTES, CursorAhead, CursorExpired, Handed, Page
from schemas.event import parse_time
from schemas.identifiers import TYPE_PREFIX, InvalidIdentifier

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

LOOK_BYTES = 64 * 1024
"""How much is read to see whether, and since when, something follows."""

WAIT_SLICE_S = 1.0
"""How long one wait lasts at most: then it is looked again which topics the subscriber may read."""


async def reading_of(gateway: "Gateway", reader: Principal, subscription_id: str) -> Reading:
    """Return one of the reader's subscriptions. Raises `Problem`."""
    require(reader, Role.READER)
    found = (await gateway.subscriptions.fresh()).get(subscription_id)
    if found is None or found.subscription.participant not in reader.participants:
        raise not_there(subscription_id)
    return found


def cursor_of(gateway: "Gateway", subscription_id: str, text: str, where: str) -> Cursor:
    """Read a cursor. Raises `Problem`."""
    try:
        return gateway.cursors.read(subscription_id, text)
    except BadCursor as error:
        raise Problem("bad-cursor", f"{where}: {error}") from None


async def page_of_events(
    gateway: "Gateway",
    reader: Principal,
    subscription: Subscription,
    cursor: Cursor,
    limit: int,
    *,
    fresh: bool = True,
    patient: bool = False,
    bytes_max: int = PAGE_BYTES,
) -> tuple[Page, frozenset[str]]:
    """Return what comes next, and the topics that were read; see `Delivery.page`. Raises `Problem`, `LogError`."""
    delivery = gateway.delivery
    wanted = await delivery.wanted(subscription, reader, fresh=fresh)
    try:
        page = await delivery.page(
            subscription, reader, wanted, cursor, limit=limit, bytes_max=bytes_max, fresh=fresh, patient=patient
        )
    except CursorExpired as error:
        oldest = gateway.cursors.write(subscription.id, error.oldest)
        raise Problem("cursor-expired", str(error), oldest=oldest) from None
    except CursorAhead as error:
        detail = f"{error} Was the log restored from an older copy? Rewind, or go on from the committed cursor."
        raise Problem("bad-cursor", detail) from None
    return page, wanted


def not_there(subscription_id: str) -> Problem:
    """Return the problem of a subscription that is not the reader's, or is none."""
    return Problem("not-found", f"You have no subscription {subscription_id[:64]!r}.")


def start_of(gateway: "Gateway", parameter: str, text: str) -> str | int:
    """Return a start: `earliest`, `latest`, or UTC milliseconds. Raises `Problem`."""
    if text in {EARLIEST, LATEST}:
        return text
    try:
        at_us = parse_time(text)
    except InvalidIdentifier:
        wrong(parameter, "It is `earliest`, `latest`, or a time such as 2026-11-23T08:05:00+01:00 (RFC 3339).")
    if at_us > gateway.clock.now_us():
        wrong(parameter, "The time lies in the future; `latest` begins now.")
    return -(-at_us // 1000)


async def description(gateway: "Gateway", reader: Principal, one: Reading) -> dict[str, Any]:
    """Return a subscription as it is told to its reader, with its lag now."""
    subscription = one.subscription
    lag = {"events": 0, "seconds": 0.0, "approximate": True}
    try:
        page, _ = await page_of_events(gateway, reader, subscription, one.committed, 1, bytes_max=LOOK_BYTES)
    except Problem:
        # The place is no more: whoever pulls is told so, and here the rest is still true.
        page = None
    if page is not None:
        lag = lag_of(gateway, page, subscription)
        if page.records:
            lag["events"] += 1
            lag["seconds"] = _age_s(gateway, page.records[0].recorded_at_ms)
    return {
        "id": subscription.id,
        "name": subscription.name,
        "participant": subscription.participant,
        "types": None if subscription.types is None else [TYPE_PREFIX + name for name in subscription.types],
        "alliances": subscription.alliances,
        "filter": subscription.filter or None,
        "start": subscription.start,
        "cursor": gateway.cursors.write(subscription.id, one.committed),
        "committedAt": one.committed_at,
        "createdAt": subscription.created_at,
        "changedAt": subscription.changed_at,
        "lag": lag,
    }


def lag_of(gateway: "Gateway", page: Page, subscription: Subscription) -> dict[str, Any]:
    """Return how far behind the log the end of a page is."""
    seconds = 0.0
    if page.lag_events and page.newest_ms is not None:
        seconds = _age_s(gateway, page.newest_ms)
    # Exact only where nothing follows: your own events, a filter's and Kafka's own records are counted too.
    return {
        "events": page.lag_events,
        "seconds": seconds,
        "approximate": page.lag_events > 0 or bool(subscription.filter),
    }


def _age_s(gateway: "Gateway", recorded_at_ms: int) -> float:
    return max(0.0, round(gateway.clock.now_us() / 1e6 - recorded_at_ms / 1e3, 3))


def asked_trace(gateway: "Gateway", scope: Any) -> str | None:
    """Return the `traceparent` of a request, where anybody traces."""
    if gateway.tracing is None:
        return None
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)


def tell_delivered(gateway: "Gateway", door: str, subscription_id: str, records: Handed, asked: str | None) -> None:
    """Count events that a subscriber is handed, and how long they were on their way; make their spans."""
    gateway.metrics.count(gateway.metrics.delivered, (door,), len(records))
    taken_in = records.once(gateway.delivery.taken_in.seconds)
    gateway.metrics.delivery_seconds.add_since(taken_in, gateway.clock.now_us() / 1e6, label=door)
    if gateway.tracing is not None:
        gateway.tracing.delivered(records, door=door, subscription=subscription_id, asked=asked)


def joined(records: Sequence[Record]) -> bytes:
    """Return events as they are stored, byte for byte, with commas between them."""
    return b",".join([record.value for record in records])


def spliced(head: dict[str, Any], events: bytes) -> bytes:
    """Return an answer's JSON with events in it, which are `joined`."""
    return b"".join((orjson.dumps(head)[:-1], b',"events":[', events, b"]}"))


def answer_json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, given or as bytes, that nobody may keep."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(content, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")
