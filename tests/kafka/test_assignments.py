"""Sharing the shards among forwarders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker_adapters.kafka import KafkaLog, KafkaSettings


class Member:
    """A forwarder that only takes note of its shards."""

    def __init__(self) -> None:
        self.shards: frozenset[int] = frozenset()

    async def follow(self, log: KafkaLog, count: int) -> None:
        async for shards in log.assignments(count):
            self.shards = shards


@asynccontextmanager
async def member(log: KafkaLog, count: int = 16) -> AsyncIterator[Member]:
    """A forwarder while the context lasts."""
    made = Member()
    task = asyncio.create_task(made.follow(log, count))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def shared(*members: Member) -> None:
    """Wait until each shard is with exactly one of `members`, and each has some."""

    def is_so() -> bool:
        held = sorted(shard for one in members for shard in one.shards)
        return held == list(range(16)) and all(one.shards for one in members)

    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # who has what is told to each by itself
            await asyncio.sleep(0.05)


async def test_the_only_forwarder_has_all_shards(log: KafkaLog) -> None:
    """Alone, a forwarder runs everything."""
    async with member(log) as only:
        await shared(only)


async def test_shards_are_shared_and_taken_over(log: KafkaLog, settings: KafkaSettings) -> None:
    """A second forwarder gets some of the shards, and the first gets them back when it leaves."""
    other = KafkaLog(settings)
    await other.open()
    async with member(log) as first:
        await shared(first)
        async with member(other) as second:
            await shared(first, second)
        await shared(first)
    await other.close()


async def test_the_topic_behind_it_is_hidden(log: KafkaLog) -> None:
    """What shards are handed out over is no topic of the log."""
    async with member(log) as only:
        await shared(only)
    assert await log.topics() == []
