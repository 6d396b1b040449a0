"""How far behind shards and subscriptions are, as the metrics tell it; on both logs."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_adapters.log import LogUnavailable
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.core.agreement_samples import agreement
from tests.sightings import shared
from tests.support import a_gateway, an_event, token

TOPIC = "alliance.vest.job-order"


@pytest.fixture(params=["embedded", "kafka"])
async def found(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """A gateway on either log with the alliance vest."""
    changes: dict[str, Any] = {}
    if request.param == "kafka":
        changes["kafka_bootstrap"] = request.getfixturevalue("kafka_bootstrap")
        changes["kafka"] = {"prefix": request.getfixturevalue("kafka_prefix")}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        operator = {**token(gateway, "drift", Role.OPERATOR), "If-None-Match": "*"}
        assert (await client.put("/v1/alliances/vest", json=agreement(), headers=operator)).status_code == 201
        yield gateway, client


async def told(gateway: Gateway, client: httpx.AsyncClient, name: str) -> dict[str, float]:
    """Measure now, and return a metric's values by their labels."""
    await gateway.lags.measure()
    text = (await client.get("/metrics")).text
    return {labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*)}} (.*)$", text, re.MULTILINE)}


async def test_of_a_subscription(found: tuple[Gateway, httpx.AsyncClient]) -> None:
    """What waits behind the committed cursor, and for how long; none once it is committed, or the subscription gone."""
    gateway, client = found
    reader = token(gateway, "0657", Role.READER)
    made = (await client.post("/v1/subscriptions", json={"name": "Alt", "start": "earliest"}, headers=reader)).json()
    labels = f'participant="0657",subscription="{made["id"]}"'
    await gateway.log.create_topics([TOPIC])
    await gateway.log.append(TOPIC, [shared("vest", str(number)) for number in range(3)])
    await asyncio.sleep(1.1)
    assert (await told(gateway, client, "kommunebro_subscription_lag_events"))[labels] == 3
    assert (await told(gateway, client, "kommunebro_subscription_lag_seconds"))[labels] >= 1
    path = f"/v1/subscriptions/{made['id']}"
    pulled = (await client.get(f"{path}/events", headers=reader)).json()
    assert len(pulled["events"]) == 3
    await client.post(f"{path}/cursor", json={"cursor": pulled["cursor"]}, headers=reader)
    await asyncio.sleep(1.1)
    assert (await told(gateway, client, "kommunebro_subscription_lag_events"))[labels] == 0
    await client.delete(path, headers=reader)
    await asyncio.sleep(1.1)
    assert await told(gateway, client, "kommunebro_subscription_lag_events") == {}


async def test_of_shards(found: tuple[Gateway, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard that is run here is told of; one that does not come forward has before it what was published."""
    gateway, client = found
    shards, has_intake = gateway.instance.shards, gateway.settings.kafka_bootstrap is not None
    lags: dict[str, float] = {}
    for _ in range(400):
        # While sixteen shards start at once, a slow broker may keep this one question waiting too long.
        with suppress(LogUnavailable):
            lags = await told(gateway, client, "kommunebro_shard_lag_events")
        is_intake_told = any("intake" in labels for labels in lags)
        if sum("forwarder" in labels for labels in lags) == shards and is_intake_told == has_intake:
            break
        await asyncio.sleep(0.05)
    assert set(lags.values()) == {0.0}
    assert is_intake_told == has_intake
    assert gateway.forwarder is not None

    async def nothing(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.forwarder, "basis", nothing)
    publisher = {**token(gateway, "0671", Role.PUBLISHER), "Content-Type": "application/cloudevents+json"}
    for _ in range(2):
        assert (await client.post("/v1/events", json=an_event(), headers=publisher)).status_code == 201
    lags = await told(gateway, client, "kommunebro_shard_lag_events")
    assert (max(lags.values()), sum(lags.values())) == (2.0, 2.0)
    waited = await told(gateway, client, "kommunebro_shard_lag_seconds")
    assert max(waited.values()) > 0
