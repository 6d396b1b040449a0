"""`bench pull` and `bench catch-up`: what waits for a subscriber, page by page.

For the one, one client pulls everything once, a thousand at a time, each page from where the one before ended; and so
from a bare app that joins the topic's values as they are. For the other it commits each page before it pulls the next,
as a subscriber who was away for a day would; what it had is compared with what was published, id by id.
"""

import sys
import time
from collections.abc import Callable

import uvloop

from bench.connection import Pool
from bench.events import Head
from bench.figures import Row, Target
from bench.filling import events_for
from bench.ground import Ground, logs_for
from bench.processes import Server, free_port
from bench.rounds import alternate
from bench.subscribers import POLL_EVENTS
from bench.tally import CountsWrong, compare
from bench.waiting import TOPIC, Waiting, as_texts, cursor_in, ids_in, waiting

PULL_EVENTS = 200_000
TIMES_BARE = 0.5
DAY_EVENTS = 24 * 3600 * 20
"""A day at 20 events a second."""

CATCH_UP_RATE = 10_000.0


def pull(ground: Ground) -> list[Row]:
    """Measure pulling on Kafka beside the bare app, and on the embedded log. Raises `CountsWrong`."""
    events = events_for(ground, PULL_EVENTS)
    with waiting(ground, "kafka", "pull", events) as full, _bare(ground) as bare:
        contenders: dict[str, Callable[[], float]] = {
            "ours": lambda: uvloop.run(_pulled(full)),
            "bare": lambda: uvloop.run(_bare_pulled(bare, full)),
        }
        kafka = alternate(ground.rounds, contenders)
    with waiting(ground, "embedded", "pull", events) as full:
        embedded = [uvloop.run(_pulled(full)) for _ in range(ground.rounds)]
    target = Target(TIMES_BARE, "ratio")
    return [
        Row("Pulling a thousand at a time, Kafka", "events/s", kafka["ours"], kafka["bare"], target),
        Row("Pulling a thousand at a time, embedded", "events/s", embedded),
    ]


def catch_up(ground: Ground) -> list[Row]:
    """Measure a subscriber who was away for a day, on both logs. Raises `CountsWrong`."""
    events = events_for(ground, DAY_EVENTS)
    rows = []
    for log in logs_for(ground):
        with waiting(ground, log, "catch-up", events) as full:
            before = full.server.rss_bytes()
            rate = uvloop.run(_pulled(full, commit=True))
            grown_mb = (full.server.peak_rss_bytes() - before) / 1e6
        rows.append(Row(f"Caught up with {events:,} events, {log}", "events/s", [rate], target=Target(CATCH_UP_RATE)))
        rows.append(Row("… the server's memory grew by", "MB", [grown_mb]))
    return rows


async def _pulled(full: Waiting, *, commit: bool = False) -> float:
    """Pull everything once and return the rate. Raises `CountsWrong` for what is missing or comes twice."""
    subscription, ids = full.subscription, list[bytes]()
    cursor = subscription.start
    async with Pool(full.server.port or 0, 1) as pool:
        began = ended = time.perf_counter()
        while True:
            answer = await pool.ask(subscription.pull("" if commit else cursor, limit=POLL_EVENTS, wait_s=0))
            cursor = cursor_in(answer)
            found = ids_in(answer.body)
            if not found and b'"events":0,' in answer.body[:100_000]:
                break
            ids += found
            if commit and (answer := await pool.ask(subscription.commit(cursor))).status != 200:
                raise CountsWrong(f"A commit was answered {answer.status}: {answer.body[:300]!r}")
            ended = time.perf_counter()
    compare(f"Pulled from {full.server.name}", full.ids, as_texts(ids))
    return len(ids) / (ended - began)


def _bare(ground: Ground) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "bench.comparators.pulling", "--kafka", ground.bootstrap]
    command += ["--topic", ground.topic(TOPIC), "--port", str(port)]
    return Server("The bare reader", command, ground.work / "bare-reader.log", port)


async def _bare_pulled(bare: Server, full: Waiting) -> float:
    head, offset, ids = Head(bare.port or 0), 0, list[bytes]()
    async with Pool(bare.port or 0, 1) as pool:
        began = ended = time.perf_counter()
        while len(ids) < len(full.ids):
            answer = await pool.ask(head.get(f"/v1/events?offset={offset}&limit={POLL_EVENTS}"))
            following, _, events = answer.body.partition(b"\n")
            found = ids_in(events)
            if answer.status != 200 or not found:
                raise CountsWrong(f"{bare.name} answered {answer.status} after {len(ids)} events.")
            ids += found
            offset, ended = int(following), time.perf_counter()
    compare(f"Pulled from {bare.name}", full.ids, as_texts(ids))
    return len(ids) / (ended - began)
