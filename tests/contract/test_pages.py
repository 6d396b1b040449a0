"""Promise 3 again, for pages: the same records as `poll` gives, in columns."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_adapters.log import PAGE_RECORDS, RECORD_BYTES_MAX, Log, NewRecord, OffsetOutOfRange, Page, Reader, Record
from tests.contract.stores import PATIENCE_S, Store, new, read_all

Row = tuple[str, int, int, bytes]
VALUES = st.one_of(st.binary(max_size=300), st.integers(3_000, 9_000).map(bytes))
BATCHES = st.lists(st.lists(VALUES, min_size=1, max_size=40), min_size=1, max_size=4)


def rows(page: Page) -> list[Row]:
    topics = [page.topic] * len(page.offsets)
    return list(zip(topics, page.offsets, page.times_ms, page.values, strict=True))


def as_rows(records: list[Record]) -> list[Row]:
    return [(record.topic, record.offset, record.recorded_at_ms, record.value) for record in records]


async def pages_to(reader: Reader, topic: str, end: int, **limits: int) -> list[list[Row]]:
    """Return the pages that a reader gives until it stands at `end` of `topic`."""
    found = []
    async with asyncio.timeout(PATIENCE_S):
        while reader.positions()[topic] < end:
            page = await reader.poll_page(timeout_s=0.2, **limits)
            found += [rows(page)] if page else []
    return found


async def read_pages(log: Log, topic: str, **limits: int) -> list[Row]:
    async with log.reader({topic: await log.first(topic)}) as reader:
        return [row for page in await pages_to(reader, topic, await log.end(topic), **limits) for row in page]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=BATCHES, bytes_max=st.integers(0, 50_000))
async def test_pages_hold_what_polls_hold(store: Store, batches: list[list[bytes]], bytes_max: int) -> None:
    """Whatever was appended, and however little is asked for at once."""
    log = await store.open("t")
    for batch in batches:
        await log.append("t", new(*batch))
    assert await read_pages(log, "t", bytes_max=bytes_max) == as_rows(await read_all(log, "t"))
    await log.close()


async def test_records_without_key_and_with_headers(store: Store) -> None:
    """What a page leaves out does not get in its way."""
    log = await store.open("t")
    headers = (("ce_id", b"x" * 200), ("empty", b""))
    await log.append(
        "t", [NewRecord(b"1", None, headers), NewRecord(b"", b"", ()), NewRecord(b"3", b"k" * 99, headers)]
    )
    await log.append("t", [NewRecord(b"%d" % number, b"k" * 9_000) for number in range(300)])
    assert await read_pages(log, "t") == as_rows(await read_all(log, "t"))


async def test_large_values_among_small_ones(store: Store) -> None:
    """The largest is given whole, and its neighbours too."""
    log = await store.open("t")
    largest = bytes(range(256)) * (RECORD_BYTES_MAX // 256)
    for batch in ([b"small"] * 3, [largest], [b"x" * 5_000] * 3, [b""], [largest], [b"after"]):
        await log.append("t", new(*batch))
    assert await read_pages(log, "t") == as_rows(await read_all(log, "t"))


async def test_a_page_is_no_larger_than_asked(store: Store) -> None:
    """And has one record at least. The log on Kafka may give what one batch holds."""
    log = await store.open("t")
    for _ in range(3):
        await log.append("t", new(*[b"x" * 100] * 1_000))
    async with log.reader({"t": 0}) as reader:
        pages = await pages_to(reader, "t", await log.end("t"), bytes_max=10_000)
    assert sum(map(len, pages)) == 3_000
    assert max(map(len, pages)) <= PAGE_RECORDS
    assert len(pages) >= 3


async def test_polls_and_pages_take_turns(store: Store) -> None:
    """Each record is given once, whichever way it is asked for."""
    log = await store.open("t")
    for begin in range(0, 400, 100):
        await log.append("t", new(*[b"%d" % number for number in range(begin, begin + 100)]))
    found: list[Row] = []
    async with log.reader({"t": 0}) as reader, asyncio.timeout(PATIENCE_S):
        while reader.positions()["t"] < await log.end("t"):
            found += as_rows(await reader.poll(records_max=7, timeout_s=0.2))
            page = await reader.poll_page(bytes_max=300, timeout_s=0.2)
            found += rows(page) if page else []
    assert found == as_rows(await read_all(log, "t"))


async def test_pages_of_several_topics(store: Store) -> None:
    """A page is of one topic, and none is passed over."""
    log = await store.open("a", "b")
    for number in range(5):
        await log.append("a" if number % 2 else "b", new(b"%d" % number))
    found = []
    async with log.reader({"a": 0, "b": 0}) as reader, asyncio.timeout(PATIENCE_S):
        while len(found) < 5:
            page = await reader.poll_page(timeout_s=0.2)
            found += rows(page) if page else []
    assert sorted(found) == sorted(as_rows(await read_all(log, "a") + await read_all(log, "b")))


async def test_nothing_there_is_no_page(store: Store) -> None:
    """At once when there is no time to wait, and with a page as soon as something comes."""
    log = await store.open("t")
    async with log.reader({"t": 0}) as reader:
        assert await reader.poll_page() is None
        waiting = asyncio.create_task(reader.poll_page(timeout_s=PATIENCE_S))
        await asyncio.sleep(0.05)
        await log.append("t", new(b"1"))
        page = await waiting
        assert page is not None
        assert page.values == [b"1"]


async def test_outside_of_the_topic_is_an_error(store: Store) -> None:
    """As for `poll`."""
    log = await store.open("t")
    await log.append("t", new(b"1"))
    async with log.reader({"t": 7}) as reader:
        with pytest.raises(OffsetOutOfRange):
            await reader.poll_page(timeout_s=1)
