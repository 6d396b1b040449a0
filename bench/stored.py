"""What is stored, read as an outsider would: Kafka by a plain consumer, the embedded log over HTTP."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from bench.events import event_id
from broker_adapters.kafka.topics import configuration

IDLE_TIMEOUT_MS = 500


class Stored(NamedTuple):
    """One record: the event's id, and the broker's time of it."""

    ident: str
    recorded_at_ms: int


async def create_topics(bootstrap: str, topics: list[str], *, synced: bool) -> None:
    """Create topics of one partition with the settings that the gateway gives its own on a single broker.

    synced: an answer means on disk, as where events are published; what is forwarded is not synced.
    """
    config = configuration("pub." if synced else "alliance.", replicas=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        for topic in topics:
            try:
                await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=config)])
            except TopicAlreadyExistsError:
                continue
    finally:
        await admin.close()


async def kafka_ends(bootstrap: str, topics: list[str]) -> dict[str, int]:
    """Return where each topic ends for a reader of what is committed; 0 for one that is not there yet."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    try:
        known = await consumer.topics()
        partitions = [TopicPartition(topic, 0) for topic in topics if topic in known]
        ends = await consumer.end_offsets(partitions) if partitions else {}
        return dict.fromkeys(topics, 0) | {partition.topic: end for partition, end in ends.items()}
    finally:
        await consumer.stop()


async def kafka_stored(bootstrap: str, starts: Mapping[str, int]) -> dict[str, list[Stored]]:
    """Return what each topic holds from its start on, committed records only."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    found: dict[str, list[Stored]] = {topic: [] for topic in starts}
    try:
        partitions = {TopicPartition(topic, 0): offset for topic, offset in starts.items()}
        consumer.assign(list(partitions))
        ends = await consumer.end_offsets(list(partitions))
        for partition, offset in partitions.items():
            consumer.seek(partition, offset)
        while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
            batch = await consumer.getmany(timeout_ms=IDLE_TIMEOUT_MS)
            for partition, records in batch.items():
                found[partition.topic] += [Stored(event_id(record.value), record.timestamp) for record in records]
    finally:
        await consumer.stop()
    return found


async def kafka_ids(bootstrap: str, topic: str, start: int = 0) -> list[str]:
    """Return the ids of the events in `topic` from offset `start` on."""
    return [stored.ident for stored in (await kafka_stored(bootstrap, {topic: start}))[topic]]


def http_ids(port: int, token: str, topic: str) -> Iterator[str]:
    """Yield the ids of the events that a gateway's replay gives for `topic`."""
    address = f"http://127.0.0.1:{port}/v1/audit/records"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.stream("GET", address, params={"topic": topic}, headers=headers, timeout=60) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            yield json.loads(line)["event"]["id"]
