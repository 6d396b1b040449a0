"""Fill a gateway with events over HTTP, as publishers would, for the benchmarks that need a full log."""

from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench import ground as place
from bench.events import EVENTS_IN_BATCH, Head, Requests, Template
from bench.load import Plan, batch_accepted, load
from bench.processes import Server
from bench.tally import CountsWrong, expected_ids

CONNECTIONS = 8


def fill(server: Server, data: Path, events: int, publishers: Sequence[str]) -> set[str]:
    """Publish `events` new events, shared out among `publishers`; return their ids.

    events: a multiple of 100 times the number of publishers.
    """
    sent: set[str] = set()
    token = place.token(data, "publisher", represents=publishers)
    for publisher in publishers:
        requests = Template(place.new_run(), publisher).batch_requests(Head(server.port or 0, token))
        sent |= _send(server, requests, events // len(publishers) // EVENTS_IN_BATCH)
    return sent


def _send(server: Server, requests: Requests, batches: int) -> set[str]:
    # Unhurried: the deadline is for a gateway that hangs, not for one that is slow.
    plan = Plan(seconds=600.0, connections=CONNECTIONS, requests=batches)
    outcome = uvloop.run(load(server.port or 0, requests, plan, batch_accepted(EVENTS_IN_BATCH)))
    if outcome.refused:
        raise CountsWrong(f"{server.name} refused events: {outcome.refused.most_common(1)[0][0]}")
    return expected_ids(requests, outcome.acknowledged)
