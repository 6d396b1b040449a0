"""Promise 5: outputs, state and positions become durable together or not at all."""

import asyncio
import contextlib
import random

import pytest

from broker_adapters.log import Fenced, Log, NewRecord, Processor, UnknownTopic
from tests.contract.stores import Store, new, read_to, read_values, values


async def test_what_is_committed_is_there_together(store: Store) -> None:
    """The next processor of the same name finds outputs, state and positions."""
    log = await store.open("in", "out")
    async with log.processor("p") as processor:
        assert processor.positions() == {}
        await processor.commit(
            outputs=[("out", NewRecord(b"1", b"k")), ("in", NewRecord(b"2"))],
            state={"a": b"state", "b": b""},
            positions={"in": 7},
            visible=True,
        )
        assert processor.positions() == {"in": 7}
    async with log.processor("p") as successor:
        assert successor.positions() == {"in": 7}
        assert await successor.load(["a", "b", "c"]) == {"a": b"state", "b": b""}
    assert await read_values(log, "out") == [b"1"]
    assert await read_values(log, "in") == [b"2"]


async def test_what_is_committed_survives_a_crash(store: Store) -> None:
    """A crash right after a commit loses none of it."""
    log = await store.open("out")
    async with log.processor("p") as processor:
        await processor.commit(outputs=[("out", new(b"1")[0])], state={"k": b"v"}, positions={"in": 3}, visible=True)
        survivor = await store.after_crash(log)
    async with survivor.processor("p") as successor:
        assert successor.positions() == {"in": 3}
        assert await successor.load(["k"]) == {"k": b"v"}
    assert await read_values(survivor, "out") == [b"1"]


async def test_what_is_not_committed_never_happened(store: Store) -> None:
    """A processor that is left by an error leaves nothing behind."""
    log = await store.open("out")

    async def fail() -> None:
        async with log.processor("p") as processor:
            await processor.load(["k"])
            raise RuntimeError("a fault in a step")

    with pytest.raises(RuntimeError):
        await fail()
    async with log.processor("p") as successor:
        assert successor.positions() == {}
        assert await successor.load(["k"]) == {}
    assert await read_values(log, "out") == []


async def test_a_failed_commit_leaves_nothing(store: Store) -> None:
    """Where one output cannot be appended none is, and neither state nor positions move."""
    log = await store.open("out")
    async with log.processor("p") as processor:
        with pytest.raises(UnknownTopic):
            await processor.commit(
                outputs=[("out", new(b"1")[0]), ("nowhere", new(b"2")[0])], state={"k": b"v"}, positions={"in": 1}
            )
    async with log.processor("p") as successor:
        assert successor.positions() == {}
        assert await successor.load(["k"]) == {}
        await successor.commit(outputs=[("out", new(b"3")[0])], visible=True)
    assert await read_values(log, "out") == [b"3"]


async def test_a_replaced_processor_is_fenced(store: Store) -> None:
    """Once a second has started the first can commit nothing, and the second is not disturbed by its trying."""
    log = await store.open("out")
    async with log.processor("p") as zombie:
        await zombie.commit(state={"k": b"zombie"}, positions={"in": 1})
        async with log.processor("p") as successor:
            assert successor.positions() == {"in": 1}
            with pytest.raises(Fenced):
                await zombie.commit(outputs=[("out", new(b"zombie")[0])], state={"k": b"late"}, positions={"in": 99})
            await successor.commit(outputs=[("out", new(b"successor")[0])], positions={"in": 2}, visible=True)
            assert await successor.load(["k"]) == {"k": b"zombie"}
    assert await read_values(log, "out") == [b"successor"]
    async with log.processor("p") as third:
        assert third.positions() == {"in": 2}


async def test_a_processor_of_another_instance_fences_too(store: Store) -> None:
    """A second instance of the program fences the first one's processor."""
    log = await store.open("out")
    async with log.processor("p") as zombie:
        await zombie.commit(positions={"in": 1})
        other = await store.second(log)
        async with other.processor("p") as successor:
            assert successor.positions() == {"in": 1}
            with pytest.raises(Fenced):
                await zombie.commit(outputs=[("out", new(b"zombie")[0])])
    assert await read_values(log, "out") == []


async def test_names_are_apart(store: Store) -> None:
    """Processors of other names neither fence nor see one another."""
    log = await store.open("out")
    async with log.processor("one") as one, log.processor("other") as other:
        await one.commit(state={"k": b"1"}, positions={"in": 1})
        await other.commit(state={"k": b"2"}, positions={"in": 2})
        assert (one.positions(), other.positions()) == ({"in": 1}, {"in": 2})
        assert (await one.load(["k"]), await other.load(["k"])) == ({"k": b"1"}, {"k": b"2"})


async def test_state_is_the_newest_of_each_key(store: Store) -> None:
    """A key set again has its newest value, one set to None has none, also for the next processor."""
    log = await store.open()
    async with log.processor("p") as processor:
        await processor.commit(state={"kept": b"1", "changed": b"1", "removed": b"1"})
        await processor.commit(state={"changed": b"2", "removed": None, "never": None})
        expected = {"kept": b"1", "changed": b"2"}
        assert await processor.load(["kept", "changed", "removed", "never"]) == expected
    log = await store.reopened(log)
    async with log.processor("p") as successor:
        assert await successor.load(["kept", "changed", "removed", "never"]) == expected


async def test_state_can_be_large(store: Store) -> None:
    """A thousand keys are kept and loaded in one call each."""
    log = await store.open()
    state = {f"urn:{number}/æ": bytes([number % 256]) * 50 for number in range(1000)}
    async with log.processor("p") as processor:
        await processor.commit(state=state)
        assert await processor.load(state) == state


async def test_state_can_be_loaded_while_a_commit_is_under_way(store: Store) -> None:
    """What is loaded beside a commit is whole, from before it or after, and the commit is not disturbed."""
    log = await store.open("out")
    async with log.processor("p") as processor:
        await processor.commit(state={"a": b"1", "b": b"1"})
        for number in range(2, 12):
            value = str(number).encode()
            commit = asyncio.create_task(
                processor.commit(outputs=[("out", new(value)[0])], state={"a": value, "b": value}, visible=True)
            )
            await asyncio.sleep(0)
            loaded = await processor.load(["a", "b"])
            assert loaded["a"] == loaded["b"]
            assert int(loaded["a"]) in (number - 1, number)
            await commit
            assert await processor.load(["a"]) == {"a": value}
    assert await read_values(log, "out") == [str(number).encode() for number in range(2, 12)]


async def test_positions_of_topics_add_up(store: Store) -> None:
    """A commit moves the positions that it names and leaves the others."""
    log = await store.open()
    async with log.processor("p") as processor:
        await processor.commit(positions={"a": 1, "b": 5})
        await processor.commit(positions={"a": 2})
        assert processor.positions() == {"a": 2, "b": 5}
    async with log.processor("p") as successor:
        assert successor.positions() == {"a": 2, "b": 5}


async def test_visible_means_that_a_reader_sees_it(store: Store) -> None:
    """When a commit that asked for it returns, a new reader sees its outputs up to the end at once."""
    log = await store.open("out")
    async with log.processor("p") as processor:
        for number in range(10):
            await processor.commit(outputs=[("out", new(b"%d" % number)[0])], visible=True)
            assert await read_values(log, "out") == [b"%d" % n for n in range(number + 1)]


async def test_outputs_stand_in_their_order(store: Store) -> None:
    """Outputs of one commit stand in order in each topic, also when topics alternate."""
    log = await store.open("a", "b")
    outputs = [("ab"[number % 2], new(b"%d" % number)[0]) for number in range(100)]
    async with log.processor("p") as processor:
        await processor.commit(outputs=outputs, visible=True)
    assert await read_values(log, "a") == [b"%d" % number for number in range(0, 100, 2)]
    assert await read_values(log, "b") == [b"%d" % number for number in range(1, 100, 2)]


async def test_a_reader_moves_past_what_only_the_log_needs(store: Store) -> None:
    """A reader that has read all stands at the end, also where a log keeps marks of its own after a commit."""
    log = await store.open("out")
    async with log.processor("p") as processor:
        await processor.commit(outputs=[("out", new(b"1")[0])], visible=True)
        async with log.reader({"out": await log.first("out")}) as reader:
            assert values(await read_to(reader, "out", await log.end("out"))) == [b"1"]
            assert reader.positions() == {"out": await log.end("out")}
            await processor.commit(outputs=[("out", new(b"2")[0])], visible=True)
            assert values(await read_to(reader, "out", await log.end("out"))) == [b"2"]


async def test_processing_shares_a_topic_with_appends(store: Store) -> None:
    """Commits and plain appends to one topic stand in one order, each once."""
    log = await store.open("t")
    async with log.processor("p") as processor:

        async def commit() -> None:
            for number in range(20):
                await processor.commit(outputs=[("t", new(b"c%02d" % number)[0])], visible=True)

        async def append() -> None:
            for number in range(20):
                await log.append("t", new(b"a%02d" % number))

        await asyncio.gather(commit(), append())
    stored = await read_values(log, "t")
    assert [value for value in stored if value.startswith(b"c")] == [b"c%02d" % number for number in range(20)]
    assert [value for value in stored if value.startswith(b"a")] == [b"a%02d" % number for number in range(20)]


async def step(log: Log, processor: Processor, chance: random.Random) -> None:
    """Copy up to three records, count them, and sometimes fail or be cancelled on the way."""
    position = processor.positions().get("in", await log.first("in"))
    async with log.reader({"in": position}) as reader:
        records = await reader.poll(records_max=3, timeout_s=0.2)
        count = int((await processor.load(["count"])).get("count", b"0")) + len(records)
        if chance.random() < 0.2:
            raise RuntimeError("died before the commit")
        commit = asyncio.create_task(
            processor.commit(
                outputs=[("out", new(record.value)[0]) for record in records],
                state={"count": b"%d" % count},
                positions=reader.positions(),
                visible=True,
            )
        )
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.003)
            commit.cancel()
        await commit


async def test_each_input_is_processed_exactly_once(store: Store) -> None:
    """Through failures, cancelled commits and restarts each input gives one output, in order, and counts once."""
    log = await store.open("in", "out")
    sent = [b"%02d" % number for number in range(40)]
    await log.append("in", new(*sent))
    end = await log.end("in")
    chance = random.Random(1)
    position = 0
    async with asyncio.timeout(60):
        while position < end:
            with contextlib.suppress(RuntimeError, asyncio.CancelledError):
                async with log.processor("p") as processor:
                    while (position := processor.positions().get("in", 0)) < end:
                        await step(log, processor, chance)
    assert await read_values(log, "out") == sent
    async with log.processor("p") as processor:
        assert await processor.load(["count"]) == {"count": b"40"}
