"""G7: the broker is away for a while, under load.

Publishers go on sending: while the broker is away each gets 503 with Retry-After within its deadline, and
sends again. Afterwards nothing that was acknowledged is missing or there twice, and what waited is forwarded
within twice the time of the outage.

    python -m tests.faults.gateway.outage --seconds 60
"""

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from broker_adapters import local_kafka
from tests.processes import Served, bearer, load_alliances, replayed, serving
from tests.support import an_event

PUBLISH_DEADLINE_S = 3.0
ANSWER_WITHIN_S = PUBLISH_DEADLINE_S + 3.0
WARM_UP_S = 3.0
PUBLISHERS = 4
PAUSE_S = 0.05


@dataclass
class Seen:
    """What publishers were answered. acknowledged: ids. waits_s: of the refusals."""

    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    without_retry_after: int = 0
    longest_wait_s: float = 0.0


@dataclass
class Findings:
    """What came of it. drained_s: from the broker's return until everything acknowledged was forwarded.

    evidence: of what is there twice, where each stands, what the forwarder says of it, and what the gateway logged.
    """

    seen: Seen
    lost: int
    twice: int
    not_forwarded: int
    forwarded_twice: int
    drained_s: float
    evidence: list[str]


def campaign(folder: Path, outage_s: float) -> Findings:
    """Run the outage against a gateway and a broker of its own."""
    kafka = folder / "kafka"
    bootstrap = local_kafka.up(kafka).bootstrap
    config = folder / "settings.toml"
    config.write_text(f"[limits]\npublish_timeout_s = {PUBLISH_DEADLINE_S}\n")
    try:
        with serving(folder / "data", "--kafka", bootstrap, "--config", str(config)) as served:
            load_alliances(served)
            return _under_load(served, kafka, outage_s)
    finally:
        local_kafka.kill(kafka)


def _under_load(served: Served, kafka: Path, outage_s: float) -> Findings:
    seen, stop = Seen(), threading.Event()
    headers = {**bearer(served.data, "0671", "publisher"), "Content-Type": "application/cloudevents+json"}
    publishers = [threading.Thread(target=_publish, args=(served.url, headers, seen, stop)) for _ in range(PUBLISHERS)]
    for publisher in publishers:
        publisher.start()
    time.sleep(WARM_UP_S)
    local_kafka.pause(kafka)
    time.sleep(outage_s)
    local_kafka.resume(kafka)
    returned = time.monotonic()
    time.sleep(min(outage_s, 10.0) / 2)
    stop.set()
    for publisher in publishers:
        publisher.join()
    drained_s = _await_forwarded(served, seen, returned, outage_s * 2)
    return _compare(served, seen, drained_s)


def _publish(url: str, headers: dict[str, str], seen: Seen, stop: threading.Event) -> None:
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        while not stop.is_set():
            event = an_event()
            while not _send(client, event, seen):
                time.sleep(PAUSE_S)
            time.sleep(PAUSE_S)


def _send(client: httpx.Client, event: dict[str, object], seen: Seen) -> bool:
    began = time.monotonic()
    answer = client.post("/v1/events", content=json.dumps(event).encode())
    seen.longest_wait_s = max(seen.longest_wait_s, time.monotonic() - began)
    if answer.is_success:
        seen.acknowledged.add(str(event["id"]))
        return True
    assert answer.status_code == 503, answer.text
    seen.refused += 1
    seen.without_retry_after += "retry-after" not in answer.headers
    return False


def _ids(served: Served, topic: str) -> list[str]:
    return [record["event"]["id"] for record in replayed(served, topic=topic)]


def _evidence(served: Served, twice: set[str]) -> list[str]:
    records = [*replayed(served, topic="pub.*"), *replayed(served, topic="alliance.vestalliancen.*")]
    found = [record for record in records if record["event"]["id"] in twice]
    times = {record["recordedAt"][:19] for record in found}
    steps = [step for step in replayed(served, topic="audit.forwarding") if step["recordedAt"][:19] in times]
    return [*map(json.dumps, found + steps), *(served.data / "serve.log").read_text().splitlines()[-100:]]


def _twice(ids: list[str]) -> set[str]:
    return {one for one, count in Counter(ids).items() if count > 1}


def _await_forwarded(served: Served, seen: Seen, returned: float, most_s: float) -> float:
    while not seen.acknowledged <= set(_ids(served, "alliance.vestalliancen.*")):
        if time.monotonic() - returned > most_s:
            break
        time.sleep(0.25)
    return time.monotonic() - returned


def _compare(served: Served, seen: Seen, drained_s: float) -> Findings:
    published, forwarded = _ids(served, "pub.*"), _ids(served, "alliance.vestalliancen.*")
    twice = _twice(published) | _twice(forwarded)
    return Findings(
        seen=seen,
        lost=len(seen.acknowledged - set(published)),
        twice=len(published) - len(set(published)),
        not_forwarded=len(seen.acknowledged - set(forwarded)),
        forwarded_twice=len(forwarded) - len(set(forwarded)),
        drained_s=drained_s,
        evidence=_evidence(served, twice) if twice else [],
    )


def main() -> None:
    """Run the campaign and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), options.seconds)
    seen = found.seen
    print(  # noqa: T201  # a campaign's report
        f"{options.seconds:g} s without the broker: {len(seen.acknowledged)} acknowledged, {seen.refused} times 503 "
        f"({seen.without_retry_after} without Retry-After, longest wait {seen.longest_wait_s:.1f} s), "
        f"{found.lost} lost, {found.twice} twice, {found.not_forwarded} not forwarded, "
        f"{found.forwarded_twice} forwarded twice, "
        f"drained {found.drained_s:.1f} s after the broker's return",
        *found.evidence,
        sep="\n",
    )


if __name__ == "__main__":
    main()
