"""A log in which a partner's events wait: published by eight, forwarded into one alliance, and not yet read by anybody.

For `bench pull` and `bench catch-up`.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from bench import ground as place
from bench.connection import Answer, Pool
from bench.events import Head
from bench.filling import PUBLISHERS, fill
from bench.ground import Ground, LogKind
from bench.processes import Server
from bench.rounds import settle
from bench.subscribers import Subscription, subscribe
from bench.tally import CountsWrong

PARTNER = "0801"
TOPIC = "alliance.bench-1.job-order"
FORWARDED_TIMEOUT_S = 900.0
LOOK_S = 0.5
_ID = re.compile(rb'"id":"([^"]*)"')
_CURSOR = re.compile(rb'"cursor":"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gateway whose log holds the events `ids`, and a partner's subscription to all of them."""

    server: Server
    data: Path
    subscription: Subscription
    ids: set[str]


@contextmanager
def waiting(ground: Ground, log: LogKind, name: str, events: int) -> Iterator[Waiting]:
    """Give a gateway that was started again after so many events were forwarded. Raises `CountsWrong`."""
    data = ground.work / f"gateway-{name}-{log}"
    with place.gateway(ground, data, log, forwarder=True) as server:
        place.load_alliances(server, data, [place.bench_agreement(1, [*PUBLISHERS, PARTNER])])
        subscription = uvloop.run(subscribe(_partner(server, data), 1, start="earliest"))[0]
        ids = fill(server, data, events, PUBLISHERS)
        uvloop.run(_forwarded(server, subscription, events))
        if ground.quick:
            yield Waiting(server, data, subscription, ids)
            return
    with place.gateway(ground, data, log, forwarder=True) as server:
        settle(server, ground)
        yield Waiting(server, data, Subscription(subscription.ident, _partner(server, data), subscription.start), ids)


def _partner(server: Server, data: Path) -> Head:
    return Head(server.port or 0, place.token(data, "reader", participant=PARTNER))


async def _forwarded(server: Server, subscription: Subscription, events: int) -> None:
    """Wait until about so many wait for the partner. What is really there is counted by those who read it."""
    request = subscription.head.get(f"/v1/subscriptions/{subscription.ident}")
    deadline = time.monotonic() + FORWARDED_TIMEOUT_S
    async with Pool(server.port or 0, 1) as pool:
        while True:
            answer = await pool.ask(request)
            if answer.status == 200 and orjson.loads(answer.body)["lag"]["events"] >= events:
                return
            if time.monotonic() > deadline:
                raise CountsWrong(f"{server.name} did not forward {events} events: {answer.body[:300]!r}")
            await asyncio.sleep(LOOK_S)


def ids_in(body: bytes) -> list[bytes]:
    """Return the ids of the events in an answer, which holds no other property of that name."""
    return _ID.findall(body)


def cursor_in(answer: Answer) -> str:
    """Return the cursor of a pull's answer. Raises `CountsWrong` where it is none."""
    found = _CURSOR.search(answer.body)
    if answer.status != 200 or found is None:
        raise CountsWrong(f"A pull was answered {answer.status}: {answer.body[:300]!r}")
    return found[1].decode()


def as_texts(ids: Sequence[bytes]) -> Iterator[str]:
    """Return ids as they are compared."""
    return (ident.decode() for ident in ids)
