"""`bench forward`: exactly-once forwarding on Kafka, beside a bare transaction loop over the same records.

Each round publishes some thousand events, then lets both work through them, each alone on the machine. The
rate is taken from the broker's own times of what was written, from the first output to the last, so that
neither's start counts and nobody has to watch.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench import ground as place
from bench.events import PARTNER, PUBLISHER
from bench.figures import Row, Target
from bench.filling import fill
from bench.ground import Ground
from bench.processes import Server
from bench.publishing import TOPIC
from bench.rounds import settle
from bench.stored import Stored, create_topics, kafka_ends, kafka_stored
from bench.tally import CountsWrong, compare

EVENTS = 40_000
EVENTS_QUICK = 1_000
ALLIANCES = (1, 8)
STEP_RECORDS = 500
TIMES_BARE = {1: 1.0, 8: 0.7}
DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Job:
    """The same work for both: records to send on, and where to."""

    ids: set[str]
    input_start: int
    outputs: int


def forward(ground: Ground) -> list[Row]:
    """Measure forwarding to 1 alliance and to 8. Raises `CountsWrong`."""
    data = ground.work / "gateway-forward"
    with place.gateway(ground, data, "kafka") as server:
        place.load_alliances(server, data, [place.bench_agreement(1, [PUBLISHER, PARTNER])])
    uvloop.run(create_topics(ground.bootstrap, _bare_outputs(ground, max(ALLIANCES)), synced=False))
    rows = [_row(ground, data, 1)]
    with place.gateway(ground, data, "kafka") as server:
        others = [place.bench_agreement(number, [PUBLISHER, PARTNER]) for number in range(2, max(ALLIANCES) + 1)]
        place.load_alliances(server, data, others)
    return [*rows, _row(ground, data, 8)]


def _row(ground: Ground, data: Path, outputs: int) -> Row:
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    contenders: dict[str, Callable[[Ground, Path, Job], float]] = {"ours": _forwarder_rate, "bare": _bare_rate}
    for number in range(ground.rounds):
        job = _publish(ground, data, outputs)
        for name in list(contenders) if number % 2 == 0 else list(contenders)[::-1]:
            rates[name].append(contenders[name](ground, data, job))
    name = f"Forwarding to {outputs} alliance{'s' * (outputs > 1)}, Kafka"
    return Row(name, "events/s", rates["ours"], rates["bare"], Target(TIMES_BARE[outputs], "ratio"))


def _publish(ground: Ground, data: Path, outputs: int) -> Job:
    """Publish the round's events through a gateway that is gone before anybody is measured."""
    topic = ground.topic(TOPIC)
    start = uvloop.run(kafka_ends(ground.bootstrap, [topic]))[topic]
    with place.gateway(ground, data, "kafka") as server:
        settle(server, ground)
        ids = fill(server, data, EVENTS_QUICK if ground.quick else EVENTS, [PUBLISHER])
    return Job(ids, start, outputs)


def _forwarder_rate(ground: Ground, data: Path, job: Job) -> float:
    topics = [ground.topic(f"alliance.bench-{number}.job-order") for number in range(1, job.outputs + 1)]
    server = place.forwarder(ground, data)
    with _watched(ground, topics, job, server):
        starts = uvloop.run(kafka_ends(ground.bootstrap, topics))
        with server:
            _wait(ground, starts, len(job.ids))
            return _checked_rate(ground, server, starts, job)


@contextmanager
def _watched(ground: Ground, topics: Sequence[str], job: Job, server: Server) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        ends = uvloop.run(kafka_ends(ground.bootstrap, list(topics)))
        raise CountsWrong(
            f"{server.name} did not send {len(job.ids)} events on within {DEADLINE_S:.0f} s; its topics end at "
            f"{ends}. Its last output:\n{server.last_output()}"
        ) from None


def _bare_outputs(ground: Ground, outputs: int) -> list[str]:
    return [ground.topic(f"bench.forwarded-{number}") for number in range(1, outputs + 1)]


def _bare_rate(ground: Ground, _: Path, job: Job) -> float:
    topics = _bare_outputs(ground, job.outputs)
    command = [sys.executable, "-m", "bench.comparators.transactions", "--kafka", ground.bootstrap]
    command += ["--inputs", json.dumps({ground.topic(TOPIC): job.input_start}), "--outputs", ",".join(topics)]
    command += ["--records", str(len(job.ids)), "--step", str(STEP_RECORDS)]
    server = Server("The bare loop", command, ground.work / "bare-loop.log")
    with _watched(ground, topics, job, server):
        starts = uvloop.run(kafka_ends(ground.bootstrap, topics))
        with server:
            _wait(ground, starts, len(job.ids))
            return _checked_rate(ground, server, starts, job)


def _wait(ground: Ground, starts: dict[str, int], events: int) -> None:
    """Wait until the topics have grown enough to be worth counting; offsets are no counts, only a hint."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        ends = uvloop.run(kafka_ends(ground.bootstrap, list(starts)))
        if all(ends[topic] - start >= events for topic, start in starts.items()):
            return
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05 if ground.quick else 0.25)


def _checked_rate(ground: Ground, server: Server, starts: dict[str, int], job: Job) -> float:
    """Count by content until all is there, then compute the rate. Raises `CountsWrong`, `TimeoutError`."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        stored = uvloop.run(kafka_stored(ground.bootstrap, starts))
        if all(len(records) >= len(job.ids) for records in stored.values()):
            break
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.25)
    for topic, records in stored.items():
        compare(f"{server.name}, {topic}", job.ids, (record.ident for record in records))
    return rate(list(stored.values()))


def rate(topics: Sequence[Sequence[Stored]]) -> float:
    """Return inputs a second, from the broker's times: what was written after the first moment, by the time it took.

    topics: the same events in each, so that the slowest topic's count is that of the inputs.
    """
    first = min(record.recorded_at_ms for records in topics for record in records)
    last = max(record.recorded_at_ms for records in topics for record in records)
    after_first = sum(record.recorded_at_ms > first for records in topics for record in records) / len(topics)
    return after_first / ((last - first) / 1000) if last > first else 0.0
