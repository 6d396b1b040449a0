"""`bench replay`: the whole log as NDJSON over HTTP, on both logs, and how the server's memory takes it."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from bench import ground as place
from bench.events import Head
from bench.figures import Row, Target
from bench.filling import PUBLISHERS, events_for, fill
from bench.ground import Ground, LogKind
from bench.processes import Server
from bench.rounds import alternate, settle
from bench.stored import http_ids
from bench.streaming import Streamed, stream
from bench.tally import CountsWrong, compare

TOPICS = [f"pub.{publisher}.job-order" for publisher in PUBLISHERS]
PATH = "/v1/audit/records?topic=pub.*"
EMBEDDED_RATE = 150_000.0
TIMES_GETMANY = 0.5
GROWTH_MB_MAX = 64.0
"""What counts as flat: some buffers of the log's and the socket's, whatever the length of the replay."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One replay: records a second, and the server's largest growth while it ran."""

    rate: float
    growth_mb: float


def replay(ground: Ground) -> list[Row]:
    """Measure replay on both logs. Raises `CountsWrong`."""
    kafka, bare = _on_kafka(ground)
    embedded, rows = _embedded(ground)
    flat = Target(GROWTH_MB_MAX, at_least=False)
    rates = [one.rate for one in kafka]
    return [
        Row("Replay over HTTP, Kafka", "records/s", rates, bare, Target(TIMES_GETMANY, "ratio")),
        Row("… the server's memory grew by", "MB", [one.growth_mb for one in kafka], target=flat),
        Row("Replay over HTTP, embedded", "records/s", [one.rate for one in embedded], rows, Target(EMBEDDED_RATE)),
        Row("… the server's memory grew by", "MB", [one.growth_mb for one in embedded], target=flat),
    ]


@contextmanager
def _filled(ground: Ground, log: LogKind) -> Iterator[tuple[Server, bytes]]:
    """Give a gateway that holds the records, restarted since, and the request for all of them."""
    data = ground.work / f"gateway-replay-{log}"
    with place.gateway(ground, data, log) as server:
        ids = fill(server, data, events_for(ground), PUBLISHERS)
    with place.gateway(ground, data, log) as server:
        settle(server, ground)
        token = place.token(data, "auditor")
        found = (ident for topic in TOPICS for ident in http_ids(server.port or 0, token, topic))
        compare(f"Replay from {server.name}", ids, found)
        yield server, Head(server.port or 0, token).get(PATH)


def _on_kafka(ground: Ground) -> tuple[list[Replayed], list[float]]:
    events = events_for(ground)
    reader = ["bench.comparators.reader", "--kafka", ground.bootstrap, "--topics", ",".join(map(ground.topic, TOPICS))]
    with _filled(ground, "kafka") as (server, request):
        contenders: dict[str, Callable[[], Replayed]] = {
            "ours": lambda: replayed(server, request, events),
            "bare": lambda: Replayed(_bare_rate(reader, events), 0.0),
        }
        results = alternate(ground.rounds, contenders)
    return results["ours"], [one.rate for one in results["bare"]]


def _embedded(ground: Ground) -> tuple[list[Replayed], list[float]]:
    events = events_for(ground)
    with _filled(ground, "embedded") as (server, request):
        rows = ["bench.comparators.rows", "--data", str(ground.work / "gateway-replay-embedded")]
        contenders: dict[str, Callable[[], Replayed]] = {
            "ours": lambda: replayed(server, request, events),
            "bare": lambda: Replayed(_bare_rate(rows, events), 0.0),
        }
        results = alternate(ground.rounds, contenders)
    return results["ours"], [one.rate for one in results["bare"]]


def replayed(server: Server, request: bytes, events: int) -> Replayed:
    """Replay once, watching the server's memory. Raises `CountsWrong`."""
    before = server.rss_bytes()
    most = [before]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            most.append(server.rss_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        streamed = uvloop.run(stream(server.port or 0, request))
    finally:
        over.set()
        watcher.join()
    _check(server, streamed, events)
    return Replayed(streamed.records / streamed.seconds, (max(most) - before) / 1e6)


def _check(server: Server, streamed: Streamed, events: int) -> None:
    if streamed.status != 200 or not streamed.whole or streamed.records != events:
        raise CountsWrong(f"{server.name} replayed {streamed} instead of {events} records.")


def _bare_rate(command: list[str], events: int) -> float:
    read = json.loads(place.run_command([sys.executable, "-m", *command]))
    if read["records"] != events:
        raise CountsWrong(f"{command[0]} read {read['records']} records instead of {events}.")
    return float(read["records"] / read["seconds"])
