"""Promise 6: each fault is its own error, and after it the log goes on correctly."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker_adapters.log import (
    RECORD_BYTES_MAX,
    Fenced,
    Log,
    LogClosed,
    LogDamaged,
    LogError,
    LogFolderUnusable,
    LogFull,
    LogLocked,
    LogUnavailable,
    NewRecord,
    OffsetOutOfRange,
    RecordTooLarge,
    UnknownTopic,
)
from tests.contract.stores import Store, new, read_values, values


async def enter(log: Log) -> None:
    async with log.processor("p"):
        pass


async def commit_output(log: Log, topic: str) -> None:
    async with log.processor("p") as processor:
        await processor.commit(outputs=[(topic, NewRecord(b"x"))])


async def poll(log: Log, topic: str) -> None:
    async with log.reader({topic: 0}) as reader:
        await reader.poll(timeout_s=1)


OnATopic = Callable[[Log, str], Coroutine[Any, Any, object]]
OnTheLog = Callable[[Log], Coroutine[Any, Any, object]]

ON_A_TOPIC: dict[str, OnATopic] = {
    "append": lambda log, topic: log.append(topic, new(b"x")),
    "append nothing": lambda log, topic: log.append(topic, []),
    "first": lambda log, topic: log.first(topic),
    "end": lambda log, topic: log.end(topic),
    "ends": lambda log, topic: log.ends([topic]),
    "offset_at": lambda log, topic: log.offset_at(topic, 0),
    "poll": poll,
    "commit": commit_output,
}

ON_THE_LOG: dict[str, OnTheLog] = {
    "topics": lambda log: log.topics(),
    "create_topics": lambda log: log.create_topics(["new"]),
    "check": lambda log: log.check(),
    "processor": enter,
}


@pytest.mark.parametrize("call", ON_A_TOPIC.values(), ids=ON_A_TOPIC)
async def test_a_topic_never_created_is_unknown(store: Store, call: OnATopic) -> None:
    """Whatever is asked of a topic that was never created says so, does not create it, and the log goes on."""
    log = await store.open("t")
    with pytest.raises(UnknownTopic) as raised:
        await call(log, "nowhere")
    assert raised.value.topic == "nowhere"
    assert await log.topics() == ["t"]
    await log.append("t", new(b"on"))
    assert await read_values(log, "t") == [b"on"]


@pytest.mark.parametrize("opened_first", [True, False], ids=["closed", "never opened"])
async def test_a_log_that_is_not_open_says_so(store: Store, opened_first: bool) -> None:
    """Before `open` and after `close` every call raises `LogClosed`, and nothing waits."""
    log = store.unopened()
    if opened_first:
        log = await store.open("t")
        await log.close()
    for on_a_topic in ON_A_TOPIC.values():
        with pytest.raises(LogClosed):
            await asyncio.wait_for(on_a_topic(log, "t"), 5)
    for on_the_log in ON_THE_LOG.values():
        with pytest.raises(LogClosed):
            await asyncio.wait_for(on_the_log(log), 5)


async def test_closing_twice_is_fine(store: Store) -> None:
    """A second close does nothing, one at the same time waits for the first, and an unopened log closes too."""
    await store.unopened().close()
    log = await store.open("t")
    await asyncio.gather(log.close(), log.close())
    await log.close()


async def test_closing_answers_all_that_is_under_way(store: Store) -> None:
    """Each append under way is answered or fails, and what was answered is stored."""
    log = await store.open("t")
    appends = [asyncio.create_task(log.append("t", new(b"%d" % number))) for number in range(200)]
    await asyncio.sleep(0)
    await log.close()
    answers = await asyncio.wait_for(asyncio.gather(*appends, return_exceptions=True), 10)
    assert all(isinstance(answer, (list, LogError)) for answer in answers)
    stored = set(await read_values(await store.open(), "t"))
    assert stored >= {b"%d" % number for number, answer in enumerate(answers) if isinstance(answer, list)}


async def test_closing_wakes_who_waits(store: Store) -> None:
    """A poll that waits ends when the log is closed, with an error or empty-handed."""
    log = await store.open("t")
    waiting = asyncio.create_task(log.reader({"t": await log.end("t")}).poll(timeout_s=60))
    await asyncio.sleep(0.05)
    await log.close()
    answer = (await asyncio.wait_for(asyncio.gather(waiting, return_exceptions=True), 10))[0]
    assert answer == [] or isinstance(answer, LogError)


async def test_a_record_over_the_limit_is_refused_with_all_beside_it(store: Store) -> None:
    """Nothing of a call is appended when one of its records is too large, and the log goes on."""
    log = await store.open("t")
    with pytest.raises(RecordTooLarge) as raised:
        await log.append("t", new(b"small", b"x" * (RECORD_BYTES_MAX + 1)))
    assert (raised.value.topic, raised.value.size_bytes) == ("t", RECORD_BYTES_MAX + 1)
    await log.append("t", new(b"on"))
    assert await read_values(log, "t") == [b"on"]


async def test_an_output_over_the_limit_is_refused_with_all_beside_it(store: Store) -> None:
    """Nothing of a commit is appended when one of its outputs is too large."""
    log = await store.open("t")
    async with log.processor("p") as processor:
        with pytest.raises(RecordTooLarge):
            await processor.commit(
                outputs=[("t", NewRecord(b"small")), ("t", NewRecord(b"x" * (RECORD_BYTES_MAX + 1)))],
                positions={"in": 1},
            )
    async with log.processor("p") as successor:
        assert successor.positions() == {}
    assert await read_values(log, "t") == []


async def test_a_closed_reader_says_so(store: Store) -> None:
    """A reader that was closed does not read on, and can be closed again."""
    log = await store.open("t")
    reader = log.reader({"t": await log.first("t")})
    await reader.close()
    await reader.close()
    with pytest.raises(LogClosed):
        await reader.poll()


async def test_checking_appends_nothing(store: Store) -> None:
    """A log in good order passes its check, and holds no more than before."""
    log = await store.open("t")
    before = await log.end("t")
    await log.check()
    assert await log.end("t") == before
    assert await log.topics() == ["t"]


async def test_a_reader_goes_on_after_an_error(store: Store) -> None:
    """A reader that met an unknown topic reads it once it is created."""
    log = await store.open()
    async with log.reader({"late": 0}) as reader:
        with pytest.raises(UnknownTopic):
            await reader.poll(timeout_s=1)
        await log.create_topics(["late"])
        await log.append("late", new(b"1"))
        reader.seek("late", await log.first("late"))
        assert values(await reader.poll(timeout_s=10)) == [b"1"]


def test_errors_say_whether_to_try_again() -> None:
    """Only what can pass by itself is retryable, and only a lost answer leaves the outcome open."""
    retryable: set[type[LogError]] = {LogUnavailable, LogFull}
    final: set[type[LogError]] = {
        Fenced,
        LogClosed,
        LogDamaged,
        LogFolderUnusable,
        LogLocked,
        OffsetOutOfRange,
        RecordTooLarge,
        UnknownTopic,
    }
    assert all(kind.retryable for kind in retryable)
    assert not any(kind.retryable for kind in final)
    assert LogUnavailable("away", outcome_unknown=True).outcome_unknown
    assert not LogFull("full").outcome_unknown
