"""A municipality's own Kafka producer, with some bad events among many, and a gateway that dies in between.

Real processes, a real broker, and librdkafka as the producer.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from broker_adapters import local_kafka
from tests.processes import Served, bearer, free_port, replayed, run, start
from tests.support import an_event

EVENTS, BAD_EVERY, KILLS = 3_000, 300, 3
TIMEOUT_S = 60.0


def quarantined(served: Served) -> list[dict[str, Any]]:
    headers = bearer(served.data, "0671", "publisher")
    answer = httpx.get(f"{served.url}/v1/quarantine", params={"limit": 1000}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["quarantine"]  # type: ignore[no-any-return]


def mailbox_is_there(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    deadline = time.monotonic() + TIMEOUT_S
    while "in.0671" not in producer.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_nothing_is_lost_and_nothing_is_set_aside_twice(tmp_path: Path) -> None:
    """Three times `kill -9` while 3,000 messages are taken in: each good one once, each bad one in quarantine once."""
    bootstrap = local_kafka.up(tmp_path / "kafka").bootstrap
    port = free_port()
    served = start(tmp_path / "data", "--kafka", bootstrap, port=port)
    try:
        operator = bearer(served.data, "drift", "operator")["Authorization"].removeprefix("Bearer ")
        loaded = run("alliances", "load", "--to", served.url, "--token", operator)
        assert loaded.returncode == 0, loaded.stderr
        mailbox_is_there(bootstrap)
        producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 1})
        good, bad = [], set()
        for number in range(EVENTS):
            event = an_event(id=f"native-{number}")
            if number % BAD_EVERY == 7:
                event["data"]["status"] = "måske"
                bad.add(event["id"])
            else:
                good.append(event["id"])
            producer.produce("in.0671", json.dumps(event).encode())
            if number % (EVENTS // (KILLS + 1)) == EVENTS // (KILLS + 1) - 1 and number < EVENTS - 1:
                producer.flush(30)
                time.sleep(0.3)
                served.kill()
                served = start(tmp_path / "data", "--kafka", bootstrap, port=port)
        assert producer.flush(30) == 0
        deadline = time.monotonic() + TIMEOUT_S
        while len(recorded := [line["event"]["id"] for line in replayed(served, topic="pub.0671.*")]) < len(good):
            assert time.monotonic() < deadline, f"{len(recorded)} of {len(good)}"
            time.sleep(0.2)
        assert recorded == good
        assert Counter(item["eventId"] for item in quarantined(served)) == Counter(bad)
        assert {item["problem"]["type"] for item in quarantined(served)} == {"/problems/schema-violation"}
    finally:
        if served.process.poll() is None:
            served.stop()
        local_kafka.kill(tmp_path / "kafka")
