"""What else the port says: topics, ends, times, and waiting for what comes."""

import asyncio
import time

from broker_adapters.log import Log
from tests.contract.stores import PATIENCE_S, Store, new, read_all, read_values, values

LATE_S = 1.0
"""A wake-up later than this is a reader that sleeps; both adapters take some milliseconds."""


async def append_later(log: Log, topic: str) -> float:
    """Append after a while; return when it was answered."""
    await asyncio.sleep(0.1)
    await log.append(topic, new(b"late"))
    return time.monotonic()


async def test_a_poll_wakes_when_something_comes(store: Store) -> None:
    """A poll that waits returns soon after an append."""
    log = await store.open("t", "other")
    async with log.reader({"other": await log.end("other"), "t": await log.end("t")}) as reader:
        await reader.poll(timeout_s=0.05)
        appended = asyncio.create_task(append_later(log, "t"))
        records = await reader.poll(timeout_s=PATIENCE_S)
        assert time.monotonic() - await appended < LATE_S
        assert values(records) == [b"late"]


async def test_a_poll_wakes_when_a_processor_commits(store: Store) -> None:
    """A poll that waits returns soon after a commit."""
    log = await store.open("t")
    async with log.processor("p") as processor, log.reader({"t": await log.end("t")}) as reader:
        waiting = asyncio.create_task(reader.poll(timeout_s=PATIENCE_S))
        await asyncio.sleep(0.05)
        await processor.commit(outputs=[("t", new(b"late")[0])], visible=True)
        assert values(await asyncio.wait_for(waiting, LATE_S)) == [b"late"]


async def test_a_poll_gives_up_when_nothing_comes(store: Store) -> None:
    """A poll returns empty-handed after its timeout, though another topic has grown."""
    log = await store.open("t", "other")
    async with log.reader({"t": await log.end("t")}) as reader:
        began = time.monotonic()
        appended = asyncio.create_task(append_later(log, "other"))
        assert await reader.poll(timeout_s=0.3) == []
        assert 0.25 < time.monotonic() - began < 0.3 + LATE_S
        await appended


async def test_a_poll_without_timeout_does_not_wait(store: Store) -> None:
    """A poll that may not wait returns at once."""
    log = await store.open("t")
    async with log.reader({"t": await log.end("t")}) as reader:
        await reader.poll(timeout_s=0.05)
        began = time.monotonic()
        assert await reader.poll() == []
        assert time.monotonic() - began < LATE_S


async def test_many_readers_wake_together(store: Store) -> None:
    """All who wait for a topic get what comes."""
    log = await store.open("t")
    readers = [log.reader({"t": await log.end("t")}) for _ in range(5)]
    polls = [asyncio.create_task(reader.poll(timeout_s=PATIENCE_S)) for reader in readers]
    await append_later(log, "t")
    assert [values(records) for records in await asyncio.gather(*polls)] == [[b"late"]] * 5
    for reader in readers:
        await reader.close()


async def test_topics_are_listed_sorted(store: Store) -> None:
    """All topics are listed, sorted; the adapters' own are not."""
    log = await store.open("pub.0671.visit", "control.agreements", "state.p", "alliance.a.visit")
    assert await log.topics() == ["alliance.a.visit", "control.agreements", "pub.0671.visit"]


async def test_creating_a_topic_again_changes_nothing(store: Store) -> None:
    """Creating what is there is fine, also from many callers at once."""
    log = await store.open("t")
    await log.append("t", new(b"1"))
    await asyncio.gather(*(log.create_topics(["t", "u"]) for _ in range(5)))
    assert await log.topics() == ["t", "u"]
    assert await read_values(log, "t") == [b"1"]
    await log.append("u", new(b"2"))
    assert await read_values(log, "u") == [b"2"]


async def test_ends_are_asked_for_at_once(store: Store) -> None:
    """`ends` gives for each topic what `end` gives, and an append moves only its own."""
    log = await store.open("a", "b")
    before = await log.ends(["a", "b"])
    assert before == {"a": await log.end("a"), "b": await log.end("b")}
    offsets = await log.append("a", new(b"1", b"2"))
    after = await log.ends(["a", "b"])
    assert after["a"] > offsets[-1]
    assert after["b"] == before["b"]


async def test_an_empty_topic_ends_where_it_begins(store: Store) -> None:
    """Where nothing was appended first and end are the same place, and reading there gives nothing."""
    log = await store.open("t")
    assert await log.first("t") == await log.end("t")
    assert await read_all(log, "t") == []


async def test_a_time_gives_the_first_offset_at_or_after_it(store: Store) -> None:
    """A record's own time finds it or one of the same instant, a later time what came later, the future the end."""
    log = await store.open("t")
    for number in range(4):
        await log.append("t", new(b"%d" % number, b"%d" % number))
        await asyncio.sleep(0.003)
    records = await read_all(log, "t")
    for record in records:
        at = record.recorded_at_ms
        for asked in (at - 1, at, at + 1):
            expected = [other.offset for other in records if other.recorded_at_ms >= asked]
            found = await log.offset_at("t", asked)
            assert found == expected[0] if expected else found >= records[-1].offset + 1
    assert await log.offset_at("t", 0) == records[0].offset
    assert await log.offset_at("t", records[-1].recorded_at_ms + 1_000_000) == await log.end("t")


async def test_an_empty_topic_has_no_time(store: Store) -> None:
    """Where nothing was appended every time gives the end."""
    log = await store.open("t")
    assert await log.offset_at("t", 0) == await log.end("t")


async def test_settling_waits_for_what_is_under_way(store: Store) -> None:
    """What was being appended when `settle` was called is visible when it returns, or never will be."""
    log = await store.open("t")
    appends = [asyncio.create_task(log.append("t", new(b"%d" % number))) for number in range(50)]
    async with log.processor("p") as processor:
        committing = asyncio.create_task(processor.commit(outputs=[("t", new(b"output")[0])], visible=True))
        await asyncio.sleep(0)
        await log.settle(["t"])
        settled = await read_values(log, "t")
        await asyncio.gather(committing, *appends)
    assert sorted(settled) == sorted(await read_values(log, "t"))
