"""Following topics that come and go on being written."""

import asyncio

import pytest

from broker_adapters.log import NewRecord, Record
from exchange_gateway.workers.loop import Follower, TopicList
from tests.contract.stores import Store, new, values

LIST_EVERY_S = 0.1


def is_pub(topic: str) -> bool:
    return topic.startswith("pub.")


async def test_only_what_is_wanted_is_followed(store: Store) -> None:
    """Topics that are not wanted are not read, and each of the others is read in order."""
    log = await store.open("pub.a", "pub.b", "alliance.a")
    for topic in ("pub.a", "pub.b", "alliance.a"):
        await log.append(topic, new(b"1", b"2"))
    async with Follower(log, is_pub, {}) as follower:
        records: list[Record] = []
        while len(records) < 4:
            records += await follower.batch()
        assert {record.topic: None for record in records}.keys() == {"pub.a", "pub.b"}
        assert values([record for record in records if record.topic == "pub.a"]) == [b"1", b"2"]
        assert follower.positions() == {"pub.a": 2, "pub.b": 2}


async def test_following_goes_on_where_it_was_left(store: Store) -> None:
    """A topic with a position is read from there, one without from its first record."""
    log = await store.open("pub.a", "pub.b")
    for topic in ("pub.a", "pub.b"):
        await log.append(topic, new(b"1", b"2"))
    async with Follower(log, is_pub, {"pub.a": 1, "pub.gone": 7}) as follower:
        records: list[Record] = []
        while len(records) < 3:
            records += await follower.batch()
    assert sorted((record.topic, record.offset) for record in records) == [("pub.a", 1), ("pub.b", 0), ("pub.b", 1)]


async def test_a_new_topic_is_found_without_a_restart(store: Store) -> None:
    """Also while there is no topic at all, and while the others are written to."""
    log = await store.open()
    async with Follower(log, is_pub, {}, TopicList(log, LIST_EVERY_S)) as follower:
        assert await follower.batch() == []
        for name in ("pub.a", "pub.b"):
            await log.create_topics([name])
            await log.append(name, [NewRecord(b"first")])
            async with asyncio.timeout(10):
                while not (records := await follower.batch()):
                    pass
            assert [(record.topic, record.value) for record in records] == [(name, b"first")]


async def test_a_batch_that_does_not_wait_returns_at_once(store: Store) -> None:
    """Who has something else to do asks for what is there now."""
    log = await store.open("pub.a")
    async with Follower(log, is_pub, {}, TopicList(log, 60)) as follower:
        async with asyncio.timeout(5):
            assert await follower.batch(wait=False) == []
        await log.append("pub.a", new(b"1"))
        async with asyncio.timeout(5):
            while not (records := await follower.batch(wait=False)):  # noqa: ASYNC110  # that is what is tested
                await asyncio.sleep(0.01)
    assert values(records) == [b"1"]


async def test_topics_are_listed_once_for_all_who_ask(store: Store) -> None:
    """However many followers ask, the log is asked when a listing is due."""
    log = await store.open("pub.a")
    topics = TopicList(log, 60)
    first, second = await asyncio.gather(topics.get(), topics.get())
    assert first is second
    await log.create_topics(["pub.b"])
    assert await topics.get() is first


@pytest.mark.parametrize("records_max", [1, 3])
async def test_a_batch_is_bounded(store: Store, records_max: int) -> None:
    """No more comes than was asked for."""
    log = await store.open("pub.a")
    await log.append("pub.a", new(*(bytes([number]) for number in range(10))))
    async with Follower(log, is_pub, {}) as follower:
        seen = 0
        while seen < 10:
            records = await follower.batch(records_max=records_max)
            assert len(records) <= records_max
            seen += len(records)
