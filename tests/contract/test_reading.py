"""Promise 3: reading gives the bytes appended, has no side effect, and never skips in silence."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_adapters.log import RECORD_BYTES_MAX, NewRecord, OffsetOutOfRange
from tests.contract.stores import PATIENCE_S, Store, new, read_all, read_to, read_values, values

BYTES = [b"", bytes(range(256)), b'{"a": 1}\n', b" padded ", b"\0" * 10, "æøå".encode("latin-1"), b"\xff\xfe"]


async def test_bytes_come_back_as_they_were(store: Store) -> None:
    """Nothing is trimmed, decoded or normalised."""
    log = await store.open("t")
    await log.append("t", new(*BYTES))
    assert await read_values(log, "t") == BYTES


async def test_bytes_come_back_as_they_were_after_opening_again(store: Store) -> None:
    """Nor are they changed by closing and opening."""
    log = await store.open("t")
    await log.append("t", new(*BYTES))
    assert await read_values(await store.reopened(log), "t") == BYTES


RECORDS = st.lists(st.builds(NewRecord, st.binary(max_size=5000), st.none() | st.binary(max_size=50)), max_size=30)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.lists(RECORDS, min_size=1, max_size=4))
async def test_any_bytes_come_back(store: Store, batches: list[list[NewRecord]]) -> None:
    """Whatever keys and values are appended, they are read at the offsets answered."""
    log = await store.open("t")
    expected = []
    for batch in batches:
        offsets = await log.append("t", batch)
        expected += [(offset, record.key, record.value) for offset, record in zip(offsets, batch, strict=True)]
    if expected:
        async with log.reader({"t": expected[0][0]}) as reader:
            records = await read_to(reader, "t", await log.end("t"))
        assert [(record.offset, record.key, record.value) for record in records] == expected
    await log.close()


async def test_the_largest_record_comes_back(store: Store) -> None:
    """A record of the largest size allowed is stored and read whole."""
    log = await store.open("t")
    largest = bytes(range(256)) * (RECORD_BYTES_MAX // 256)
    await log.append("t", new(largest, b"after"))
    assert await read_values(log, "t") == [largest, b"after"]


async def test_reading_has_no_side_effect(store: Store) -> None:
    """Who reads takes nothing away: another reader gets the same, from the same place, at any time."""
    log = await store.open("t")
    await log.append("t", new(b"1", b"2", b"3"))
    before = await log.first("t"), await log.end("t")
    assert await read_values(log, "t") == await read_values(log, "t") == [b"1", b"2", b"3"]
    assert (await log.first("t"), await log.end("t")) == before
    assert await read_values(await store.reopened(log), "t") == [b"1", b"2", b"3"]


async def test_reading_begins_where_it_is_told(store: Store) -> None:
    """From each record's offset a reader gets that record and all after it."""
    log = await store.open("t")
    offsets = await log.append("t", new(*[b"%d" % number for number in range(10)]))
    for number, offset in enumerate(offsets):
        async with log.reader({"t": offset}) as reader:
            records = await read_to(reader, "t", await log.end("t"))
        assert values(records) == [b"%d" % n for n in range(number, 10)]


async def test_beyond_the_end_is_an_error(store: Store) -> None:
    """A place after the end is named as such, with what the topic does hold."""
    log = await store.open("t")
    await log.append("t", new(b"1"))
    end = await log.end("t")
    async with log.reader({"t": end + 5}) as reader:
        with pytest.raises(OffsetOutOfRange) as raised:
            await reader.poll(timeout_s=PATIENCE_S)
    error = raised.value
    assert (error.topic, error.offset, error.first, error.end) == ("t", end + 5, await log.first("t"), end)


@pytest.mark.parametrize("offset", [-1, -2, -1000])
async def test_below_the_first_is_an_error(store: Store, offset: int) -> None:
    """A place before the first record kept is an error, also where a log has uses of its own for such numbers."""
    log = await store.open("t")
    await log.append("t", new(b"1"))
    async with log.reader({"t": offset}) as reader:
        with pytest.raises(OffsetOutOfRange):
            await reader.poll(timeout_s=PATIENCE_S)


async def test_seeking_out_of_range_is_an_error(store: Store) -> None:
    """A reader that has read well is told as well when it is sent too far, and goes on after a better seek."""
    log = await store.open("t")
    await log.append("t", new(b"1", b"2"))
    end = await log.end("t")
    async with log.reader({"t": await log.first("t")}) as reader:
        await read_to(reader, "t", end)
        reader.seek("t", end + 1)
        with pytest.raises(OffsetOutOfRange):
            await reader.poll(timeout_s=PATIENCE_S)
        reader.seek("t", await log.first("t"))
        assert values(await read_to(reader, "t", end)) == [b"1", b"2"]


async def test_at_the_end_nothing_is_read(store: Store) -> None:
    """At the end a poll gives nothing, and that is no error."""
    log = await store.open("t")
    await log.append("t", new(b"1"))
    async with log.reader({"t": await log.end("t")}) as reader:
        assert await reader.poll() == []


@pytest.mark.parametrize("bytes_max", [1, 100, 1000, 5000])
async def test_a_limit_in_bytes_drops_nothing(store: Store, bytes_max: int) -> None:
    """What a limit in bytes left out comes with the next polls, once and in order."""
    log = await store.open("t")
    sent = [bytes([number]) * (number * 37 % 900) for number in range(60)]
    await log.append("t", new(*sent))
    end = await log.end("t")
    read = []
    async with log.reader({"t": await log.first("t")}) as reader:
        while reader.positions()["t"] < end:
            read += await reader.poll(bytes_max=bytes_max, timeout_s=1)
    assert values(read) == sent


@pytest.mark.parametrize("records_max", [1, 3, 7])
async def test_a_limit_in_records_drops_nothing(store: Store, records_max: int) -> None:
    """What a limit in records left out comes with the next polls, also when the topics are several."""
    log = await store.open("a", "b")
    sent = {topic: [b"%s%d" % (topic.encode(), number) for number in range(25)] for topic in ("a", "b")}
    for topic, batch in sent.items():
        await log.append(topic, new(*batch))
    ends = await log.ends(["a", "b"])
    read = []
    async with log.reader({"a": await log.first("a"), "b": await log.first("b")}) as reader:
        while reader.positions() != ends:
            read += await reader.poll(records_max=records_max, timeout_s=1)
    assert {topic: [record.value for record in read if record.topic == topic] for topic in sent} == sent


async def test_a_reader_can_go_back(store: Store) -> None:
    """After a seek a reader gives again what it gave before, and a topic that it did not have."""
    log = await store.open("a", "b")
    offsets = await log.append("a", new(b"1", b"2"))
    await log.append("b", new(b"3"))
    async with log.reader({"a": offsets[0]}) as reader:
        await read_to(reader, "a", await log.end("a"))
        reader.seek("a", offsets[1])
        assert values(await read_to(reader, "a", await log.end("a"))) == [b"2"]
        reader.seek("b", await log.first("b"))
        assert values(await read_to(reader, "b", await log.end("b"))) == [b"3"]


async def test_a_long_topic_does_not_starve_a_short_one(store: Store) -> None:
    """A record in a quiet topic is read before all of a busy one is."""
    log = await store.open("busy", "quiet")
    await log.append("busy", new(*[b"x" * 100] * 2000))
    await log.append("quiet", new(b"here"))
    read = 0
    async with log.reader({"busy": await log.first("busy"), "quiet": await log.first("quiet")}) as reader:
        while read < 2000:
            records = await reader.poll(records_max=100, timeout_s=1)
            if b"here" in values(records):
                break
            read += len(records)
    assert read < 2000


async def test_two_readers_do_not_touch_one_another(store: Store) -> None:
    """Where one reader stands, and what it has seeked or closed, is nothing to another."""
    log = await store.open("t")
    offsets = await log.append("t", new(b"1", b"2"))
    one, other = log.reader({"t": offsets[0]}), log.reader({"t": offsets[0]})
    assert values(await read_to(one, "t", await log.end("t"))) == [b"1", b"2"]
    await one.close()
    assert values(await read_to(other, "t", await log.end("t"))) == [b"1", b"2"]
    await other.close()


async def test_what_was_read_stays_as_it_was(store: Store) -> None:
    """Appending more changes nothing of what was read before."""
    log = await store.open("t")
    await log.append("t", new(*BYTES))
    before = await read_all(log, "t")
    await log.append("t", new(*BYTES))
    assert (await read_all(log, "t"))[: len(before)] == before
