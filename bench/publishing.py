"""`bench publish` and `bench batch`: events taken in over HTTP, with every check, beside a bare app without any."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench import ground as place
from bench.events import EVENTS_IN_BATCH, Head, Requests, Template
from bench.figures import Row, Target
from bench.ground import Ground, LogKind
from bench.load import Accepted, Outcome, batch_accepted, created, load
from bench.processes import Server
from bench.rounds import alternate, settle
from bench.stored import create_topics, http_ids, kafka_ends, kafka_ids
from bench.tally import CountsWrong, compare, expected_ids

TOPIC = "pub.0671.job-order"
BARE_TOPIC = "bench.bare"

PUBLISH_TIMES_BARE = 2.0
PUBLISH_P99_MS = 20.0
BATCH_TIMES_BARE = 1.25
EMBEDDED_BATCH_RATE = 28_000.0
EMBEDDED_BATCH_RATE_FORWARDING = 15_000.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One server under one load. cpu_us: the server's processor time for an event, in microseconds."""

    outcome: Outcome
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How events are sent: one a request, or many."""

    events: int
    bare_path: str

    def requests(self, head: Head) -> Requests:
        """Return this shape's requests with new events."""
        template = Template(place.new_run())
        return template.single_requests(head) if self.events == 1 else template.batch_requests(head, self.events)

    @property
    def accepted(self) -> Accepted:
        """What counts as taken in."""
        return created if self.events == 1 else batch_accepted(self.events)


SINGLE = Shape(1, "/v1/events")
BATCH = Shape(EVENTS_IN_BATCH, "/v1/events/ndjson")

Ids = Callable[[Server], Iterable[str]]


def publish(ground: Ground) -> list[Row]:
    """Measure one event a request: on Kafka against the bare app, and embedded. Raises `CountsWrong`."""
    turns = against_bare(ground, SINGLE)
    ours, bare = turns["gateway"], turns["bare"]
    embedded = embedded_turns(ground, SINGLE, forwarder=False)
    return [
        Row("One event a request, Kafka", "events/s", _rates(ours), _rates(bare), Target(PUBLISH_TIMES_BARE, "ratio")),
        Row("… p99", "ms", _p99s(ours), _p99s(bare), Target(PUBLISH_P99_MS, at_least=False)),
        Row("… processor time of the server", "µs/event", _cpu(ours), _cpu(bare)),
        Row("One event a request, embedded", "events/s", _rates(embedded)),
        Row("… p99", "ms", _p99s(embedded)),
    ]


def batch(ground: Ground) -> list[Row]:
    """Measure NDJSON of 100 events: on Kafka against the bare app, embedded alone and with its forwarder."""
    turns = against_bare(ground, BATCH)
    ours, bare = turns["gateway"], turns["bare"]
    alone = embedded_turns(ground, BATCH, forwarder=False)
    beside = embedded_turns(ground, BATCH, forwarder=True)
    with_forwarder = Target(EMBEDDED_BATCH_RATE_FORWARDING)
    return [
        Row("NDJSON, Kafka", "events/s", _rates(ours), _rates(bare), Target(BATCH_TIMES_BARE, "ratio")),
        Row("… processor time of the server", "µs/event", _cpu(ours), _cpu(bare)),
        Row("NDJSON, embedded", "events/s", _rates(alone), target=Target(EMBEDDED_BATCH_RATE)),
        Row("… with the forwarder beside it", "events/s", _rates(beside), target=with_forwarder),
    ]


def against_bare(ground: Ground, shape: Shape) -> dict[str, list[Turn]]:
    """Let the gateway and the bare app take turns on Kafka."""
    data = ground.work / "gateway-kafka"
    token = prepare(ground, data, "kafka")
    uvloop.run(create_topics(ground.bootstrap, [ground.topic(BARE_TOPIC)], synced=True))

    def gateway_turn() -> Turn:
        server = place.gateway(ground, data, "kafka")
        return turn(ground, server, shape, shape.requests(Head(server.port or 0, token)), _kafka_ids(ground, TOPIC))

    def bare_turn() -> Turn:
        server = place.bare_app(ground, BARE_TOPIC)
        head = Head(server.port or 0, token, shape.bare_path)
        return turn(ground, server, shape, shape.requests(head), _kafka_ids(ground, BARE_TOPIC))

    return alternate(ground.rounds, {"gateway": gateway_turn, "bare": bare_turn})


def embedded_turns(ground: Ground, shape: Shape, *, forwarder: bool) -> list[Turn]:
    """Let a gateway on the embedded log take the load, a new data folder each round."""
    turns = []
    for number in range(ground.rounds):
        data = ground.work / f"embedded-{shape.events}-{int(forwarder)}-{number}"
        token = prepare(ground, data, "embedded")
        auditor = place.token(data, "auditor")

        def stored(server: Server, auditor: str = auditor) -> Iterable[str]:
            return http_ids(server.port or 0, auditor, TOPIC)

        server = place.gateway(ground, data, "embedded", forwarder=forwarder)
        turns.append(turn(ground, server, shape, shape.requests(Head(server.port or 0, token)), stored))
    return turns


def prepare(ground: Ground, data: Path, log: LogKind) -> str:
    """Start a gateway once, load the alliances into it, and return a publisher's token."""
    server = place.gateway(ground, data, log)
    with server:
        place.load_alliances(server, data)
    return place.token(data, "publisher")


def turn(ground: Ground, server: AbstractContextManager[Server], shape: Shape, requests: Requests, ids: Ids) -> Turn:
    """Start the server, put it under load, and compare what it acknowledged with what is stored."""
    with server as running:
        settle(running, ground)
        before = running.cpu_seconds()
        outcome = uvloop.run(load(running.port or 0, requests, ground.plan, shape.accepted))
        used = running.cpu_seconds() - before
        _all_taken_in(running.name, outcome)
        sent_by_us = f"{requests.template.run}-"
        stored = [ident for ident in ids(running) if ident.startswith(sent_by_us)]
    expected = expected_ids(requests, outcome.acknowledged)
    compare(running.name, expected, stored)
    return Turn(outcome, used / max(1, len(expected)) * 1e6)


def _all_taken_in(name: str, outcome: Outcome) -> None:
    if outcome.refused:
        answer, times = outcome.refused.most_common(1)[0]
        raise CountsWrong(f"{name} refused {times} requests, such as: {answer}")


def _kafka_ids(ground: Ground, topic: str) -> Ids:
    # From where the topic ends before the turn: what earlier turns wrote need not be read again.
    name = ground.topic(topic)
    start = uvloop.run(kafka_ends(ground.bootstrap, [name]))[name]
    return lambda _: uvloop.run(kafka_ids(ground.bootstrap, name, start))


def _rates(turns: list[Turn]) -> list[float]:
    return [turn.outcome.rate for turn in turns]


def _p99s(turns: list[Turn]) -> list[float]:
    return [turn.outcome.percentile_ms(99) for turn in turns]


def _cpu(turns: list[Turn]) -> list[float]:
    return [turn.cpu_us for turn in turns]
