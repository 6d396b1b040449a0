"""Transactions that Kafka calls complete without having written all their markers, made here on purpose.

A broker does so when it believes the topics to be gone. Here the coordinator is not told of a topic that is written
to, and the broker is set not to ask it: nothing marks the end of what stands there.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types do not tell what it exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from broker_adapters.kafka import KafkaLog, KafkaSettings, producers
from broker_adapters.kafka.hanging import is_to_be_committed
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.kafka.transaction_requests import TransactionState
from broker_adapters.log import Fenced, LogUnavailable, NewRecord, Processor

STATE = "state.p"


@pytest.fixture
def settings(settings: KafkaSettings) -> KafkaSettings:
    """Return settings with which a step that hangs is given up soon."""
    return replace(settings, commit_deadline_s=1.0)


@pytest.fixture
def believing_broker(settings: KafkaSettings) -> Iterator[None]:
    """Have the broker take batches for transactions of which the coordinator knows nothing, as Kafka did before 3.6."""
    verify(settings, "false")
    yield
    verify(settings, "true")


def verify(settings: KafkaSettings, value: str) -> None:
    entry = ConfigEntry("transaction.partition.verification.enable", value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(timeout=30)


def hide(processor: Processor, settings: KafkaSettings, topics: Iterable[str]) -> None:
    """Have the coordinator not be told that the next step writes to `topics`."""
    assert isinstance(processor, KafkaProcessor)
    manager = processor._producer._txn_manager
    hidden = {TopicPartition(settings.prefix + topic, 0) for topic in topics}
    add = manager.maybe_add_partition_to_txn

    def pretend(partition: TopicPartition) -> None:
        if partition in hidden:
            manager._txn_partitions.add(partition)
        else:
            add(partition)

    manager.maybe_add_partition_to_txn = pretend


async def fence(settings: KafkaSettings) -> None:
    """Take the processor's name over, and die at once."""
    died = producers.transactional_producer(settings, "p")
    await died.start()
    await producers.drop(died)


async def step(processor: Processor, number: int) -> None:
    """Do the step of a number: it writes to two topics, and counts."""
    outputs = [(topic, NewRecord(b"%d" % number)) for topic in ("t", "u")]
    await processor.commit(outputs=outputs, state={"done": b"%d" % number}, positions={"in": number})


async def readable(log: KafkaLog, topic: str) -> list[bytes]:
    await log.settle([topic])
    end, found = await log.end(topic), list[bytes]()
    async with log.reader({topic: 0}) as reader:
        while reader.positions()[topic] < end:
            found += [record.value for record in await reader.poll(timeout_s=1)]
    return found


async def go_on(log: KafkaLog, until: int) -> int:
    """Enter, do what is left of the steps, and return with which of them it went on."""
    async with log.processor("p") as processor:
        position = processor.positions().get("in", 0)
        assert int((await processor.load(["done"])).get("done", b"0")) == position
        for number in range(position + 1, until + 1):
            await step(processor, number)
    return position + 1


async def assert_each_once(log: KafkaLog, until: int) -> None:
    """Each step stands once in each topic."""
    for topic in ("t", "u"):
        assert await readable(log, topic) == [b"%d" % number for number in range(1, until + 1)]


@pytest.mark.usefixtures("believing_broker")
@pytest.mark.parametrize("hidden", [("t", "u", STATE), ("t",), ("t", "u"), (STATE,)])
async def test_a_committed_step_whose_end_is_not_marked_is_no_success_and_is_not_repeated(
    log: KafkaLog, settings: KafkaSettings, hidden: tuple[str, ...]
) -> None:
    """Whoever enters next ends it as it was decided, wherever its markers are missing."""
    await log.create_topics(["t", "u"])
    async with log.processor("p") as processor:
        await step(processor, 1)
        hide(processor, settings, hidden)
        with pytest.raises(LogUnavailable, match=r"marking the end of a step of p in state\.p, t, u") as raised:
            await step(processor, 2)
        assert raised.value.outcome_unknown
    assert await go_on(log, 4) == 3
    await assert_each_once(log, 4)


@pytest.mark.usefixtures("believing_broker")
@pytest.mark.parametrize("hidden", [("t", "u", STATE), ("t",)])
async def test_an_unfinished_step_whose_rollback_is_not_marked_is_rolled_back(
    log: KafkaLog, settings: KafkaSettings, hidden: tuple[str, ...]
) -> None:
    """What was half written when its processor ended does not come up with the next step."""
    await log.create_topics(["t", "u", "v"])
    async with log.processor("p") as processor:
        await step(processor, 1)
        hide(processor, settings, hidden)

        async def die() -> None:
            raise LogUnavailable("Away.")

        assert isinstance(processor, KafkaProcessor)
        processor._producer.commit_transaction = die
        with pytest.raises(LogUnavailable, match="Away"):
            # One topic at least is known to the coordinator: it has something to roll back.
            await processor.commit(outputs=[(topic, NewRecord(b"2")) for topic in ("v", "t", "u")], positions={"in": 2})
    assert await log.unread() >= set(hidden)
    assert await go_on(log, 3) == 2
    await assert_each_once(log, 3)
    assert await readable(log, "v") == []


@pytest.mark.usefixtures("believing_broker")
@pytest.mark.parametrize(("hidden", "goes_on_with"), [(("t", "u", STATE), 2), (("t", "u"), 3)])
async def test_where_nobody_knows_any_more_what_was_decided_nothing_is_lost(
    log: KafkaLog, settings: KafkaSettings, hidden: tuple[str, ...], goes_on_with: int
) -> None:
    """Someone who died while entering took the decision with it: then it is as the state says."""
    await log.create_topics(["t", "u"])
    async with log.processor("p") as processor:
        await step(processor, 1)
        hide(processor, settings, hidden)
        with pytest.raises(LogUnavailable):
            await step(processor, 2)
    await fence(settings)
    assert await go_on(log, 4) == goes_on_with
    await assert_each_once(log, 4)


async def test_others_transactions_are_let_be(log: KafkaLog, settings: KafkaSettings) -> None:
    """A processor enters, and works, while another's step stands open in the same topics."""
    await log.create_topics(["t", "u"])
    other: Any = producers.transactional_producer(settings, "q")
    await other.start()
    await other.begin_transaction()
    await other.send_and_wait(settings.prefix + "t", b"other", partition=0)
    assert await go_on(log, 2) == 1
    await other.commit_transaction()
    await producers.drop(other)
    assert await readable(log, "t") == [b"other", b"1", b"2"]


@pytest.mark.usefixtures("believing_broker")
async def test_who_waits_for_the_end_of_its_step_is_told_that_another_came(
    log: KafkaLog, settings: KafkaSettings
) -> None:
    """What the other rolled back is closed too, and is no success; nor is it taken into the local copy."""
    await log.create_topics(["t", "u"])
    async with log.processor("p") as processor:
        await step(processor, 1)
        hide(processor, settings, ("t", "u", STATE))
        waiting = asyncio.create_task(step(processor, 2))
        await asyncio.sleep(0.3)
        assert await log.unread() == {"t", "u", STATE}
        await fence(settings)
        assert await go_on(log, 1) == 2
        with pytest.raises(Fenced):
            await waiting
    assert await go_on(log, 3) == 2
    await assert_each_once(log, 3)


@pytest.mark.parametrize(
    ("state", "taken_over", "state_topic_hangs", "expected"),
    [
        ("PrepareCommit", 1, True, True),
        ("CompleteCommit", 1, True, True),
        ("CompleteCommit", 1, False, True),
        ("CompleteCommit", 2, True, False),
        ("CompleteCommit", 3, False, True),
        ("Ongoing", 2, False, False),
        ("Ongoing", 3, False, False),
        ("Ongoing", 1, True, False),
        ("Ongoing", 1, False, True),
        ("PrepareAbort", 1, False, False),
        ("CompleteAbort", 1, False, False),
        ("PrepareEpochFence", 2, False, False),
        ("Empty", 1, True, False),
        ("Empty", 1, False, True),
        ("of a later Kafka", 1, False, True),
    ],
)
def test_what_hangs_is_ended_as_it_was_decided(
    state: str, taken_over: int, state_topic_hangs: bool, expected: bool
) -> None:
    """And where that is unknown: a step of which the state tells nothing is decided anew."""
    before = TransactionState(state, 7)
    assert is_to_be_committed(before, 7 + taken_over, state_topic_hangs=state_topic_hangs) is expected


def test_of_a_new_id_the_state_tells() -> None:
    """Where Kafka has forgotten the id there is nothing else."""
    assert is_to_be_committed(None, 0, state_topic_hangs=False)
    assert not is_to_be_committed(None, 0, state_topic_hangs=True)
