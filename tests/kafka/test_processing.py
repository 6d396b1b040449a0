"""Exactly-once on Kafka: the local copy of the state, the fence, and what a crash leaves."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import errors

from broker_adapters import local_kafka
from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.kafka import state as state_module
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.log import Fenced, LogClosed, LogError, LogUnavailable, NewRecord, Record, UnknownTopic


def copy_of(settings: KafkaSettings, name: str = "p") -> Path:
    return next(settings.state_folder.rglob(f"*{name}.sqlite3"))


async def fill(log: KafkaLog) -> None:
    """Leave some state and a position, one key changed and one removed."""
    async with log.processor("p") as processor:
        await processor.commit(state={"kept": b"1", "changed": b"1", "removed": b"1"}, positions={"in": 1})
        await processor.commit(state={"changed": b"2", "removed": None, "empty": b""}, positions={"in": 7})


async def assert_filled(log: KafkaLog) -> None:
    async with log.processor("p") as processor:
        found = await processor.load(["kept", "changed", "removed", "empty", "never"])
        assert found == {"kept": b"1", "changed": b"2", "empty": b""}
        assert processor.positions() == {"in": 7}


async def test_state_is_found_again(log: KafkaLog) -> None:
    """State and positions are there for the next processor of the name."""
    await fill(log)
    await assert_filled(log)


async def test_another_machine_finds_the_state(log: KafkaLog, settings: KafkaSettings, tmp_path: Path) -> None:
    """State needs nothing that is not in Kafka."""
    await fill(log)
    other = KafkaLog(replace(settings, state_folder=tmp_path / "elsewhere"))
    await other.open()
    await assert_filled(other)
    await other.close()


@pytest.mark.parametrize("damage", ["lost", "not a database", "cut off", "another layout", "of another topic", "old"])
async def test_a_copy_that_cannot_be_trusted_is_filled_anew(
    log: KafkaLog, settings: KafkaSettings, damage: str
) -> None:
    """Whatever happened to the local copy, the state is that of the topic."""
    await fill(log)
    path = copy_of(settings)
    if damage == "lost":
        path.unlink()
    elif damage == "not a database":
        path.write_bytes(b"x" * 5000)
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        statement = {
            "another layout": "PRAGMA user_version = 77",
            "of another topic": "UPDATE filled SET origin = 'another'",
            "old": "UPDATE filled SET at = 1",
        }[damage]
        connection = sqlite3.connect(path)
        connection.execute("UPDATE entry SET value = x'00' WHERE key = 'state/kept'")
        connection.execute(statement)
        connection.commit()
        connection.close()
    await assert_filled(log)


async def test_a_copy_that_lags_is_caught_up(log: KafkaLog, settings: KafkaSettings) -> None:
    """A crash between Kafka's commit and the copy's update is mended at the next start."""
    async with log.processor("p") as processor:
        await processor.commit(state={"kept": b"0", "removed": b"1"}, positions={"in": 1})
    before = copy_of(settings).read_bytes()
    await fill(log)
    for file in settings.state_folder.rglob("*p.sqlite3*"):
        file.unlink()
    (settings.state_folder / "p.sqlite3").write_bytes(before)
    await assert_filled(log)


async def test_a_copy_of_a_topic_that_was_made_anew_is_dropped(log: KafkaLog, settings: KafkaSettings) -> None:
    """When the state topic was deleted and made again, nothing of the old one is left."""
    await fill(log)
    await log.create_topics(["state.another"])
    await log._opened.topic_id("state.p")
    copy = state_module.StateCopy.open(copy_of(settings), await log.prepare_state("state.another"))
    assert copy.positions() == {}
    assert copy.load(["kept"]) == {}
    copy.close()


async def test_a_copy_never_goes_back(tmp_path: Path) -> None:
    """A predecessor that writes late into the same file changes nothing."""
    copy = state_module.StateCopy.open(tmp_path / "p.sqlite3", "origin")
    copy.apply([state_module.Change("state/k", b"new")], 10)
    copy.apply([state_module.Change("state/k", b"old")], 5)
    assert copy.load(["k"]) == {"k": b"new"}
    assert copy.next_offset() == 10
    copy.close()


async def test_a_disk_that_cannot_be_written_is_told(log: KafkaLog, settings: KafkaSettings) -> None:
    """Where the state folder is a file, the error names it."""
    settings.state_folder.write_bytes(b"")
    with pytest.raises(LogError, match=str(settings.state_folder)):
        async with log.processor("p"):
            pass


async def test_the_newest_processor_goes_on_and_the_one_before_is_fenced(log: KafkaLog) -> None:
    """Of two processors of one name the second goes on; nothing more of the first is written."""
    await log.create_topics(["t"])
    async with log.processor("p") as first:
        await first.commit(outputs=[("t", NewRecord(b"first"))], positions={"in": 1})
        async with log.processor("p") as second:
            assert second.positions() == {"in": 1}
            with pytest.raises(Fenced):
                await first.commit(outputs=[("t", NewRecord(b"zombie"))], positions={"in": 2})
            with pytest.raises(Fenced):
                await first.commit(outputs=[("t", NewRecord(b"zombie again"))], positions={"in": 2})
            await second.commit(outputs=[("t", NewRecord(b"second"))], positions={"in": 2}, visible=True)
    async with log.reader({"t": 0}) as reader:
        found: list[Record] = []
        while len(found) < 2:
            found += await reader.poll(timeout_s=1)
    assert [record.value for record in found] == [b"first", b"second"]


async def test_a_commit_larger_than_a_batch_to_many_topics(log: KafkaLog) -> None:
    """A step may be far larger than one Kafka batch, and go to many topics, each in its order."""
    topics = [f"alliance.{number}.visit" for number in range(8)]
    await log.create_topics(topics)
    outputs = [(topic, NewRecord(b"%04d" % n + b"x" * 20_000)) for n in range(60) for topic in topics]
    async with log.processor("p") as processor:
        await processor.commit(outputs=outputs, state={f"k{n}": b"x" * 10_000 for n in range(200)}, visible=True)
        assert len(await processor.load([f"k{n}" for n in range(200)])) == 200
    async with log.reader(dict.fromkeys(topics, 0)) as reader:
        seen: dict[str, list[int]] = {topic: [] for topic in topics}
        while sum(map(len, seen.values())) < len(outputs):
            for record in await reader.poll(timeout_s=2):
                seen[record.topic].append(int(record.value[:4]))
    assert all(numbers == list(range(60)) for numbers in seen.values())


async def test_visible_outputs_can_be_read_when_commit_returns(log: KafkaLog) -> None:
    """What is told to somebody is there for every reader, every time."""
    await log.create_topics(["t"])
    async with log.processor("p") as processor, log.reader({"t": 0}) as reader:
        for number in range(30):
            await processor.commit(outputs=[("t", NewRecord(b"%d" % number))], visible=True)
            assert [record.value for record in await reader.poll()] == [b"%d" % number]


async def test_an_unknown_output_spoils_nothing(log: KafkaLog) -> None:
    """A step to a topic that is not there is refused before anything of it is written."""
    await log.create_topics(["t"])
    async with log.processor("p") as processor:
        with pytest.raises(UnknownTopic):
            await processor.commit(outputs=[("t", NewRecord(b"1")), ("nowhere", NewRecord(b"2"))])
        await processor.commit(outputs=[("t", NewRecord(b"3"))], visible=True)
    assert await log.end("t") == 2


async def test_a_processor_is_entered_once(log: KafkaLog) -> None:
    """A processor that was left, or not entered, says so."""
    processor = log.processor("p")
    with pytest.raises(LogClosed):
        processor.positions()
    async with processor:
        pass
    with pytest.raises(LogClosed):
        await processor.commit(state={"k": b"1"})
    with pytest.raises(LogClosed):
        await processor.__aenter__()


async def test_a_cancelled_step_is_whole_or_absent(log: KafkaLog) -> None:
    """Whenever a step is cancelled, its output and its position are both there or both not."""
    await log.create_topics(["t"])
    expected = 0
    for chance in range(12):
        async with log.processor("p") as processor:
            position = processor.positions().get("in", 0)
            step = processor.commit(
                outputs=[("t", NewRecord(b"%d" % position))], positions={"in": position + 1}, visible=True
            )
            task = asyncio.create_task(step)
            await asyncio.sleep(chance * 0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    async with log.processor("p") as processor:
        expected = processor.positions().get("in", 0)
    await log.settle(["t"])
    found: list[bytes] = []
    async with log.reader({"t": 0}) as reader:
        while reader.positions()["t"] < await log.end("t"):
            found += [record.value for record in await reader.poll(timeout_s=1)]
    assert found == [b"%d" % number for number in range(expected)]


async def test_a_step_without_an_answer_is_given_up_by_its_deadline(
    settings: KafkaSettings, paused_kafka: Callable[[], None], kafka_data: Path
) -> None:
    """A step under way when the broker stops fails in time, and is settled when a processor enters anew."""
    log = KafkaLog(replace(settings, commit_deadline_s=1.0, request_timeout_s=1.0))
    await log.open()
    await log.create_topics(["t"])
    async with log.processor("p") as processor:
        await processor.commit(outputs=[("t", NewRecord(b"0"))], positions={"in": 1})
        paused_kafka()
        began = time.monotonic()
        with pytest.raises(LogUnavailable) as raised:
            await processor.commit(outputs=[("t", NewRecord(b"1"))], positions={"in": 2})
        assert raised.value.outcome_unknown
        assert time.monotonic() - began < 4
    local_kafka.resume(kafka_data)
    async with log.processor("p") as processor:
        for number in range(processor.positions()["in"], 4):
            await processor.commit(
                outputs=[("t", NewRecord(b"%d" % number))], positions={"in": number + 1}, visible=True
            )
    async with log.reader({"t": 0}) as reader:
        found: list[bytes] = []
        while len(found) < 4:
            found += [record.value for record in await reader.poll(timeout_s=1)]
    assert found == [b"0", b"1", b"2", b"3"]
    await log.close()


async def test_an_answer_that_kafka_gives_while_it_fences_means_fenced(log: KafkaLog) -> None:
    """Kafka's unknown error at a commit is its stumbling over a fence: the caller stops and takes nothing back."""
    await log.create_topics(["t"])
    async with log.processor("p") as processor:
        assert isinstance(processor, KafkaProcessor)

        async def stumble() -> None:
            raise errors.KafkaError("Unexpected error during batch delivery") from errors.UnknownError()

        processor._producer.commit_transaction = stumble
        with pytest.raises(Fenced):
            await processor.commit(outputs=[("t", NewRecord(b"1"))])
    async with log.processor("p"):
        # Whoever has the name rolls back what was open.
        await log.settle(["t"])
    async with log.reader({"t": 0}) as reader:
        assert await reader.poll() == []
