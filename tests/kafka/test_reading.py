"""Reading from Kafka: what transactions, other producers and many topics make of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.log import LogError, NewRecord, Reader, Record


@asynccontextmanager
async def foreign_producer(settings: KafkaSettings, **arguments: Any) -> AsyncIterator[Any]:
    """A producer as a participant of its own would run it."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", **arguments)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def read_to_end(log: KafkaLog, reader: Reader, topic: str) -> list[Record]:
    end = await log.end(topic)
    records: list[Record] = []
    while reader.positions()[topic] < end:
        records += await reader.poll(timeout_s=0.5)
    return records


async def test_what_was_rolled_back_is_never_read(log: KafkaLog, settings: KafkaSettings) -> None:
    """Of several transactions, some rolled back, a reader gets what was committed, and comes to the end."""
    await log.create_topics(["t"])
    async with foreign_producer(settings, transactional_id=settings.prefix + "x") as producer:
        for number in range(6):
            await producer.begin_transaction()
            await producer.send_and_wait(settings.prefix + "t", b"%d" % number)
            await (producer.commit_transaction() if number % 2 else producer.abort_transaction())
    await log.settle(["t"])
    async with log.reader({"t": 0}) as reader:
        assert [record.value for record in await read_to_end(log, reader, "t")] == [b"1", b"3", b"5"]
        assert reader.positions() == {"t": await log.end("t")} == {"t": 12}


async def test_an_open_transaction_hides_what_comes_after_it(log: KafkaLog, settings: KafkaSettings) -> None:
    """The end is where everything before is decided; settling waits for that."""
    await log.create_topics(["t"])
    await log.append("t", [NewRecord(b"before")])
    async with foreign_producer(settings, transactional_id=settings.prefix + "x") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(settings.prefix + "t", b"inside")
        await log.append("t", [NewRecord(b"after")])
        assert await log.end("t") == 1
        settled = asyncio.create_task(log.settle(["t"]))
        await asyncio.sleep(0.2)
        assert not settled.done()
        await producer.commit_transaction()
        await settled
    async with log.reader({"t": 0}) as reader:
        values = [record.value for record in await read_to_end(log, reader, "t")]
    assert values == [b"before", b"inside", b"after"]


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd", "snappy"])
async def test_compressed_batches_of_others_are_read(log: KafkaLog, settings: KafkaSettings, compression: str) -> None:
    """A participant's own producer may compress as it likes."""
    await log.create_topics(["in.struer"])
    async with foreign_producer(settings, compression_type=compression, linger_ms=20) as producer:
        sent = [await producer.send(settings.prefix + "in.struer", b"%d" % number) for number in range(50)]
        await asyncio.gather(*sent)
    async with log.reader({"in.struer": 10}) as reader:
        values = [record.value for record in await read_to_end(log, reader, "in.struer")]
    assert values == [b"%d" % number for number in range(10, 50)]


async def test_a_reader_over_500_topics(log: KafkaLog) -> None:
    """One reader follows as many topics as 98 municipalities have, and gets all of each in order."""
    topics = [f"alliance.{number}.visit" for number in range(500)]
    await log.create_topics(topics)
    for begin in range(0, len(topics), 50):
        await asyncio.gather(
            *(log.append(topic, [NewRecord(b"%d" % n) for n in range(3)]) for topic in topics[begin : begin + 50])
        )
    seen: dict[str, list[bytes]] = {topic: [] for topic in topics}
    async with log.reader(dict.fromkeys(topics, 0)) as reader:
        while any(position < 3 for position in reader.positions().values()):
            for record in await reader.poll(timeout_s=1):
                seen[record.topic].append(record.value)
    assert set(map(tuple, seen.values())) == {(b"0", b"1", b"2")}


async def test_a_poll_without_time_still_finds_what_is_there(log: KafkaLog) -> None:
    """What was acknowledged is found by a poll that does not wait."""
    await log.create_topics(["t"])
    async with log.reader({"t": 0}) as reader:
        for number in range(20):
            await log.append("t", [NewRecord(b"%d" % number)])
            assert [record.value for record in await reader.poll()] == [b"%d" % number]
        assert await reader.poll() == []


async def test_a_waiting_reader_is_told_within_milliseconds(log: KafkaLog) -> None:
    """A poll that waits returns when a record comes, not when its time is up."""
    await log.create_topics(["t"])
    async with log.reader({"t": 0}) as reader:
        await reader.poll()
        waiting = asyncio.create_task(reader.poll(timeout_s=30))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await log.append("t", [NewRecord(b"1")])
        assert len(await waiting) == 1
    assert time.monotonic() - began < 1


async def test_the_time_is_when_the_broker_took_it(log: KafkaLog) -> None:
    """A record's time lies between the call of append and its answer, and is found again by it."""
    await log.create_topics(["t"])
    for _ in range(3):
        before = time.time_ns() // 1_000_000
        [offset] = await log.append("t", [NewRecord(b"x")])
        after = time.time_ns() // 1_000_000
        async with log.reader({"t": offset}) as reader:
            [record] = await reader.poll(timeout_s=1)
        assert before <= record.recorded_at_ms <= after
        assert await log.offset_at("t", record.recorded_at_ms) <= offset
        assert await log.offset_at("t", after + 1) == offset + 1
        await asyncio.sleep(0.01)


async def test_readers_hold_no_connection_once_closed(log: KafkaLog) -> None:
    """A hundred readers one after another share one connection."""
    await log.create_topics(["t"])
    for _ in range(100):
        async with log.reader({"t": 0}) as reader:
            await reader.poll()
    assert len(log._links._spare) == 1


async def test_closing_wakes_who_is_still_connecting(settings: KafkaSettings) -> None:
    """At whichever step of it: nobody waits for an answer that a closed client will not get, or keeps a connection."""
    for step in range(30):
        log = KafkaLog(settings)
        await log.open()
        await log.create_topics(["t"])
        waiting = asyncio.create_task(log.reader({"t": 0}).poll(timeout_s=60))
        await asyncio.sleep(step * 0.002)
        await log.close()
        async with asyncio.timeout(5):
            answer = (await asyncio.gather(waiting, return_exceptions=True))[0]
        assert answer == [] or isinstance(answer, LogError), step
