"""Promise 4: a cancelled append is whole or absent, and harms none beside it."""

import asyncio
import contextlib
from collections import Counter

import pytest

from broker_adapters.log import Log
from tests.contract.stores import Store, new, read_to, read_values, values

CANCELLED = [b"cancelled/%02d/" % number + b"x" * 2000 for number in range(20)]
CHANCES = 40
"""How often the event loop may turn before an append is cancelled: from not begun to nearly done."""


async def append_and_cancel(log: Log, turns: int) -> None:
    """Append `CANCELLED` and cancel it after some turns of the event loop."""
    task = asyncio.create_task(log.append("t", new(*CANCELLED)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("turns", [0, 1, 2, 5, CHANCES])
async def test_a_cancelled_append_leaves_each_record_whole_or_absent(store: Store, turns: int) -> None:
    """No record is torn, and none is there twice."""
    log = await store.open("t")
    await append_and_cancel(log, turns)
    await log.append("t", new(b"after"))
    counts = Counter(await read_values(log, "t"))
    assert counts.pop(b"after") == 1
    assert set(counts) <= set(CANCELLED)
    assert all(count == 1 for count in counts.values())


async def test_a_cancelled_append_harms_no_neighbour(store: Store) -> None:
    """Those who append at the same time get their offsets, and their records stand at them once."""
    log = await store.open("t")
    neighbours = [asyncio.create_task(log.append("t", new(b"n%d" % number))) for number in range(20)]
    await asyncio.gather(*(append_and_cancel(log, turns) for turns in range(10)))
    neighbours += [asyncio.create_task(log.append("t", new(b"n%d" % number))) for number in range(20, 40)]
    answered = {(await task)[0]: b"n%d" % number for number, task in enumerate(neighbours)}
    async with log.reader({"t": await log.first("t")}) as reader:
        records = await read_to(reader, "t", await log.end("t"))
    assert {record.offset: record.value for record in records if record.value.startswith(b"n")} == answered
    assert len(answered) == 40


async def test_a_cancelled_append_leaves_order_and_offsets_in_order(store: Store) -> None:
    """What is appended after a cancelled append comes after whatever is left of it."""
    log = await store.open("t")
    await append_and_cancel(log, 1)
    after = await log.append("t", new(b"after"))
    log = await store.reopened(log)
    stored = await read_values(log, "t")
    assert stored[-1] == b"after"
    assert await log.append("t", new(b"later")) > after


async def test_a_cancelled_poll_loses_nothing(store: Store) -> None:
    """What a poll that was cancelled had begun to read comes with the next."""
    log = await store.open("t")
    sent = [b"%d" % number for number in range(200)]
    await log.append("t", new(*sent))
    read = []
    async with log.reader({"t": await log.first("t")}) as reader:
        for chance in range(CHANCES):
            task = asyncio.create_task(reader.poll(records_max=3, timeout_s=1))
            await asyncio.sleep(chance * 0.0001)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                read += await task
        read += await read_to(reader, "t", await log.end("t"))
    assert values(read) == sent


async def test_a_poll_cancelled_while_it_waits_can_be_called_again(store: Store) -> None:
    """A reader that was cancelled while it waited gets what comes later."""
    log = await store.open("t")
    async with log.reader({"t": await log.end("t")}) as reader:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.poll(timeout_s=60), 0.02)
        await log.append("t", new(b"late"))
        assert values(await read_to(reader, "t", await log.end("t"))) == [b"late"]


@pytest.mark.parametrize("turns", [0, 1, 3, 10, CHANCES])
async def test_a_cancelled_commit_is_whole_or_absent(store: Store, turns: int) -> None:
    """After a commit was cancelled the next processor finds all of it or nothing, and goes on."""
    log = await store.open("t")
    async with log.processor("p") as processor:
        task = asyncio.create_task(
            processor.commit(outputs=[("t", record) for record in new(*CANCELLED)], state={"k": b"1"})
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    async with log.processor("p") as successor:
        state = await successor.load(["k"])
        await successor.commit(outputs=[("t", new(b"after")[0])], visible=True)
    stored = await read_values(log, "t")
    assert stored == ([*CANCELLED, b"after"] if state else [b"after"])
