"""A participant's own producer goes on writing while the gateway dies, or the broker is away.

librdkafka writes to a mailbox, one message in fifty being no event. Each good one is to be recorded once, in the
mailbox's order; each bad one is to stand in quarantine once.

    python -m tests.faults.gateway.native_door --kills 30
    python -m tests.faults.gateway.native_door --outage-seconds 60
"""

import argparse
import itertools
import json
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from broker_adapters import local_kafka
from tests.processes import Served, bearer, free_port, load_alliances, replayed, start
from tests.support import an_event

BAD_EVERY = 50
PAUSE_S = 0.005
STILL_S = 60.0
"""What has not come when nothing has come for this long is lost; before that it may be late."""


@dataclass
class Written:
    """What the producer wrote, by event id, in its order."""

    good: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What came of it: each should be 0, but for the counts of what was written."""

    good: int
    bad: int
    lost: int
    twice: int
    out_of_order: int
    not_quarantined: int
    quarantined_twice: int

    @property
    def faultless(self) -> bool:
        """Whether nothing is wrong."""
        return not any((self.lost, self.twice, self.out_of_order, self.not_quarantined, self.quarantined_twice))


class Stage:
    """A broker, and a gateway that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.kafka, self._data, self._port = folder / "kafka", folder / "data", free_port()
        self.bootstrap = local_kafka.up(self.kafka).bootstrap
        self.served = self._start()

    def _start(self) -> Served:
        return start(self._data, "--kafka", self.bootstrap, port=self._port)

    def kill(self) -> None:
        """End the gateway by SIGKILL, and start it again."""
        self.served.kill()
        self.served = self._start()

    def load(self) -> None:
        """Load the alliances, and wait for the mailbox."""
        load_alliances(self.served)
        producer = Producer({"bootstrap.servers": self.bootstrap})
        while "in.0671" not in producer.list_topics(timeout=10).topics:
            time.sleep(0.1)

    def close(self) -> None:
        """End both."""
        if self.served.process.poll() is None:
            self.served.stop()
        local_kafka.kill(self.kafka)


def campaign(folder: Path, *, kills: int = 0, outage_s: float = 0.0, seed: int = 1) -> Findings:
    """Run it against a gateway and a broker of its own."""
    stage, written, stop = Stage(folder), Written(), threading.Event()
    try:
        stage.load()
        writing = threading.Thread(target=_write, args=(stage.bootstrap, written, stop))
        writing.start()
        chance = random.Random(seed)
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, 1.5))
            stage.kill()
        if outage_s:
            time.sleep(2.0)
            local_kafka.pause(stage.kafka)
            time.sleep(outage_s)
            local_kafka.resume(stage.kafka)
        time.sleep(2.0)
        stop.set()
        writing.join()
        return _await(stage.served, written)
    finally:
        stop.set()
        stage.close()


def _write(bootstrap: str, written: Written, stop: threading.Event) -> None:
    # Longer than any outage here: a producer that gives up loses messages, and that is its owner's setting.
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 300_000})
    number = 0
    while not stop.is_set():
        event = an_event()
        number += 1
        if number % BAD_EVERY == 0:
            event["data"]["status"] = "måske"
        (written.bad if number % BAD_EVERY == 0 else written.good).append(event["id"])
        producer.produce("in.0671", json.dumps(event).encode())
        producer.poll(0)
        time.sleep(PAUSE_S)
    assert producer.flush(120) == 0


def _await(served: Served, written: Written) -> Findings:
    before, came_s = (0, 0), time.monotonic()
    while True:
        began_s = time.monotonic()
        recorded = [line["event"]["id"] for line in replayed(served, topic="pub.0671.*")]
        refused = [item["eventId"] for item in _quarantine(served)]
        seen = (len(recorded), len(refused))
        if seen != before:
            before, came_s = seen, began_s
        done = seen[0] >= len(written.good) and seen[1] >= len(written.bad)
        if done or began_s - came_s > STILL_S:
            break
        # Looking is work for the gateway, too: it is left alone for longer than that takes.
        time.sleep(max(0.5, 2 * (time.monotonic() - began_s)))
    first_seen = list(dict.fromkeys(recorded))
    places = {event_id: place for place, event_id in enumerate(written.good)}
    order = [places[event_id] for event_id in first_seen if event_id in places]
    times = Counter(refused)
    return Findings(
        good=len(written.good),
        bad=len(written.bad),
        lost=len(set(written.good) - set(recorded)),
        twice=len(recorded) - len(first_seen),
        out_of_order=sum(later < earlier for earlier, later in itertools.pairwise(order)),
        not_quarantined=len(set(written.bad) - set(refused)),
        quarantined_twice=sum(count - 1 for count in times.values()),
    )


def _quarantine(served: Served) -> list[dict[str, Any]]:
    headers, items, after = bearer(served.data, "0671", "publisher"), [], {}
    while True:
        query = {"limit": "1000", **after}
        answer = httpx.get(f"{served.url}/v1/quarantine", params=query, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        items += answer.json()["quarantine"]
        if answer.json()["next"] is None:
            return items
        after = {"after": answer.json()["next"]}


def main() -> None:
    """Run the campaign and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--outage-seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), kills=options.kills, outage_s=options.outage_seconds, seed=options.seed)
    print(  # noqa: T201  # a campaign's report
        f"seed {options.seed}: {options.kills} kills of the gateway, {options.outage_seconds:g} s without the broker: "
        f"{found.good} good messages, {found.lost} lost, {found.twice} twice, {found.out_of_order} out of order; "
        f"{found.bad} bad ones, {found.not_quarantined} not in quarantine, {found.quarantined_twice} there twice"
    )
    raise SystemExit(0 if found.faultless else 1)


if __name__ == "__main__":
    main()
