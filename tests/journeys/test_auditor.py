"""An auditor replays a day as of its end, twice, byte for byte, traces an event, checks the forwarding; both logs."""

import asyncio
import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.log import Log, NewRecord
from schemas.identifiers import FORWARDING_TOPIC
from tests.contract.stores import read_all
from tests.processes import Served, bearer, free_port, run, start
from tests.support import an_event

STRUER = "0671"


class Ground:
    """Where one log is: what a gateway on it is started with, and how the log itself is opened beside it."""

    def __init__(self, arguments: tuple[str, ...], open_log: Callable[[], Log]) -> None:
        self.arguments, self.open_log = arguments, open_log


@pytest.fixture(params=["embedded", "kafka"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """Each log in turn."""
    if request.param == "embedded":
        return Ground((), lambda: EmbeddedLog(tmp_path / "data"))
    bootstrap, prefix = request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("kafka_prefix")
    (tmp_path / "config.toml").write_text(f'kafka = {{prefix = "{prefix}"}}\n')
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, state_folder=tmp_path / "state")
    return Ground(("--kafka", bootstrap, "--config", str(tmp_path / "config.toml")), lambda: KafkaLog(kafka))


def publish(served: Served, headers: dict[str, str], *events: dict[str, Any]) -> None:
    answer = httpx.post(
        f"{served.url}/v1/events",
        content="\n".join(map(json.dumps, events)),
        headers={**headers, "Content-Type": "application/x-ndjson"},
        timeout=30,
    )
    assert answer.json()["accepted"] == len(events), answer.text


def order(**changes: Any) -> dict[str, Any]:
    """Return an order that goes to Struer's alliance."""
    now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    return an_event(STRUER, time=now, data__sharing={"scope": "alliances"}, data__employerAgreed="named", **changes)


@contextmanager
def publishing_goes_on(served: Served, headers: dict[str, str]) -> Iterator[None]:
    """Publish one order after the other for the length of a block."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            publish(served, headers, order())

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_day_as_of_its_end_is_the_same_for_ever(ground: Ground, tmp_path: Path) -> None:
    """While publishing goes on, after the gateway was killed, by the bounds given back, and from its folder."""
    port = free_port()
    served = start(tmp_path / "data", *ground.arguments, port=port)
    gateway = ("--to", served.url, "--data", served.data)
    try:
        assert run("alliances", "load", *gateway).returncode == 0
        struer = bearer(served.data, STRUER, "publisher")
        with publishing_goes_on(served, struer):
            publish(served, struer, *(order() for _ in range(200)))
            day = ("--as-of", datetime.now(UTC).isoformat())
            first = run("replay", *day, *gateway, "-o", tmp_path / "1.ndjson", "--write-bounds", tmp_path / "day.json")
            assert first.returncode == 0, first.stderr
            assert run("replay", *day, *gateway, "-o", tmp_path / "2.ndjson").returncode == 0
        told = (tmp_path / "1.ndjson").read_bytes()
        assert len(told.splitlines()) >= 200
        assert (tmp_path / "2.ndjson").read_bytes() == told
        served.kill()
        served = start(tmp_path / "data", *ground.arguments, port=port)
        again = shlex.split(first.stderr.rpartition("kommunebro replay ")[2])
        assert again == ["--bounds", str(tmp_path / "day.json")]
        assert run("replay", *again, *gateway, "-o", tmp_path / "3.ndjson").returncode == 0
        assert (tmp_path / "3.ndjson").read_bytes() == told
        one = run("replay", "--topic", "pub.0671.job-order", "--to", "7", *gateway)
        assert len(one.stdout.splitlines()) == 7
        publish(served, struer, order())
        inline = shlex.split(one.stderr.rpartition("kommunebro replay ")[2])
        assert run("replay", *inline, *gateway).stdout == one.stdout
    finally:
        served.stop()
    if not ground.arguments:
        assert run("replay", *again, "--data", served.data, "-o", tmp_path / "4.ndjson").returncode == 0
        assert (tmp_path / "4.ndjson").read_bytes() == told
        bounds = json.loads((tmp_path / "day.json").read_text())
        bounds["topics"]["pub.0671.job-order"]["to"] -= 1
        other = run("replay", "--bounds", json.dumps(bounds), "--data", served.data)
        assert other.returncode == 1
        assert "Not the same bytes" in other.stderr


def test_tracing_and_checking(ground: Ground, tmp_path: Path) -> None:
    """By the id alone, by a thing; nothing differs although an agreement changed; a false account is found."""
    served = start(tmp_path / "data", *ground.arguments)
    gateway = ("--to", served.url, "--data", served.data)
    try:
        assert run("alliances", "load", *gateway).returncode == 0
        struer = bearer(served.data, STRUER, "publisher")
        event = order()
        publish(served, struer, event)
        until_decided(event["id"], *gateway)
        change(served)
        publish(served, struer, order(), {**order(), "id": event["id"], "source": "urn:kommunebro:0671:vitas"})
        several = run("trace", event["id"], *gateway)
        assert several.returncode == 1
        line = next(line for line in several.stderr.splitlines() if "0671:opera" in line)
        told = until_decided(*shlex.split(line)[2:], "--participant", "0657", *gateway)
        assert "forwarded  to vestalliancen by version 1, shown" in told
        assert "/sharing" in told
        assert "for 0657   vestalliancen" in told
        thing = run("trace", "--thing", f"0671/job-order/{event['subject']}", *gateway)
        assert thing.stdout.count("received ") == 1, thing.stdout + thing.stderr
        assert run("trace", "--thing", "0671/job-order", *gateway).returncode == 2
        checked = run("replay", "--check-forwarding", *gateway)
        assert checked.returncode == 0, checked.stdout
        if not ground.arguments:
            # The embedded log is one process's at a time; stopped, it is read from its folder.
            served.stop()
            gateway = ("--data", served.data)
        asyncio.run(falsify(ground.open_log()))
        found = run("replay", "--check-forwarding", *gateway)
        assert found.returncode == 1
        assert json.loads(found.stdout.splitlines()[-1])["differences"] > 0
        assert "differences" in found.stderr
    finally:
        served.stop()


def until_decided(*arguments: Any) -> str:
    for _ in range(20):
        answer = run("trace", *arguments)
        assert answer.returncode == 0, answer.stderr
        if "not decided yet" not in answer.stdout:
            break
    return answer.stdout


def change(served: Served) -> None:
    """Make a next version of Vestalliancen."""
    operator = bearer(served.data, "drift", "operator")
    url = f"{served.url}/v1/alliances/vestalliancen"
    now = httpx.get(url, headers=operator)
    body = now.json() | {"purpose": "Et nyt formål"}
    assert httpx.put(url, json=body, headers={**operator, "If-Match": now.headers["ETag"]}).status_code == 200


async def falsify(log: Log) -> None:
    """Tell a step again, with something else forwarded."""
    await log.open()
    try:
        *_, told = await read_all(log, FORWARDING_TOPIC)
        step = json.loads(told.value)
        step["forwarded"] = []
        await log.append(FORWARDING_TOPIC, [NewRecord(json.dumps(step).encode(), told.key)])
    finally:
        await log.close()
