"""Promise 7: a reader holds no more than was asked for."""

import pytest

from tests.contract.stores import Store, new


@pytest.mark.parametrize("records_max", [1, 10, 100])
async def test_a_poll_gives_no_more_records_than_asked(store: Store, records_max: int) -> None:
    """However many lie ahead, in however many topics, a poll gives at most that many."""
    log = await store.open("a", "b")
    for topic in ("a", "b"):
        await log.append(topic, new(*[b"x"] * 150))
    async with log.reader({"a": await log.first("a"), "b": await log.first("b")}) as reader:
        for _ in range(3):
            assert 1 <= len(await reader.poll(records_max=records_max, timeout_s=5)) <= records_max


async def test_a_poll_gives_no_more_bytes_than_asked(store: Store) -> None:
    """The values of a poll are within the limit in bytes, as long as there are two."""
    log = await store.open("a", "b")
    for topic in ("a", "b"):
        await log.append(topic, new(*[b"x" * 900] * 50))
    async with log.reader({"a": await log.first("a"), "b": await log.first("b")}) as reader:
        for _ in range(10):
            records = await reader.poll(bytes_max=4000, timeout_s=5)
            assert 1 <= sum(len(record.value) for record in records) <= 4000


async def test_a_record_larger_than_asked_comes_alone(store: Store) -> None:
    """A limit in bytes below the next record gives that one record, and never nothing."""
    log = await store.open("t")
    await log.append("t", new(*[b"x" * 1000] * 5))
    async with log.reader({"t": await log.first("t")}) as reader:
        for _ in range(5):
            assert len(await reader.poll(bytes_max=10, timeout_s=5)) == 1
