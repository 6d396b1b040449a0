"""The closed-loop load: so many connections, each sends the next request when its answer is here.

Throughput and latency are taken in a window after a warm-up; every request ever sent is remembered, so that
what was acknowledged can be compared with what was stored.
"""

import asyncio
import gc
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.connection import Answer, Connection, connect
from bench.events import Requests
from bench.figures import percentile

ANSWER_TIMEOUT_S = 60.0

Accepted = Callable[[Answer], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard. requests: stop after so many instead of after `seconds`."""

    seconds: float = 8.0
    warmup_s: float = 1.5
    connections: int = 32
    requests: int | None = None


@dataclass(slots=True)
class Outcome:
    """What a load did. latencies_s: of the window, sorted. acknowledged: the requests' numbers, whole run."""

    events: int = 0
    seconds: float = 0.0
    latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    acknowledged: list[int] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Events a second in the window."""
        return self.events / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency in milliseconds; 0 when nothing was answered."""
        return percentile(self.latencies_s, percent) * 1000


class _Run:
    def __init__(self, requests: Requests, plan: Plan, accepted: Accepted, first: int) -> None:
        self.requests, self.plan, self.accepted = requests, plan, accepted
        self.next, self.last = first, first + plan.requests if plan.requests else None
        self.outcome = Outcome()
        self.finished = asyncio.get_running_loop().create_future()
        self.under_way = 0
        self.window_opens = self.window_closes = 0.0

    def begin(self) -> None:
        """Set when the window opens: once everything is ready, which takes longer than a short window."""
        timed = self.last is None
        self.window_opens = time.perf_counter() + (self.plan.warmup_s if timed else 0.0)
        self.window_closes = self.window_opens + self.plan.seconds if timed else float("inf")

    def send_next(self, connection: Connection) -> bool:
        """Send the next request unless the load is over; say whether one was sent."""
        now = time.perf_counter()
        if now >= self.window_closes or self.next == self.last:
            return False
        connection.number, connection.sent_at = self.next, now
        self.next += 1
        self.under_way += 1
        connection.send(self.requests.request(connection.number))
        return True

    def answered(self, connection: Connection, answer: Answer) -> None:
        """Count an answer and go on."""
        now = time.perf_counter()
        outcome = self.outcome
        if self.accepted(answer):
            outcome.acknowledged.append(connection.number)
            if self.window_opens <= now < self.window_closes:
                outcome.events += self.requests.events_each
                outcome.latencies_s.append(now - connection.sent_at)
        else:
            outcome.refused[f"{answer.status} {answer.body[:200].decode(errors='replace')}"] += 1
        self.under_way -= 1
        if not self.send_next(connection) and self.under_way == 0 and not self.finished.done():
            outcome.seconds = min(now, self.window_closes) - self.window_opens
            self.finished.set_result(None)

    def lost(self) -> None:
        """End the run as failed: what was under way is neither acknowledged nor refused."""
        if not self.finished.done():
            self.finished.set_exception(ConnectionError("The server closed a connection under load."))


async def load(port: int, requests: Requests, plan: Plan, accepted: Accepted, *, first: int = 0) -> Outcome:
    """Send requests from number `first` on, as `plan` says, and return what came of them.

    Raises `ConnectionError` when the server hangs up, `TimeoutError` when it stops answering.
    """
    run = _Run(requests, plan, accepted, first)
    connections = await connect(port, plan.connections, run.answered, run.lost)
    gc.collect()
    gc.disable()
    run.begin()
    try:
        for connection in connections:
            run.send_next(connection)
        await asyncio.wait_for(run.finished, plan.seconds + plan.warmup_s + ANSWER_TIMEOUT_S)
    finally:
        gc.enable()
        for connection in connections:
            connection.close()
    run.outcome.latencies_s = array("d", sorted(run.outcome.latencies_s))
    return run.outcome


def created(answer: Answer) -> bool:
    """Whether one event was taken in as new."""
    return answer.status == 201 and b'"duplicate":true' not in answer.body


def batch_accepted(events: int) -> Accepted:
    """Return a check that all of a batch's `events` were taken in as new."""
    wanted = f'"accepted":{events},'.encode()

    def check(answer: Answer) -> bool:
        return answer.status == 200 and wanted in answer.body.replace(b" ", b"")[:200]

    return check
