"""`bench trace`: what became of one event among a million, on both logs; and how long its index takes to be made.

The index is thrown away and made anew from the log when the gateway starts; meanwhile a trace is answered 503. Then
events are traced one after another, drawn by lot.
"""

import random
import time

import orjson
import uvloop

from bench import ground as place
from bench.connection import Answer, Pool
from bench.events import Head
from bench.figures import Row, Target, percentile
from bench.filling import PUBLISHERS, events_for
from bench.ground import Ground, LogKind
from bench.rounds import settle
from bench.tally import CountsWrong
from bench.waiting import Waiting, waiting
from exchange_gateway.workers.step_index import StepIndex

LOGS: tuple[LogKind, ...] = ("embedded", "kafka")
TRACES, TRACES_QUICK = 1_000, 20
P99_MS = 50.0
MADE_TIMEOUT_S = 900.0
OK, NOT_FOUND = 200, 404


def trace(ground: Ground) -> list[Row]:
    """Measure traces on both logs. Raises `CountsWrong` when one does not say where its event went."""
    rows = []
    events = events_for(ground)
    for log in LOGS:
        with waiting(ground, log, "trace", events) as full:
            full.server.stop()
            (full.data / StepIndex.file_name).unlink()
            with place.gateway(ground, full.data, log, forwarder=True) as server:
                made_s = uvloop.run(_made(_Asker(server.port or 0, full)))
                settle(server, ground)
                took = uvloop.run(_traced(_Asker(server.port or 0, full), TRACES_QUICK if ground.quick else TRACES))
        target = Target(P99_MS, at_least=False)
        rows.append(Row(f"Trace among {events:,} events, {log}: p99", "ms", [percentile(took, 99)], target=target))
        rows.append(Row("… median", "ms", [percentile(took, 50)]))
        rows.append(Row("… the index made from the log", "s", [made_s]))
    return rows


class _Asker:
    """Who traces events, each as its publisher's."""

    def __init__(self, port: int, full: Waiting) -> None:
        self.port, self.ids = port, sorted(full.ids)
        self._head = Head(port, place.token(full.data, "auditor"))

    async def trace(self, pool: Pool, ident: str) -> Answer:
        """Trace an event of whichever publisher it is."""
        for publisher in PUBLISHERS:
            path = f"/v1/trace?source=urn:kommunebro:{publisher}:opera&id={ident}"
            if (answer := await pool.ask(self._head.get(path))).status != NOT_FOUND:
                break
        return answer


async def _traced(asker: _Asker, traces: int) -> list[float]:
    milliseconds = []
    async with Pool(asker.port, 1) as pool:
        for ident in random.sample(asker.ids, traces):
            began = time.perf_counter()
            answer = await asker.trace(pool, ident)
            milliseconds.append((time.perf_counter() - began) * 1000)
            if answer.status != OK or len(orjson.loads(answer.body)["forwarded"]) != 1:
                raise CountsWrong(f"The trace of {ident} was answered {answer.status}: {answer.body[:300]!r}")
    return sorted(milliseconds)


async def _made(asker: _Asker) -> float:
    """Ask until the index is made, and return the seconds."""
    began = time.perf_counter()
    async with Pool(asker.port, 1) as pool:
        while (await asker.trace(pool, asker.ids[0])).status != OK:
            if time.perf_counter() - began > MADE_TIMEOUT_S:
                raise CountsWrong("The index of steps was not made in time.")
    return time.perf_counter() - began
