"""`/v1/subscriptions/{id}/stream`: events as they come, as Server-Sent Events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from broker_adapters.log import LogError
from exchange_gateway.api.authentication import principal
from exchange_gateway.api.common import Optional, only_known, problems
from exchange_gateway.api.connections import Connections
from exchange_gateway.api.direct import SEND
from exchange_gateway.api.problems import Problem
from exchange_gateway.api.subscription_common import (
    LOOK_BYTES,
    WAIT_SLICE_S,
    asked_trace,
    cursor_of,
    not_there,
    page_of_events,
    reading_of,
    tell_delivered,
)
from exchange_gateway.core.access import Principal
from exchange_gateway.core.subscriptions import Cursor, Reading
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.delivery import Handed
from schemas.identifiers import TYPE_PREFIX

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["subscriptions"])

MEDIA_TYPE = "text/event-stream"
COMMENT_EVERY_S = 15.0
"""So often something is sent at least, so that proxies and clients see that the connection lives."""

PAGE_RECORDS, PAGE_BYTES = 100, 64 * 1024
"""What one stream holds at most while its client is slow: there may be hundreds."""

RETRY_MS = 2_000
"""How long a client waits before it connects again."""

PAUSE_S = 1.0
"""Between two looks at a log that does not answer. The stream stays: its client could do no more than wait too."""

_EXAMPLE = 'id: …\nevent: dk.kommunebro.job-order\ndata: {"specversion":"1.0","id":"…"}\n\n'


class EventStream(StreamingResponse):
    """Streams events, and closes what they come from when the client goes."""

    media_type = MEDIA_TYPE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; each of the framework's layers would pass on every piece otherwise."""
        await super().__call__(scope, receive, scope.get(SEND, send))

    async def stream_response(self, send: Send) -> None:
        """Send everything."""
        chunks: Any = self.body_iterator
        async with aclosing(chunks):
            await super().stream_response(send)


@router.get(
    "/v1/subscriptions/{subscription_id}/stream",
    summary="Stream events",
    response_class=EventStream,
    responses={
        200: {
            "description": "Server-Sent Events: `id` is the cursor behind the event, `event` its type.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **problems(403, 404, 410, 503),
    },
    dependencies=[Depends(only_known)],
)
async def stream_events(
    request: Request,
    subscription_id: str,
    reader: Annotated[Principal, Depends(principal)],
    last_event_id: Annotated[
        Optional, Header(description="The last event's `id`; a browser sends it by itself.")
    ] = None,
    after: Annotated[Optional, Query(description="As `Last-Event-ID`, for clients that cannot send it.")] = None,
) -> EventStream:
    """Send what comes after `Last-Event-ID`, else after the committed cursor, and go on with what is shared next.

    Streams are independent of one another and commit nothing. A comment comes every 15 seconds.
    """
    gateway: Gateway = request.app.state.gateway
    one = await reading_of(gateway, reader, subscription_id)
    text = last_event_id or after
    cursor = one.committed if text is None else cursor_of(gateway, subscription_id, text, "Last-Event-ID")
    # Where the place is wrong, it is told as a problem, before the stream begins.
    await page_of_events(gateway, reader, one.subscription, cursor, 1, bytes_max=LOOK_BYTES)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    connections: Connections = request.app.state.connections
    connections.require_place()
    return EventStream(_counted(connections, _events(request, reader, one, cursor)), headers=headers)


async def _counted(connections: Connections, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    with connections.long_request():
        async with aclosing(events):
            async for piece in events:
                yield piece


@dataclass(slots=True)
class _Place:
    """Where a stream stands. asked: the trace it was asked for in.

    wanted: the topics that it read last, while nothing follows there; else None.
    """

    cursor: Cursor
    asked: str | None
    wanted: frozenset[str] | None = None


async def _events(request: Request, reader: Principal, one: Reading, cursor: Cursor) -> AsyncGenerator[bytes, None]:
    gateway: Gateway = request.app.state.gateway
    subscription_id, place = one.subscription.id, _Place(cursor, asked_trace(gateway, request.scope))
    loop = asyncio.get_running_loop()
    yield b"retry: %d\n: stream of %b\n\n" % (RETRY_MS, subscription_id.encode())
    sent_s = began_s = loop.time()
    gateway.metrics.streams.inc()
    try:
        # In between whoever reads is asked for a valid token again.
        while loop.time() - began_s < gateway.settings.limits.stream_s_max:
            piece = await _next(gateway, reader, subscription_id, place)
            if piece:
                yield piece
                sent_s = loop.time()
            if loop.time() - sent_s >= COMMENT_EVERY_S - WAIT_SLICE_S:
                yield b":\n\n"
                sent_s = loop.time()
    except (LogError, Problem) as error:
        # It cannot be told any more than by an end; whoever connects again is told.
        log_event("stream_broken_off", "warning", subscription=subscription_id, error=type(error).__name__)
    finally:
        gateway.metrics.streams.dec()


async def _next(gateway: "Gateway", reader: Principal, subscription_id: str, place: _Place) -> bytes:
    """Return what is sent next, after waiting for it for a moment; nothing where the log does not answer.

    The events themselves are let go of: a client may take its time with what is sent.

    Raises `Problem` when the subscription was deleted, here or at another gateway.
    """
    try:
        if place.wanted is not None:
            await gateway.delivery.wait(place.cursor.positions, place.wanted, WAIT_SLICE_S, streams=True)
        one = (await gateway.subscriptions.recent()).get(subscription_id)
        if one is None:
            raise not_there(subscription_id)
        page, wanted = await page_of_events(
            gateway, reader, one.subscription, place.cursor, PAGE_RECORDS, fresh=False, bytes_max=PAGE_BYTES
        )
        place.wanted = None if page.lag_events else wanted
    except LogError as error:
        if not error.retryable:
            raise
        await asyncio.sleep(PAUSE_S)
        return b""
    before, place.cursor = place.cursor, Cursor(place.cursor.epoch, page.positions)
    if not page.records:
        return b""
    tell_delivered(gateway, "stream", subscription_id, page.records, place.asked)
    return _written(gateway, subscription_id, page.records, before)


def _written(gateway: "Gateway", subscription_id: str, records: Handed, cursor: Cursor) -> bytes:
    read = ((record.topic, record.offset) for record in records)
    cursors = gateway.cursors.write_each(subscription_id, cursor, read)
    pieces: list[bytes] = []
    for place, rest in zip(cursors, records.once(_after_id), strict=True):
        pieces += (b"id: ", place, rest)
    return b"".join(pieces)


def _after_id(records: Handed) -> list[bytes]:
    """Return of each event what follows its cursor, which is the same for all who are handed it."""
    return [b"\nevent: %b\ndata: %b\n\n" % (_type_in(record.topic), record.value) for record in records]


@lru_cache(maxsize=1024)
def _type_in(topic: str) -> bytes:
    """Return the type that a topic's events have, without reading them."""
    return (TYPE_PREFIX + topic.rpartition(".")[2]).encode()
