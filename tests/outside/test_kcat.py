"""kcat, a client that no one here wrote, reads from Kafka what Kommunebro put there."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kommunebro import Client
from tests.processes import Served, bearer, run, serving

pytestmark = pytest.mark.outside
PREFIX = "outside."
FIRST_S_MAX = 20.0


def kcat(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """Read a topic from its beginning to its end, committed records only."""
    done = subprocess.run(
        ["kcat", "-b", bootstrap, "-C", "-t", PREFIX + topic, "-o", "beginning", "-e", "-q", "-J",
         "-X", "isolation.level=read_committed"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def headers_of(record: dict[str, Any]) -> dict[str, str]:
    pairs = record["headers"]
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


@pytest.fixture(scope="module")
def served(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Kafka after a gateway on it has published the example sheet of job orders."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "config.toml").write_text(f'kafka = {{prefix = "{PREFIX}"}}\n')
    sheet = folder / "jobordrer.xlsx"
    sheet.write_bytes((Path(__file__).parents[2] / "examples" / "sheets" / "jobordrer.xlsx").read_bytes())
    with serving(folder / "data", "--kafka", kafka_bootstrap, "--config", str(folder / "config.toml")) as served:
        common = ("--to", served.url, "--data", served.data)
        assert run("alliances", "load", *common).returncode == 0
        done = run("publish", sheet, *common, "--participant", "0671", "--state", folder / "state")
        assert done.returncode == 0, done.stderr
        headers, deadline = bearer(served.data, "0657", "reader"), time.monotonic() + FIRST_S_MAX
        while not httpx.get(f"{served.url}/v1/job-orders", headers=headers, timeout=30).json()["jobOrders"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield served


@pytest.fixture(scope="module")
def bootstrap(served: Served, kafka_bootstrap: str) -> str:
    """The address of that Kafka."""
    assert served.process.poll() is None
    return kafka_bootstrap


@pytest.mark.parametrize("topic", ["pub.0671.job-order", "alliance.vestalliancen.job-order"])
def test_what_kcat_reads_is_what_a_replay_gives(served: Served, bootstrap: str, topic: str) -> None:
    """Byte for byte, in the same order, at the same offsets."""
    token = bearer(served.data, "auditor", "auditor")["Authorization"].removeprefix("Bearer ")
    with Client(served.url, token) as auditor:
        records = list(auditor.replay({"topic": topic}))
    assert records
    assert [(record["offset"], record["payload"].encode()) for record in kcat(bootstrap, topic)] == [
        (record.parsed()["offset"], record.event_bytes) for record in records
    ]


def test_what_was_shared_is_on_kafka(bootstrap: str) -> None:
    """An alliance's topic holds whole CloudEvents, keyed by owner and subject."""
    records = kcat(bootstrap, "alliance.vestalliancen.job-order")
    assert records
    for record in records:
        event = json.loads(record["payload"])
        assert record["key"] == f"0671/{event['subject']}"
        assert (event["specversion"], event["owner"], event["alliance"]) == ("1.0", "0671", "vestalliancen")
        assert "contactPerson" not in event["data"] or event["data"]["applyVia"] == "direct"


def test_cloudevents_headers_stand_beside_the_value(bootstrap: str) -> None:
    """A reader can sort by headers without reading the value, and both say the same."""
    for topic in ("pub.0671.job-order", "alliance.vestalliancen.job-order"):
        for record in kcat(bootstrap, topic):
            event, headers = json.loads(record["payload"]), headers_of(record)
            assert headers["content-type"].startswith("application/cloudevents+json")
            assert {name: headers[f"ce_{name}"] for name in ("id", "source", "type", "subject", "time")} == {
                name: event[name] for name in ("id", "source", "type", "subject", "time")
            }


def test_the_publishers_own_topic_has_everything(bootstrap: str) -> None:
    """What Struer published stands whole in its own topic, one JSON object on one line, keyed by subject."""
    records = kcat(bootstrap, "pub.0671.job-order")
    assert all("\n" not in record["payload"] for record in records)
    assert {record["key"] for record in records} == {json.loads(record["payload"])["subject"] for record in records}
    assert any("contactPerson" in json.loads(record["payload"])["data"] for record in records)


def test_each_topic_is_one_partition(bootstrap: str) -> None:
    """A topic is one total order: on Kafka, one partition."""
    done = subprocess.run(["kcat", "-b", bootstrap, "-L", "-J"], capture_output=True, text=True, timeout=60, check=True)
    data = (PREFIX + "pub.", PREFIX + "alliance.")
    ours = [topic for topic in json.loads(done.stdout)["topics"] if topic["topic"].startswith(data)]
    assert ours
    assert [topic["topic"] for topic in ours if len(topic["partitions"]) != 1] == []
