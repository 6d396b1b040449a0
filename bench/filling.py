"""Fill a gateway with events over HTTP, as publishers would, for the benchmarks that need a full log."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench import ground as place
from bench.events import EVENTS_IN_BATCH, Head, Requests, Template
from bench.ground import Ground
from bench.load import Outcome, Plan, batch_accepted, load
from bench.processes import Server
from bench.tally import CountsWrong, expected_ids

CONNECTIONS = 8

PUBLISHERS = ("0657", "0661", "0665", "0671", "0756", "0760", "0779", "0791")
"""Vestalliancen: a replay of all is a merge of several topics, as it is in earnest."""

EVENTS = 1_000_000
EVENTS_QUICK = 2_400
_EVENTS_STEP = EVENTS_IN_BATCH * len(PUBLISHERS)


def events_for(ground: Ground, events: int = EVENTS) -> int:
    """Return how many events to fill a log with: a multiple of what the publishers send at once."""
    wanted = ground.records or (EVENTS_QUICK if ground.quick else events)
    return max(1, wanted // _EVENTS_STEP) * _EVENTS_STEP


def fill(server: Server, data: Path, events: int, publishers: Sequence[str]) -> set[str]:
    """Publish `events` new events, shared out among `publishers`, who publish side by side; return their ids.

    events: a multiple of what the publishers send at once, as `events_for` gives them for all.
    """
    token = place.token(data, "publisher", represents=publishers)
    head = Head(server.port or 0, token)
    loads = [Template(place.new_run(), publisher).batch_requests(head) for publisher in publishers]
    batches = events // EVENTS_IN_BATCH // len(publishers)
    outcomes = uvloop.run(_send(server, loads, batches))
    sent: set[str] = set()
    for requests, outcome in zip(loads, outcomes, strict=True):
        if outcome.refused:
            raise CountsWrong(f"{server.name} refused events: {outcome.refused.most_common(1)[0][0]}")
        sent |= expected_ids(requests, outcome.acknowledged)
    return sent


async def _send(server: Server, loads: Sequence[Requests], batches: int) -> list[Outcome]:
    # Unhurried: the deadline is for a gateway that hangs, not for one that is slow.
    plan = Plan(seconds=600.0, connections=max(1, CONNECTIONS // len(loads)), requests=batches)
    accepted = batch_accepted(EVENTS_IN_BATCH)
    return await asyncio.gather(*(load(server.port or 0, requests, plan, accepted) for requests in loads))
