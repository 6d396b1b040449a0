"""G1: an event that was acknowledged survives the death of the process.

The whole gateway on the embedded log is killed again and again while publishers send, one event a request
and in batches. Whatever a publisher was answered must be in the log, once, and each topic without a gap.

    python -m tests.faults.gateway.kill_embedded --times 1000
"""

import argparse
import json
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.processes import Served, bearer, free_port, replayed, start
from tests.support import an_event

PUBLISHERS = 4
BATCH_EVENTS = 20


@dataclass
class Sent:
    """What publishers were answered: id to (topic, offset); and how often a process was killed."""

    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    kills: int = 0


@dataclass
class Findings:
    """What the log holds, held against what was acknowledged."""

    acknowledged: int
    recorded: int
    lost: list[str]
    twice: list[str]
    gaps: list[str]

    @property
    def faultless(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.twice or self.gaps)


def run(folder: Path, times: int, seed: int) -> Findings:
    """Kill the gateway `times` times under load; return what was found afterwards."""
    chance, sent, port = random.Random(seed), Sent(), free_port()
    served = start(folder, port=port)
    headers = bearer(folder, "0671", "publisher")
    stop = threading.Event()
    publishers = [
        threading.Thread(target=_publish, args=(served.url, headers, sent, stop, number))
        for number in range(PUBLISHERS)
    ]
    for publisher in publishers:
        publisher.start()
    for _ in range(times):
        time.sleep(chance.uniform(0.05, 0.6))
        served.kill()
        sent.kills += 1
        served = start(folder, port=port)
    stop.set()
    for publisher in publishers:
        publisher.join()
    try:
        return _compare(served, sent)
    finally:
        served.stop()


def _publish(url: str, headers: dict[str, str], sent: Sent, stop: threading.Event, number: int) -> None:
    """Send new events, and send again what was not answered, as a publisher does."""
    with httpx.Client(base_url=url, headers=headers, timeout=10) as client:
        while not stop.is_set():
            events = [an_event() for _ in range(1 if number % 2 else BATCH_EVENTS)]
            while not _send(client, events, sent):
                if stop.wait(0.02):
                    return


def _send(client: httpx.Client, events: list[dict[str, object]], sent: Sent) -> bool:
    kind = "application/cloudevents+json" if len(events) == 1 else "application/x-ndjson"
    body = "\n".join(json.dumps(event) for event in events)
    try:
        answer = client.post("/v1/events", content=body.encode(), headers={"Content-Type": kind})
        answer.raise_for_status()
    except httpx.HTTPError:
        return False
    results = [answer.json()] if len(events) == 1 else answer.json()["results"]
    for event, result in zip(events, results, strict=True):
        if "offset" in result:
            sent.acknowledged[str(event["id"])] = (result["topic"], result["offset"])
    return all("offset" in result for result in results)


def _compare(served: Served, sent: Sent) -> Findings:
    places: dict[str, list[tuple[str, int]]] = {}
    offsets: dict[str, list[int]] = {}
    for record in replayed(served, topic="pub.*"):
        places.setdefault(record["event"]["id"], []).append((record["topic"], record["offset"]))
        offsets.setdefault(record["topic"], []).append(record["offset"])
    return Findings(
        acknowledged=len(sent.acknowledged),
        recorded=sum(map(len, places.values())),
        lost=[event_id for event_id, place in sent.acknowledged.items() if place not in places.get(event_id, [])],
        twice=[event_id for event_id, found in places.items() if len(found) > 1],
        gaps=[topic for topic, found in offsets.items() if found != list(range(len(found)))],
    )


def main() -> None:
    """Run the campaign, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options.times, options.seed)
    print(  # noqa: T201  # a campaign's report
        f"{options.times} kills: {found.acknowledged} acknowledged, {found.recorded} recorded, "
        f"{len(found.lost)} lost, {len(found.twice)} twice, {len(found.gaps)} topics with gaps"
    )
    raise SystemExit(0 if found.faultless else 1)


if __name__ == "__main__":
    main()
