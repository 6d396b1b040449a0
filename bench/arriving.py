"""`bench stream` and `bench open`: from publishing to arrival at subscribers, one stream or hundreds, on both logs.

The load is open, and the time counts from an event's moment in the schedule until its bytes are at a subscriber.
Every subscriber wants everything, the hardest case: with 1,000 of them an event arrives 1,000 times. Each arrival is
counted by the event's id, so a lost or a doubled one makes the benchmark fail.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from functools import partial

import uvloop

from bench import ground as place
from bench.connection import Pool
from bench.disk import Disk
from bench.events import PUBLISHER, Head, Template
from bench.figures import Row, Target, percentile
from bench.ground import Ground, LogKind, logs_for
from bench.load import created
from bench.rounds import alternate, settle
from bench.schedule import on_schedule
from bench.subscribers import Arrivals, Subscription, open_pollers, open_streams, subscribe
from bench.tally import CountsWrong

SECONDS = 30.0
SECONDS_QUICK = 1.5
WARMUP_S = 3.0
WARMUP_S_QUICK = 0.5
LAST_TIMEOUT_S = 30.0
PARTNERS = [f"{number:04d}" for number in range(801, 811)]
"""As many that none has more subscriptions than it may."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who listens, and how often an event is published."""

    streams: int
    polls: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one run. peak_mb: the gateway's resident memory at most. disk_ms: a sync of the disk, the p99."""

    milliseconds: list[float]
    disk_ms: float
    peak_mb: float
    answers_per_poll_and_s: float


ONE = Crowd(streams=1, polls=0, per_s=200)
MANY = Crowd(streams=500, polls=500, per_s=50)
MANY_QUICK = Crowd(streams=20, polls=20, per_s=50)
ONE_P99_MS = 150.0
MANY_P99_MS = 1000.0
MANY_MB_MAX = 300.0


def stream(ground: Ground) -> list[Row]:
    """Measure one stream at 200 events/s on both logs. Raises `CountsWrong` when an event is lost or comes twice."""
    rows = []
    for log, rounds in _rounds(ground, ONE, {}).items():
        rows += _latency_rows(f"Published to arrived on a stream at {ONE.per_s:g} events/s, {log}", rounds, ONE_P99_MS)
    return rows


def open_doors(ground: Ground) -> list[Row]:
    """Measure 500 streams and 500 long polls at 50 events/s on both logs. Raises `CountsWrong`.

    On Kafka once more with the forwarder in a process of its own: where they share one, an event on its way waits for
    some forty turns of a loop that is busy with subscribers.
    """
    crowd = MANY_QUICK if ground.quick else MANY
    rows = []
    apart = {} if ground.quick else {"kafka, the forwarder apart": partial(_on, ground, "kafka", crowd, apart=True)}
    for log, rounds in _rounds(ground, crowd, apart).items():
        name = f"{crowd.streams} streams and {crowd.polls} long polls at {crowd.per_s:g} events/s, {log}"
        rows += _latency_rows(name, rounds, MANY_P99_MS)
        memory = [one.peak_mb for one in rounds]
        rows.append(Row("… the gateway's memory at most", "MB", memory, target=_at_most(MANY_MB_MAX)))
        rows.append(Row("… answers to a long poll", "1/s", [one.answers_per_poll_and_s for one in rounds]))
    return rows


def _rounds(ground: Ground, crowd: Crowd, others: Mapping[str, Callable[[], Found]]) -> dict[str, list[Found]]:
    contenders: dict[str, Callable[[], Found]] = {log: partial(_on, ground, log, crowd) for log in logs_for(ground)}
    return alternate(ground.rounds, contenders | dict(others))


def _at_most(value: float) -> Target:
    return Target(value, at_least=False)


def _latency_rows(name: str, rounds: list[Found], p99_ms: float) -> list[Row]:
    p99 = [percentile(one.milliseconds, 99) for one in rounds]
    return [
        Row(f"{name}: p99 (bare: of the disk's syncs)", "ms", p99, [one.disk_ms for one in rounds], _at_most(p99_ms)),
        Row("… median", "ms", [percentile(one.milliseconds, 50) for one in rounds]),
        Row("… longest", "ms", [one.milliseconds[-1] for one in rounds]),
    ]


def _on(ground: Ground, log: LogKind, crowd: Crowd, *, apart: bool = False) -> Found:
    # Each round has a log of its own: neither what an earlier one left nor its instance's secrets.
    run = place.new_run()
    ground = replace(ground, prefix=f"{ground.prefix}{run}.")
    data = ground.work / f"gateway-arriving-{log}-{run}"
    with ExitStack() as running:
        server = running.enter_context(place.gateway(ground, data, log, forwarder=not apart))
        if apart:
            running.enter_context(place.forwarder(ground, data))
        place.load_alliances(server, data, [place.bench_agreement(1, [PUBLISHER, *PARTNERS])])
        settle(server, ground, busy_below=0.3)
        port = server.port or 0
        publisher = Head(port, place.token(data, "publisher"))
        partners = [Head(port, place.token(data, "reader", participant=partner)) for partner in PARTNERS]
        crowded = _Run(publisher, partners, crowd)
        with Disk(ground.work) as disk:
            took, answers = uvloop.run(crowded.measure(ground.quick))
        return Found(took, disk.p99_ms(), server.peak_rss_bytes() / 1e6, answers)


class _Run:
    def __init__(self, publisher: Head, partners: list[Head], crowd: Crowd) -> None:
        self._partners, self._crowd = partners, crowd
        self._template = Template(place.new_run())
        self._port = publisher.port
        self._requests = self._template.single_requests(publisher)

    async def measure(self, quick: bool) -> tuple[list[float], float]:
        """Publish at the rate; return the milliseconds of each arrival, in order, and answers per poll and second."""
        warm = int((WARMUP_S_QUICK if quick else WARMUP_S) * self._crowd.per_s)
        events = warm + int((SECONDS_QUICK if quick else SECONDS) * self._crowd.per_s)
        arrivals = Arrivals(self._template, events)
        subscriptions = await self._subscriptions(max(self._crowd.streams, self._crowd.polls))
        async with AsyncExitStack() as closing:
            for stream in await open_streams(subscriptions[: self._crowd.streams], arrivals):
                closing.callback(stream.close)
            pollers = await open_pollers(subscriptions[: self._crowd.polls], arrivals)
            for poller in pollers:
                closing.callback(poller.close)
            publishing = await closing.enter_async_context(Pool(self._port, 32))
            await self._publish(publishing, arrivals, range(warm))
            # The first events make the topics, which takes its time on Kafka and comes once in a topic's life.
            await self._arrived(arrivals, warm)
            arrivals.forget_times()
            answered = sum(poller.answers for poller in pollers)
            await self._publish(publishing, arrivals, range(warm, events))
            await self._arrived(arrivals, events)
            answered = sum(poller.answers for poller in pollers) - answered
        arrivals.check()
        seconds = (events - warm) / self._crowd.per_s
        return sorted(one * 1000 for one in arrivals.seconds), answered / seconds / max(1, len(pollers))

    async def _subscriptions(self, count: int) -> list[Subscription]:
        each = -(-count // len(self._partners))
        made = [await subscribe(head, each) for head in self._partners[: -(-count // each)]]
        return [one for some in made for one in some]

    async def _publish(self, publishing: Pool, arrivals: Arrivals, numbers: range) -> None:
        async def one(index: int, due: float) -> None:
            number = numbers[index]
            arrivals.due[number] = due
            answer = await publishing.ask(self._requests.request(number))
            if not created(answer):
                raise CountsWrong(f"Event {number} was answered {answer.status}: {answer.body[:300]!r}")

        await on_schedule(len(numbers), self._crowd.per_s, one)

    @staticmethod
    async def _arrived(arrivals: Arrivals, events: int) -> None:
        for _ in range(int(LAST_TIMEOUT_S / 0.1)):
            if not arrivals.missing(events):
                return
            await asyncio.sleep(0.1)
