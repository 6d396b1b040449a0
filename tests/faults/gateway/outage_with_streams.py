"""Kafka is away for a while, under load, with streams and long polls open.

The streams stay: comments go on, and what was published comes when Kafka is back. A pull is answered 503 with
Retry-After, or with nothing. Each listener and each who pulls has every event once, in the topic's order, and the
gateway's log tells the failure a few times, not thousands.

    python -m tests.faults.gateway.outage_with_streams --seconds 60
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.connection import Answer, ConnectionLost, Pool
from bench.subscribers import Arrivals, Subscription
from broker_adapters import local_kafka
from tests.faults.gateway.audience import Audience, Source, head_for, log_lines, port_of
from tests.processes import Served, load_alliances, serving

PER_S = 50
WARM_UP_S = 2.0
AFTER_S = 3.0
CATCH_UP_S = 90.0
PULL_WAIT_S = 5.0
AGAIN_S = 0.5
_CURSOR = re.compile(rb'"cursor":"([^"]*)"')


@dataclass
class Findings:
    """What came of it. pulls: how often each status came while Kafka was away. lines: of the gateway's log, of then."""

    events: int
    wrong: list[str]
    streams_lost: int
    silence_s: float
    pulls: Counter[int] = field(default_factory=Counter)
    not_retryable: int = 0
    lines: list[dict[str, object]] = field(default_factory=list)

    def told(self, name: str) -> list[dict[str, object]]:
        """Return the lines of one name."""
        return [line for line in self.lines if line["event"] == name]


class Puller:
    """One who pulls, commits, and pulls again; whatever goes wrong, the same comes again."""

    def __init__(self, name: str, subscription: Subscription, arrivals: Arrivals) -> None:
        self._name, self._subscription, self._arrivals = name, subscription, arrivals
        self.statuses: Counter[int] = Counter()
        self.not_retryable = 0
        arrivals.expect(name)

    async def run(self) -> None:
        """Pull until cancelled."""
        async with Pool(self._subscription.head.port, 1) as pool:
            while True:
                answer = await pool.ask(self._subscription.pull(wait_s=PULL_WAIT_S))
                self.statuses[answer.status] += 1
                cursor = _CURSOR.search(answer.body)
                if answer.status != 200 or cursor is None:
                    await self._wait(answer)
                    continue
                # Whether a commit that was answered 503 counts is not known; the same again does no harm.
                while (committed := await pool.ask(self._subscription.commit(cursor[1].decode()))).status != 200:
                    self.statuses[committed.status] += 1
                    await self._wait(committed)
                self._arrivals.came(self._name, answer.body)

    async def _wait(self, answer: Answer) -> None:
        self.not_retryable += b'"retryable":true' not in answer.body
        await asyncio.sleep(AGAIN_S)


def campaign(folder: Path, kafka: Path, outage_s: float, streams: int, pullers: int, prefix: str = "") -> Findings:
    """Run the outage against a gateway of its own. kafka: the data folder of a broker that runs."""
    config = folder / "settings.toml"
    config.write_text(f'[kafka]\nprefix = "{prefix}"\n')
    bootstrap = local_kafka.status(kafka).bootstrap
    with serving(folder / "data", "--kafka", bootstrap, "--config", str(config)) as served:
        load_alliances(served)
        return asyncio.run(_listen(served, kafka, outage_s, streams, pullers))


async def _listen(served: Served, kafka: Path, outage_s: float, streams: int, pullers: int) -> Findings:
    # At most so many are published: while Kafka is away one batch is sent again and again.
    source = Source(served.data, [port_of(served)], int(PER_S * (WARM_UP_S + AFTER_S)))
    audience = Audience([port_of(served)], source)
    head = head_for(served)
    await audience.open(head, streams)
    pulling = [
        Puller(f"puller {number}", audience.subscriptions[number], audience.arrivals) for number in range(pullers)
    ]
    tasks = [asyncio.create_task(puller.run()) for puller in pulling]
    publishing = asyncio.create_task(source.publish(PER_S))
    await asyncio.sleep(WARM_UP_S)
    before = len(log_lines(served))
    statuses = sum((puller.statuses for puller in pulling), Counter[int]())
    await asyncio.to_thread(local_kafka.pause, kafka)
    try:
        silence_s = await _silence(audience, outage_s)
    finally:
        await asyncio.to_thread(local_kafka.resume, kafka)
    during = sum((puller.statuses for puller in pulling), Counter[int]()) - statuses
    await publishing
    await audience.has_all(CATCH_UP_S)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await audience.close()
    assert not [one for one in ended if isinstance(one, ConnectionLost)], "a pull's connection was lost"
    wrong = await asyncio.to_thread(audience.wrong, served)
    return Findings(
        events=source.events,
        wrong=wrong,
        streams_lost=sum(listener.connections - 1 for listener in audience.listeners),
        silence_s=silence_s,
        pulls=during,
        not_retryable=sum(puller.not_retryable for puller in pulling),
        lines=log_lines(served)[before:],
    )


async def _silence(audience: Audience, seconds: float) -> float:
    """Wait, and return the longest time in which an open stream heard nothing."""
    longest_s, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.1)
        heard = [one.stream.heard_s for one in audience.listeners if one.stream is not None]
        longest_s = max(longest_s, time.perf_counter() - min(heard))
    return longest_s


def main() -> None:
    """Run the campaign, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--pullers", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kafka = Path(folder) / "kafka"
        local_kafka.up(kafka)
        try:
            found = campaign(Path(folder), kafka, options.seconds, options.streams, options.pullers)
        finally:
            local_kafka.kill(kafka)
    print(  # noqa: T201  # a campaign's report
        f"{options.seconds:g} s without the broker: {found.events} events, {len(found.wrong)} wrong "
        f"{found.wrong[:3]}, {found.streams_lost} streams lost, longest silence {found.silence_s:.1f} s, pulls "
        f"{dict(found.pulls)} ({found.not_retryable} not retryable), told: "
        f"{dict(Counter(line['event'] for line in found.lines))}"
    )
    raise SystemExit(bool(found.wrong or found.streams_lost or found.not_retryable))


if __name__ == "__main__":
    main()
