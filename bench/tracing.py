"""`bench trace`: how long a trace takes in a log of a million events that were all forwarded, on both logs."""

import asyncio
import random
import time
from collections.abc import Sequence

import orjson
import uvloop

from bench import ground as place
from bench.connection import Pool
from bench.events import Head
from bench.figures import Row, Target
from bench.filling import PUBLISHERS, events_for, fill
from bench.ground import LOGS, Ground, LogKind
from bench.processes import Server
from bench.rounds import settle
from bench.tally import CountsWrong

TRACES, TRACES_QUICK = 400, 20
DECIDED_TIMEOUT_S = 600.0
P99_MS = 50.0

WAYS = {
    "by source and id": "source=urn:kommunebro:{owner}:opera&id={ident}",
    "by the id alone": "id={ident}&participant=0657",
    "of a thing": "owner={owner}&type=job-order&subject={ident}",
}


def trace(ground: Ground) -> list[Row]:
    """Measure traces of events chosen at random. Raises `CountsWrong` when one is not found, or was never decided."""
    rows = []
    for log in LOGS:
        for way, milliseconds in _on(ground, log).items():
            ordered = sorted(milliseconds)
            p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
            rows.append(Row(f"A trace {way}, {log}: p99", "ms", [p99], target=Target(P99_MS, at_least=False)))
            rows.append(Row("… median", "ms", [p50]))
    return rows


def _on(ground: Ground, log: LogKind) -> dict[str, list[float]]:
    data = ground.work / f"gateway-trace-{log}"
    with place.gateway(ground, data, log, forwarder=True) as server:
        place.load_alliances(server, data)
        ids = sorted(fill(server, data, events_for(ground), PUBLISHERS))
        head = Head(server.port or 0, place.token(data, "auditor"))
        chosen = random.Random(1).sample(ids, TRACES_QUICK if ground.quick else TRACES)  # a load
        uvloop.run(_all_decided(server, head, ids))
        settle(server, ground)
        return uvloop.run(_measure(server, head, chosen))


async def _ask(pool: Pool, head: Head, asked: str) -> dict[str, object]:
    answer = await pool.ask(head.get(f"/v1/trace?{asked}"))
    if answer.status == 503:  # the index is behind: it says to ask again
        return {"decided": None}
    if answer.status != 200:
        raise CountsWrong(f"A trace of {asked} was answered {answer.status}: {answer.body[:300]!r}")
    found: dict[str, object] = orjson.loads(answer.body)
    return found


async def _all_decided(server: Server, head: Head, ids: Sequence[str]) -> None:
    """Wait until the forwarder has come to the last event of each publisher, as far as a sample tells."""
    deadline = time.monotonic() + DECIDED_TIMEOUT_S
    async with Pool(server.port or 0, 1) as pool:
        for ident in random.Random(2).sample(ids, min(len(ids), 50)):  # a load
            while (await _ask(pool, head, f"id={ident}"))["decided"] is None:
                if time.monotonic() > deadline:
                    raise CountsWrong(f"Event {ident} was not decided within {DECIDED_TIMEOUT_S:g} s.")
                await asyncio.sleep(0.2)


async def _measure(server: Server, head: Head, chosen: Sequence[str]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    async with Pool(server.port or 0, 1) as pool:
        for ident in chosen:
            found = await _ask(pool, head, f"id={ident}")
            event = found["event"]
            owner = str(event["source"]).split(":")[2] if isinstance(event, dict) else ""
            for way, asked in WAYS.items():
                began_s = time.perf_counter()
                await _ask(pool, head, asked.format(owner=owner, ident=ident))
                took[way].append((time.perf_counter() - began_s) * 1000)
    return took
