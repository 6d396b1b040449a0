"""`bench latency`: from publishing to visible among a partner's job orders, at a fixed rate, on both logs.

The load is open, and the time counts from an event's moment in the schedule. One event in ten is looked for by its
id, again and again, as the partner; the others are only load. So the looking is some hundred requests a second and
does not become the load itself.
"""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from bench import ground as place
from bench.connection import Pool
from bench.events import PARTNER, PUBLISHER, Head, Requests, Template
from bench.figures import Row, Target, percentile
from bench.ground import LOGS, Ground, LogKind
from bench.load import created
from bench.processes import Server
from bench.rounds import settle
from bench.schedule import on_schedule
from bench.tally import CountsWrong

EVENTS_PER_S = 200
SECONDS = 40.0
SECONDS_QUICK = 2.0
WARMUP_S = 3.0
LOOK_FOR_EVERY = 10
LOOK_AGAIN_S = 0.003
VISIBLE_TIMEOUT_S = 30.0
P99_MS = 150.0


def latency(ground: Ground) -> list[Row]:
    """Measure the latency on both logs. Raises `CountsWrong` when an event never becomes visible."""
    rows = []
    for log in LOGS:
        milliseconds = sorted(_on(ground, log))
        p50, p99 = percentile(milliseconds, 50), percentile(milliseconds, 99)
        name = f"Published to visible at {EVENTS_PER_S} events/s, {log}"
        rows.append(Row(f"{name}: p99", "ms", [p99], target=Target(P99_MS, at_least=False)))
        rows.append(Row("… median", "ms", [p50]))
        rows.append(Row("… longest", "ms", [milliseconds[-1]]))
    return rows


def _on(ground: Ground, log: LogKind) -> list[float]:
    data = ground.work / f"gateway-latency-{log}"
    server = place.gateway(ground, data, log, forwarder=True)
    with server:
        place.load_alliances(server, data)
        settle(server, ground, busy_below=0.3)
        seconds = SECONDS_QUICK if ground.quick else SECONDS
        return uvloop.run(_Run(server, data).measure(seconds))


class _Run:
    def __init__(self, server: Server, data: Path) -> None:
        self._port = server.port or 0
        self._template = Template(place.new_run())
        self._requests: Requests = self._template.single_requests(Head(self._port, place.token(data, "publisher")))
        self._partner = Head(self._port, place.token(data, "reader", participant=PARTNER))

    async def measure(self, seconds: float) -> list[float]:
        """Publish at the rate, and return the milliseconds of each event that was looked for."""
        async with Pool(self._port, 32) as publishing, Pool(self._port, 16) as looking:
            warm = int(WARMUP_S * EVENTS_PER_S)

            def one(number: int, due: float) -> Coroutine[Any, Any, float | None]:
                return self._one(publishing, None if number % LOOK_FOR_EVERY else looking, number, due)

            took = await on_schedule(warm + int(seconds * EVENTS_PER_S), EVENTS_PER_S, one)
        return [one * 1000 for one in took[warm:] if one is not None]

    async def _one(self, publishing: Pool, looking: Pool | None, number: int, due: float) -> float | None:
        answer = await publishing.ask(self._requests.request(number))
        if not created(answer):
            raise CountsWrong(f"Event {number} was answered {answer.status}: {answer.body[:300]!r}")
        if looking is None:
            return None
        ident = self._template.ident(number).decode()
        request = self._partner.get(f"/v1/job-orders/{ident}?owner={PUBLISHER}")
        while True:
            answer = await looking.ask(request)
            now = time.perf_counter()
            if answer.status == 200:
                return now - due
            if answer.status != 404 or now - due > VISIBLE_TIMEOUT_S:
                raise CountsWrong(f"Job order {ident} is not visible to {PARTNER} after {now - due:.0f} s: {answer}")
            await asyncio.sleep(LOOK_AGAIN_S)
