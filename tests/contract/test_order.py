"""Promise 2: a topic is one total order; offsets grow and are never reused."""

import asyncio
from itertools import pairwise

from tests.contract.stores import Store, new, read_all, read_values


async def test_concurrent_appends_make_one_order(store: Store) -> None:
    """However many append at once, each record stands once, at the offset answered to its own caller."""
    log = await store.open("t")
    answered: dict[int, bytes] = {}

    async def caller(name: int) -> None:
        for number in range(10):
            value = b"%d/%d" % (name, number)
            answered[(await log.append("t", new(value)))[0]] = value

    await asyncio.gather(*(caller(name) for name in range(32)))
    records = await read_all(log, "t")
    assert [(record.offset, record.value) for record in records] == sorted(answered.items())
    assert len(records) == 320


async def test_a_caller_who_waits_keeps_its_order(store: Store) -> None:
    """What is appended after an answer stands after what was answered, though others append meanwhile."""
    log = await store.open("t")
    answered: list[list[int]] = [[] for _ in range(16)]

    async def caller(offsets: list[int]) -> None:
        for _ in range(20):
            offsets += await log.append("t", new(b"x", b"y"))

    await asyncio.gather(*map(caller, answered))
    assert all(before < after for offsets in answered for before, after in pairwise(offsets))


async def test_a_batch_keeps_its_order(store: Store) -> None:
    """The records of one call stand in their order, whoever appends beside them."""
    log = await store.open("t")
    batches = [[b"%d/%03d" % (batch, number) for number in range(50)] for batch in range(8)]
    offsets = await asyncio.gather(*(log.append("t", new(*batch)) for batch in batches))
    assert all(before < after for answer in offsets for before, after in pairwise(answer))
    stored = await read_values(log, "t")
    assert sorted(stored) == sorted(value for batch in batches for value in batch)
    for batch in batches:
        assert [value for value in stored if value in set(batch)] == batch


async def test_offsets_are_not_reused_after_closing(store: Store) -> None:
    """Offsets go on growing when the log is opened again."""
    log = await store.open("t")
    before = await log.append("t", new(b"1", b"2", b"3"))
    log = await store.reopened(log)
    assert min(await log.append("t", new(b"4", b"5"))) > max(before)


async def test_offsets_are_not_reused_after_a_crash(store: Store) -> None:
    """Offsets go on growing after a crash."""
    log = await store.open("t")
    before = await log.append("t", new(b"1", b"2", b"3"))
    survivor = await store.after_crash(log)
    assert min(await survivor.append("t", new(b"4"))) > max(before)


async def test_all_readers_see_one_order(store: Store) -> None:
    """Two readers, and one who reads later, see the same records at the same offsets."""
    log = await store.open("t")
    await asyncio.gather(*(log.append("t", new(b"%d" % number)) for number in range(100)))
    first, second = await read_all(log, "t"), await read_all(log, "t")
    assert first == second == await read_all(await store.reopened(log), "t")


async def test_topics_do_not_mix(store: Store) -> None:
    """What is appended to one topic is in no other, however their appends overlap."""
    topics = [f"pub.t{number}" for number in range(8)]
    log = await store.open(*topics)
    await asyncio.gather(*(log.append(topic, new(topic.encode(), b"%d" % n)) for n in range(20) for topic in topics))
    for topic in topics:
        stored = await read_values(log, topic)
        assert stored[::2] == [topic.encode()] * 20
        assert sorted(stored[1::2]) == sorted(b"%d" % n for n in range(20))


async def test_time_never_goes_back(store: Store) -> None:
    """Each record is recorded at or after the one before."""
    log = await store.open("t")
    for number in range(5):
        await log.append("t", new(b"%d" % number))
    times = [record.recorded_at_ms for record in await read_all(log, "t")]
    assert times == sorted(times)
