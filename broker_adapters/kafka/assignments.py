"""Who of several processes runs which shard of a work, by Kafka's own group protocol.

The partitions of a small topic without records stand for the shards. Nothing depends on two members never
holding the same one: a processor fences its predecessor.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Protocol

from aiokafka import AIOKafkaConsumer, errors
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from broker_adapters.kafka.faults import REFUSED, translate
from broker_adapters.kafka.patience import close_client, make_patient
from broker_adapters.kafka.settings import KafkaSettings

TOPIC = "state.assignments"
FORWARDERS, INTAKE = "forwarders", "intake"
"""The groups: who forwards, and who takes in from mailboxes."""

LOOK_S = 0.2
RETRY_S = 1.0
SESSION_S = 6.0
"""A process that was killed loses its shards after this."""


class Shards(Protocol):
    """What is needed of the log."""

    async def make_shards(self, topic: str, count: int) -> None:
        """Make the topic whose partitions stand for the shards."""


async def assigned(
    log: Shards, settings: KafkaSettings, count: int, group: str = FORWARDERS
) -> AsyncIterator[frozenset[int]]:
    """Yield this member's shards, of `count`, at first and at each change. group: who shares them."""
    topic = TOPIC if group == FORWARDERS else f"{TOPIC}-{group}"
    await log.make_shards(topic, count)
    told: frozenset[int] | None = None
    while True:
        consumer = AIOKafkaConsumer(
            settings.prefix + topic,
            **settings.client_arguments("assignments"),
            group_id=settings.prefix + group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=int(SESSION_S * 1000),
            heartbeat_interval_ms=int(SESSION_S * 1000 / 6),
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )
        make_patient(consumer._client, logins_may_end=settings.logins_may_end)  # noqa: SLF001
        # `stop` leaves the group, then closes the client.
        consumer._client.close = partial(close_client, consumer._client)  # noqa: SLF001
        try:
            await consumer.start()
            while True:
                await consumer.getmany(timeout_ms=int(LOOK_S * 1000))
                now = frozenset(one.partition for one in consumer.assignment())
                if now != told:
                    told = now
                    yield now
        except (errors.KafkaError, OSError, TimeoutError) as error:
            if isinstance(error, REFUSED):
                raise translate(error, "sharing the work") from error
        finally:
            await consumer.stop()
        await asyncio.sleep(RETRY_S)
