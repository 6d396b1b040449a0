"""A coordinator's stream that survives a restart, on both logs: real processes, real HTTP.

The client here does what the standard asks of an EventSource: it keeps the last `id`, and sends it as
`Last-Event-ID` when it connects again.
"""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import Served, bearer, free_port, run, start
from tests.support import an_event

STRUER, HERNING = "0671", "0657"
TIMEOUT_S = 30.0


class EventSource:
    """A client of Server-Sent Events that connects again by itself, until it is closed."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url, self._headers = url, headers
        self.last_id = ""
        self.events: list[dict[str, Any]] = []
        self.connections = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=20)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._read()
            except httpx.HTTPError:
                time.sleep(0.1)

    def _read(self) -> None:
        headers = {**self._headers, "Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        with httpx.stream("GET", self._url, headers=headers, timeout=20) as answer:
            if answer.status_code != 200:
                time.sleep(0.1)
                return
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.connections += 1
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if self._closed.is_set():
                    return
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "data" in fields:
                    event = json.loads(fields["data"])
                    assert fields["event"] == event["type"]
                    self.events.append(event)
                    self.last_id = fields["id"]
                fields = {}

    def wait_for(self, count: int) -> list[str]:
        deadline = time.monotonic() + TIMEOUT_S
        while len(self.events) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return [event["subject"] for event in self.events]


def publish(served: Served, headers: dict[str, str], subjects: list[str]) -> None:
    now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    lines = [json.dumps(an_event(STRUER, subject=subject, id=f"e-{subject}", time=now)) for subject in subjects]
    answer = httpx.post(
        f"{served.url}/v1/events",
        content="\n".join(lines),
        headers={**headers, "Content-Type": "application/x-ndjson"},
        timeout=30,
    )
    assert answer.json()["accepted"] == len(subjects), answer.text


@pytest.fixture(params=["embedded", "kafka"])
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """What the gateway is started with."""
    if request.param == "embedded":
        yield ()
        return
    (tmp_path / "config.toml").write_text(f'kafka = {{prefix = "{request.getfixturevalue("kafka_prefix")}"}}\n')
    bootstrap = request.getfixturevalue("kafka_bootstrap")
    yield ("--kafka", bootstrap, "--config", str(tmp_path / "config.toml"))


def test_a_stream_survives_a_restart(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Herning hears of each of Struer's orders once and in order, though the gateway is killed in between."""
    port = free_port()
    served = start(tmp_path / "data", *arguments, port=port)
    try:
        assert run("alliances", "load", "--to", served.url, "--data", served.data).returncode == 0
        publisher, reader = bearer(served.data, STRUER, "publisher"), bearer(served.data, HERNING, "reader")
        publish(served, publisher, ["1", "2"])
        made = httpx.post(f"{served.url}/v1/subscriptions", json={"name": "Herning"}, headers=reader, timeout=30)
        assert made.status_code == 201, made.text
        source = EventSource(f"{served.url}/v1/subscriptions/{made.json()['id']}/stream", reader)
        assert source.wait_for(2) == ["1", "2"]
        publish(served, publisher, ["3"])
        assert source.wait_for(3) == ["1", "2", "3"]
        served.kill()
        served = start(tmp_path / "data", *arguments, port=port)
        publish(served, publisher, ["4", "5"])
        assert source.wait_for(5) == ["1", "2", "3", "4", "5"]
        assert source.connections >= 2
        # It commits nothing: whoever pulls gets all of it.
        pulled = httpx.get(
            f"{served.url}/v1/subscriptions/{made.json()['id']}/events", headers=reader, timeout=30
        ).json()
        assert [event["subject"] for event in pulled["events"]] == ["1", "2", "3", "4", "5"]
        assert [event["data"] for event in pulled["events"]] == [event["data"] for event in source.events]
        # Deleting a subscription ends its streams.
        httpx.delete(f"{served.url}/v1/subscriptions/{made.json()['id']}", headers=reader, timeout=30)
        source.close()
    finally:
        served.stop()
