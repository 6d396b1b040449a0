"""A gateway on Kafka, and a producer that no one here wrote."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from broker_adapters.log import UnknownTopic
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from schemas.event import STRUCTURED
from tests.core.agreement_samples import agreement
from tests.support import a_gateway, token


class Municipality:
    """Struer with a producer of its own (librdkafka), and a gateway with the alliance vest."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient, bootstrap: str, prefix: str) -> None:
        self.gateway, self.client, self.prefix = gateway, client, prefix
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})

    async def agree(self) -> None:
        operator = token(self.gateway, "drift", Role.OPERATOR)
        headers = {**operator, "If-None-Match": "*"}
        answer = await self.client.put("/v1/alliances/vest", json=agreement(), headers=headers)
        assert answer.status_code == 201, answer.text
        async with asyncio.timeout(60):
            while "in.0671" not in await self.gateway.log.topics():  # noqa: ASYNC110  # another task makes it
                await asyncio.sleep(0.05)

    async def produce(
        self, value: bytes, headers: list[tuple[str, bytes]] | None = None, participant: str = "0671", **more: Any
    ) -> None:
        """Write one message, and return when Kafka has it."""
        topic = f"{self.prefix}in.{participant}"
        self.producer.produce(topic, value, headers=headers, **more)
        assert await asyncio.to_thread(self.producer.flush, 20) == 0

    async def structured(self, event: dict[str, Any]) -> None:
        await self.produce(json.dumps(event).encode(), [("content-type", STRUCTURED.encode())])

    async def binary(self, event: dict[str, Any]) -> None:
        headers = [(f"ce_{name}", text.encode()) for name, text in event.items() if name != "data"]
        await self.produce(json.dumps(event["data"]).encode(), [*headers, ("content-type", b"application/json")])

    async def published(self, count: int, topic: str = "pub.0671.job-order") -> list[dict[str, Any]]:
        """Wait until a topic has as many events, and return them."""
        async with asyncio.timeout(60):
            while True:
                try:
                    async with self.gateway.log.reader({topic: 0}) as reader:
                        records = await reader.poll(records_max=10_000, timeout_s=0.2)
                except UnknownTopic:
                    records = []
                if len(records) >= count:
                    return [json.loads(record.value) for record in records]
                await asyncio.sleep(0.05)

    async def quarantine(self, count: int = 0, who: str = "0671", role: Role = Role.PUBLISHER, **query: Any) -> Any:
        """Ask until as many messages stand in quarantine."""
        async with asyncio.timeout(60):
            while True:
                bearer = token(self.gateway, who, role)
                answer = await self.client.get("/v1/quarantine", params=query, headers=bearer)
                assert answer.status_code == 200, answer.text
                if len(answer.json()["quarantine"]) >= count:
                    return answer.json()
                await asyncio.sleep(0.05)


@pytest.fixture
async def struer(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> AsyncIterator[Municipality]:
    """Struer, once its mailbox is there."""
    changes: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        municipality = Municipality(gateway, client, kafka_bootstrap, kafka_prefix)
        await municipality.agree()
        yield municipality
