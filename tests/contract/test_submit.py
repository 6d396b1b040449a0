"""Promises 1, 2, 4 and 6 for `submit`: an append that begins without waiting is an append all the same."""

import asyncio
import contextlib

from broker_adapters.log import NewRecord
from tests.contract.stores import Store, new, read_all, read_values


async def test_what_a_submit_has_answered_survives_a_crash(store: Store) -> None:
    """Its future holds the offsets only when the records are durable."""
    log = await store.open("t")
    for number in range(3):
        (offset,) = await log.submit("t", new(b"%d" % number))
        records = await read_all(await store.after_crash(log), "t")
        assert records[-1][1] == offset
        assert [record.value for record in records] == [b"%d" % n for n in range(number + 1)]


async def test_submits_keep_their_order_beside_appends(store: Store) -> None:
    """What is begun first stands first, whichever way, and each is told its own place."""
    log = await store.open("t")
    await log.append("t", new(b"first"))
    begun: list[asyncio.Future[list[int]]] = []
    for number in range(100):
        begun.append(log.submit("t", new(b"s%d" % number, b"t%d" % number)))
        if number % 10 == 0:
            begun.append(asyncio.ensure_future(log.append("t", new(b"a%d" % number))))
            await asyncio.sleep(0)
    offsets = await asyncio.gather(*begun)
    stored = {record.offset: record.value for record in await read_all(log, "t")}
    assert sorted(stored) == sorted([0, *(offset for several in offsets for offset in several)])
    submitted = [stored[several[0]] for several in offsets if stored[several[0]].startswith(b"s")]
    assert submitted == [b"s%d" % number for number in range(100)]
    assert [value for _, value in sorted(stored.items()) if value.startswith(b"s")] == submitted


async def test_a_fault_is_in_the_future_and_never_raised_at_once(store: Store) -> None:
    """An unknown topic, a record that is too large, a closed log: whoever submits finds them where it looks."""
    log = await store.open("t")
    refused = [log.submit("nowhere", new(b"x")), log.submit("t", [NewRecord(bytes(2 * 1024 * 1024))])]
    found = await asyncio.gather(*refused, return_exceptions=True)
    await log.append("t", new(b"on"))
    await log.close()
    found += await asyncio.gather(log.submit("t", new(b"x")), return_exceptions=True)
    assert [type(error).__name__ for error in found] == ["UnknownTopic", "RecordTooLarge", "LogClosed"]
    assert await read_values(await store.open(), "t") == [b"on"]


async def test_a_cancelled_submit_harms_no_neighbour(store: Store) -> None:
    """Its records are whole or absent; all others are answered, once each."""
    log = await store.open("t")
    await log.append("t", new(b"first"))
    begun = [log.submit("t", new(b"%d" % number)) for number in range(50)]
    for future in begun[::5]:
        future.cancel()
    for future in begun:
        with contextlib.suppress(asyncio.CancelledError):
            await future
    await log.append("t", new(b"last"))
    stored = await read_values(log, "t")
    assert len(stored) == len(set(stored))
    assert set(stored) >= {b"%d" % number for number in range(50) if number % 5}


async def test_more_than_there_is_room_for_waits_its_turn(store: Store) -> None:
    """Submitting pushes back by waiting, and loses nothing."""
    log = await store.open("t")
    await log.append("t", new(b"first"))
    value = bytes(700_000)
    begun = [log.submit("t", [NewRecord(value)]) for _ in range(120)]
    offsets = await asyncio.gather(*begun)
    assert len({offset for (offset,) in offsets}) == 120
