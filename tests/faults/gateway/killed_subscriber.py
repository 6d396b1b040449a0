"""A subscriber is killed again and again, often between having an event and committing it.

It gets what it had not committed once more, and what it had committed never again; nothing is left out, and the first
time each event comes is in the topic's order.

    python -m tests.faults.gateway.killed_subscriber --times 200
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from broker_adapters import local_kafka
from tests.faults.gateway.audience import PARTNER, PUBLISHER, TOPIC, port_of
from tests.processes import Served, bearer, load_alliances, replayed, serving
from tests.support import an_event

EVENTS_PER_LIFE = 40

LAST_LIFE_S = 60.0


@dataclass
class Findings:
    """What came of it. again: events that came more than once because their commit was not made."""

    kills: int
    events: int
    missing: int
    again: int
    twice_after_commit: int
    out_of_order: int

    @property
    def faultless(self) -> bool:
        """Whether every promise was kept."""
        return not (self.missing or self.twice_after_commit or self.out_of_order)


def run(folder: Path, times: int, seed: int, *arguments: str) -> Findings:
    """Kill a subscriber `times` times while events are published."""
    chance, diary = random.Random(seed), folder / "diary.ndjson"
    with serving(folder / "data", *arguments) as served:
        load_alliances(served)
        reader = bearer(served.data, PARTNER, "reader")
        made = httpx.post(f"{served.url}/v1/subscriptions", json={"name": "Opera"}, headers=reader, timeout=30)
        who = [str(port_of(served)), reader["Authorization"][7:], made.json()["id"], str(diary)]
        publisher = {**bearer(served.data, PUBLISHER, "publisher"), "Content-Type": "application/x-ndjson"}
        for _ in range(times):
            _publish(served, publisher)
            subscriber = _start(who)
            _wait_for_a_line(diary, subscriber)
            time.sleep(chance.uniform(0.0, 0.06))
            subscriber.kill()
            subscriber.wait()
        return _finish(served, who, diary, times)


def _start(who: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.faults.gateway.subscriber", *who])


def _wait_for_a_line(diary: Path, subscriber: "subprocess.Popen[bytes]") -> None:
    before = diary.stat().st_size if diary.exists() else 0
    while (not diary.exists() or diary.stat().st_size == before) and subscriber.poll() is None:
        time.sleep(0.002)


def _publish(served: Served, headers: dict[str, str]) -> None:
    body = "\n".join(json.dumps(an_event(PUBLISHER)) for _ in range(EVENTS_PER_LIFE))
    answer = httpx.post(f"{served.url}/v1/events", content=body, headers=headers, timeout=30)
    assert answer.json()["accepted"] == EVENTS_PER_LIFE, answer.text


def _finish(served: Served, who: list[str], diary: Path, times: int) -> Findings:
    """Let a last subscriber take the rest, and hold the diary against the topic.

    Whoever was killed between the answer to a commit and writing it down had it committed, and does not get it again.
    """
    events = times * EVENTS_PER_LIFE
    subscriber = _start(who)
    deadline = time.monotonic() + LAST_LIFE_S
    while len(_had(_lines(diary))) < events and time.monotonic() < deadline:
        time.sleep(0.1)
    subscriber.kill()
    subscriber.wait()
    topic = [record["event"]["id"] for record in replayed(served, topic=TOPIC)]
    assert len(topic) == events, "the topic does not hold what was published"
    return _compare(_lines(diary), topic, times)


def _lines(diary: Path) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in diary.read_text("utf-8").splitlines()]


def _had(lines: list[dict[str, list[str]]]) -> set[str]:
    return {ident for line in lines for ident in line.get("got", ())}


def _compare(lines: list[dict[str, list[str]]], topic: list[str], times: int) -> Findings:
    committed: set[str] = set()
    first_times: dict[str, None] = {}
    got = twice_after_commit = 0
    for line in lines:
        for ident in line.get("got", ()):
            got += 1
            twice_after_commit += ident in committed
            first_times.setdefault(ident)
        committed.update(line.get("committed", ()))
    return Findings(
        kills=times,
        events=len(topic),
        missing=len(set(topic) - first_times.keys()),
        again=got - len(first_times),
        twice_after_commit=twice_after_commit,
        out_of_order=sum(one != other for one, other in zip(first_times, topic, strict=False)),
    )


def main() -> None:
    """Run the campaign on both logs, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        embedded, kafka = Path(folder) / "embedded", Path(folder) / "kafka"
        embedded.mkdir()
        found = [run(embedded, options.times, options.seed)]
        try:
            bootstrap = local_kafka.up(kafka).bootstrap
            found.append(run(kafka, options.times, options.seed, "--kafka", bootstrap))
        finally:
            local_kafka.kill(kafka)
    for log, one in zip(("embedded", "Kafka"), found, strict=True):
        print(f"{log}: {one}")  # noqa: T201  # a campaign's report
    raise SystemExit(not all(one.faultless for one in found))


if __name__ == "__main__":
    main()
