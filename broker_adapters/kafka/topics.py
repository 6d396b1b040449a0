"""Making topics: one partition, every record kept, time by the broker's clock."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import errors
from aiokafka.protocol.admin import CreateTopicsRequest

from broker_adapters.kafka.faults import MOVED, REFUSED, KafkaRefused, translate
from broker_adapters.kafka.link import NO_LEADER, Link
from broker_adapters.kafka.settings import MAILBOX, MEBIBYTE, KafkaSettings
from broker_adapters.kafka.state import REMOVED_KEPT_S
from broker_adapters.log import RECORD_BYTES_MAX, LogUnavailable

AT_ONCE = 100
"""Topics in one request: a controller refuses one that makes too many changes."""

TIMEOUT_S = 30.0
RETRY_S = 0.05
REPLICAS, IN_SYNC = 3, 2

BATCH_BYTES_MAX = RECORD_BYTES_MAX + MEBIBYTE // 4
"""The largest record, with its key and headers."""

MAILBOX_KEPT_S = 7 * 24 * 3600
"""What participants' own producers write is taken in at once, so it is kept for a week and not for ever."""

DERIVED = ("alliance.", "audit.", "state.")
"""What processors write in transactions. Whether a transaction outlives a loss of power is decided by Kafka's own
topics, and with a single broker only by its `log.flush.interval.messages`: syncing ours would cost and not help."""

COMPACTED, COMPACTED_SEGMENT_BYTES = "state.", 64 * MEBIBYTE
"""The newest record of a segment still written to is not compacted, so segments are small."""


def replicas_of(settings: KafkaSettings, brokers: int) -> int:
    """Return how many copies of a topic there are to be."""
    return settings.replication_factor or min(REPLICAS, max(1, brokers))


def in_sync_of(replicas: int) -> int:
    """Return how many of them must have a record before it is acknowledged."""
    return IN_SYNC if replicas >= REPLICAS else 1


def configuration(topic: str, replicas: int) -> dict[str, str]:
    """Return a topic's settings."""
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(BATCH_BYTES_MAX),
        "min.insync.replicas": str(in_sync_of(replicas)),
        "unclean.leader.election.enable": "false",
        "retention.ms": str(MAILBOX_KEPT_S * 1000) if topic.startswith(MAILBOX) else "-1",
        "retention.bytes": "-1",
    }
    if topic.startswith(MAILBOX):
        # The broker stores what a foreign producer compressed as it was before, and refuses what is then over the
        # limit: a reader is never handed a megabyte that becomes a thousand.
        settings["compression.type"] = "uncompressed"
    if topic.startswith(COMPACTED):
        settings |= {
            "cleanup.policy": "compact",
            "segment.bytes": str(COMPACTED_SEGMENT_BYTES),
            "delete.retention.ms": str(REMOVED_KEPT_S * 1000),
        }
    if replicas == 1 and not topic.startswith(DERIVED):
        # Without another copy, acknowledged to a publisher has to mean on disk.
        settings["flush.messages"] = "1"
    return settings


async def create(link: Link, settings: KafkaSettings, topics: Sequence[str], partitions: int = 1) -> None:
    """Create those of `topics` that are not there, and return when every broker can serve them."""
    deadline = time.monotonic() + TIMEOUT_S
    for begin in range(0, len(topics), AT_ONCE):
        await _create_some(link, settings, topics[begin : begin + AT_ONCE], partitions, deadline)
    await _await_leaders(link, topics, deadline)


async def _create_some(
    link: Link, settings: KafkaSettings, topics: Sequence[str], partitions: int, deadline: float
) -> None:
    missing = list(topics)
    while missing:
        try:
            missing = await _try_to_create(link, settings, missing, partitions)
        except (errors.KafkaError, OSError, TimeoutError, LogUnavailable) as error:
            if isinstance(error, REFUSED) or time.monotonic() > deadline:
                raise translate(error, "creating topics") from error
        if missing:
            if time.monotonic() > deadline:
                raise LogUnavailable(f"Kafka did not create {', '.join(missing[:3])} within {TIMEOUT_S:g} s.")
            await asyncio.sleep(RETRY_S)


async def _try_to_create(link: Link, settings: KafkaSettings, topics: Sequence[str], partitions: int) -> list[str]:
    """Ask for `topics`; return those to ask for again."""
    await link.refresh()
    replicas = replicas_of(settings, len(link.nodes))
    wanted: list[tuple[Any, ...]] = [
        (link.name(topic), partitions, replicas, [], list(configuration(topic, replicas).items())) for topic in topics
    ]
    async with asyncio.timeout(TIMEOUT_S):
        answer = await link.ask(
            link.any_node(), CreateTopicsRequest(wanted, int(TIMEOUT_S * 1000), validate_only=False)
        )
    again = []
    for name, code, message in answer.topic_errors:
        error = errors.for_code(code)
        if error in {errors.NoError, errors.TopicAlreadyExistsError}:
            continue
        if error is errors.InvalidReplicationFactorError or issubclass(error, MOVED) or error.retriable:
            # Brokers that are just starting count as missing.
            again.append(link.topic(name))
            continue
        raise KafkaRefused(f"Kafka refuses to create the topic {name}: {error.__name__} ({message}).")
    return again


async def _await_leaders(link: Link, topics: Iterable[str], deadline: float) -> None:
    """Wait until every broker tells of a leader of every topic, and our own knowledge does."""
    wanted = list(topics)
    while True:
        try:
            if all([await _all_led(link, wanted, node) for node in link.nodes]):
                await link.refresh()
                await link.offsets(dict.fromkeys(wanted, -1))
                return
        except (errors.KafkaError, OSError, TimeoutError, LogUnavailable) as error:
            if time.monotonic() > deadline:
                raise translate(error, "creating topics") from error
        if time.monotonic() > deadline:
            raise LogUnavailable(f"Kafka did not make new topics ready within {TIMEOUT_S:g} s.")
        await asyncio.sleep(RETRY_S)


async def _all_led(link: Link, topics: Sequence[str], node: int) -> bool:
    answer: Any = await link.describe(topics, node)
    return all(
        code == 0 and partitions and all(leader != NO_LEADER for _, _, leader, *_ in partitions)
        for code, _, _, partitions in answer.topics
    )
