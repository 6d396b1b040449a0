"""Pulling events: the work, and a way to it that spares the usual request what a framework does for every request.

With hundreds who pull with a long poll, reading the path and three parameters was most of a pull. What is not usual
(another parameter, a value that is wrong) goes the ordinary way, so nothing is refused here.
"""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Response
from starlette.types import Receive, Send

from exchange_gateway.api.common import LIST_DEFAULT, LIST_MAX
from exchange_gateway.api.connections import AnswerRoom, Connections
from exchange_gateway.api.direct import REPLY, Reply
from exchange_gateway.api.subscription_common import (
    WAIT_SLICE_S,
    asked_trace,
    cursor_of,
    joined,
    lag_of,
    page_of_events,
    reading_of,
    spliced,
    tell_delivered,
)
from exchange_gateway.core.access import Principal
from exchange_gateway.core.subscriptions import Cursor, Reading
from exchange_gateway.workers.delivery import PAGE_BYTES, Page

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

SEARCH_S = 5.0
"""How long a pull looks at least for an event that the filter lets through, before it answers with none."""

WHOLE_BYTES, PIECE_BYTES = 128 * 1024, 64 * 1024
"""What is sent in one write, beside what is counted (`AnswerRoom`); and a piece of what is larger, which is counted."""

PATH_OF_PULLS = "/v1/subscriptions/{subscription_id}/events"
_PATH = re.compile(r"/v1/subscriptions/([A-Za-z0-9_-]{1,64})/events")
_VALUES = {
    b"limit": re.compile(rb"[1-9][0-9]{0,3}"),
    b"wait": re.compile(rb"[0-9]{1,3}(\.[0-9]{1,6})?"),
    b"after": re.compile(rb"[A-Za-z0-9_-]+"),
}

Scope = Any


class Pull(NamedTuple):
    """What is asked for. wait_s: how long to wait for a first event. after: a cursor; None for the committed one."""

    subscription_id: str
    limit: int = LIST_DEFAULT
    wait_s: float = 0.0
    after: str | None = None


class Waiting:
    """Where a pull waits: on one of the gateway's connections, whose client can go away."""

    def __init__(self, connections: Connections, scope: Scope) -> None:
        self.connections = connections
        reply: Reply | None = scope.get(REPLY)
        self.is_gone: Callable[[], bool] = bool if reply is None else reply.is_gone
        self.scope = scope


def usual_pull(scope: Scope) -> Pull | None:
    """Return what a request asks for, if it is a pull and usual in every way."""
    path = _PATH.fullmatch(scope["path"]) if scope["method"] == "GET" else None
    if path is None:
        return None
    values: dict[bytes, bytes] = {}
    for part in scope["query_string"].split(b"&") if scope["query_string"] else ():
        name, _, value = part.partition(b"=")
        pattern = _VALUES.get(name)
        if pattern is None or name in values or not pattern.fullmatch(value):
            return None
        values[name] = value
    limit = int(values.get(b"limit", LIST_DEFAULT))
    after = values[b"after"].decode() if b"after" in values else None
    return Pull(path[1], limit, float(values.get(b"wait", 0)), after) if limit <= LIST_MAX else None


class PullResponse(Response):
    """Sends a page in pieces, each when the one before it is on its way, and counts it until then."""

    media_type = "application/json"

    def __init__(self, body: bytes, room: AnswerRoom) -> None:
        super().__init__(body, headers={"Cache-Control": "no-store"})
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        with self._room.held(len(body)):
            for begin in range(0, len(body), PIECE_BYTES):
                piece = body[begin : begin + PIECE_BYTES]
                more = begin + PIECE_BYTES < len(body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})


def whole_reply(body: bytes, scope: Scope) -> Reply | None:
    """Return the way of the usual page, which is small, in one write; None where it has to be sent in pieces.

    A write is a tenth of a pull, and the ordinary way takes one for the head and one for the body.
    """
    reply: Reply | None = scope.get(REPLY)
    return None if reply is None or len(body) > WHOLE_BYTES or reply.waits else reply


async def pulled(gateway: "Gateway", reader: Principal, pull: Pull, waiting: Waiting) -> bytes:
    """Return the body of a pull's answer. Raises `Problem`, `LogError`."""
    subscription_id = pull.subscription_id
    one = await reading_of(gateway, reader, subscription_id)
    cursor = one.committed if pull.after is None else cursor_of(gateway, subscription_id, pull.after, "after")
    if pull.wait_s:
        waiting.connections.require_place()
        with waiting.connections.long_request():
            cursor, page = await _read(gateway, reader, one, cursor, pull, waiting)
    else:
        cursor, page = await _read(gateway, reader, one, cursor, pull, waiting)
    head = {
        "cursor": gateway.cursors.write(subscription_id, Cursor(cursor.epoch, page.positions)),
        "lag": lag_of(gateway, page, one.subscription),
    }
    tell_delivered(gateway, "pull", subscription_id, page.records, asked_trace(gateway, waiting.scope))
    return spliced(head, page.records.once(joined))


async def _read(
    gateway: "Gateway", reader: Principal, one: Reading, cursor: Cursor, pull: Pull, waiting: Waiting
) -> tuple[Cursor, Page]:
    """Return what comes next, and the cursor behind what the filter left out before it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = began + min(pull.wait_s, gateway.settings.limits.wait_s_max)
    if pull.wait_s:
        await gateway.delivery.turn(WAIT_SLICE_S)
    patient = pull.wait_s > 0
    with waiting.connections.answers.reserved(PAGE_BYTES) as size:
        page, wanted = await page_of_events(
            gateway, reader, one.subscription, cursor, pull.limit, patient=patient, bytes_max=size
        )
    while not page.records and (loop.time() < deadline or (page.lag_events and loop.time() - began < SEARCH_S)):
        if page.positions == cursor.positions:
            # Nobody is there any more whom the next event could be told.
            if loop.time() >= deadline or waiting.is_gone():
                break
            slice_s = min(WAIT_SLICE_S, deadline - loop.time())
            await gateway.delivery.wait(page.positions, wanted, slice_s)
        # What the filter left out need not be looked at again.
        cursor = Cursor(cursor.epoch, page.positions)
        with waiting.connections.answers.reserved(PAGE_BYTES) as size:
            page, wanted = await page_of_events(
                gateway, reader, one.subscription, cursor, pull.limit, fresh=False, bytes_max=size
            )
    return cursor, page
