"""Promise 1: what `append` has answered is durable."""

from tests.contract.stores import Store, new, read_all, read_values, values


async def test_what_was_answered_survives_a_crash_at_that_instant(store: Store) -> None:
    """Each record answered is found by who opens the log after a crash right then."""
    log = await store.open("t")
    for number in range(3):
        await log.append("t", new(b"%d" % number))
        survivor = await store.after_crash(log)
        assert await read_values(survivor, "t") == [b"%d" % n for n in range(number + 1)]


async def test_a_batch_survives_whole(store: Store) -> None:
    """Of a batch that was answered every record survives, at the offset answered."""
    log = await store.open("t")
    sent = [b"%d" % number * 100 for number in range(300)]
    offsets = await log.append("t", new(*sent))
    records = await read_all(await store.after_crash(log), "t")
    assert [(record.offset, record.value) for record in records] == list(zip(offsets, sent, strict=True))


async def test_a_topic_survives(store: Store) -> None:
    """A topic that was created is there after a crash, though nothing was appended."""
    log = await store.open("empty")
    survivor = await store.after_crash(log)
    assert await survivor.topics() == ["empty"]
    assert await read_all(survivor, "empty") == []


async def test_it_goes_on_where_it_was_closed(store: Store) -> None:
    """A log that is opened again holds what it held, and appends after it."""
    log = await store.open("t")
    await log.append("t", new(b"before"))
    log = await store.reopened(log)
    await log.append("t", new(b"after"))
    assert await read_values(log, "t") == [b"before", b"after"]


async def test_what_was_written_while_closing_is_kept(store: Store) -> None:
    """What was answered before close is there after it, without a pause in between."""
    log = await store.open("t")
    offsets = await log.append("t", new(*[b"x"] * 1000))
    log = await store.reopened(log)
    assert [record.offset for record in await read_all(log, "t")] == offsets


async def test_appending_nothing_adds_nothing(store: Store) -> None:
    """An append of no records answers no offsets."""
    log = await store.open("t")
    assert await log.append("t", []) == []
    assert await log.end("t") == await log.first("t")


async def test_keys_are_kept(store: Store) -> None:
    """No key and an empty key are not the same, and both come back as they were."""
    log = await store.open("t")
    keys = [None, b"", b"job-order-1", bytes(range(256))]
    await log.append("t", [record._replace(key=key) for key, record in zip(keys, new(*[b"v"] * 4), strict=True)])
    records = await read_all(log, "t")
    assert [record.key for record in records] == keys
    assert values(records) == [b"v"] * 4
