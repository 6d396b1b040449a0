"""What arrives damaged is never handed out, and nothing before it is lost."""

import pytest

from broker_adapters.kafka import KafkaLog
from broker_adapters.kafka.records import Fetched
from broker_adapters.log import LogUnavailable, NewRecord, Record


async def fetched_bytes(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what the broker sends for the topic `t`, as one fetch brings it."""
    seen: list[bytes] = []
    original = Fetched.__init__

    def noted(self: Fetched, topic: str, begin: int, data: bytes, aborted: list[tuple[int, int]] | None) -> None:
        seen.append(data)
        original(self, topic, begin, data, aborted)

    monkeypatch.setattr(Fetched, "__init__", noted)
    async with log.reader({"t": 0}) as reader:
        await reader.poll(timeout_s=5)
    monkeypatch.setattr(Fetched, "__init__", original)
    return seen


async def test_a_flipped_bit_is_seen(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a bit of a batch's records is flipped on the way, the records of that batch are not handed out."""
    await log.create_topics(["t"])
    await log.append("t", [NewRecord(b"first")])
    await log.append("t", [NewRecord(b"second")])
    [data] = await fetched_bytes(log, monkeypatch)
    second = data.index(b"second")
    for bit in range(8):
        damaged = bytearray(data)
        damaged[second] ^= 1 << bit
        part, taken = Fetched("t", 0, bytes(damaged), None), list[Record]()
        with pytest.raises(OSError, match="arrived damaged"):
            part.take(taken, 10, 1000)
        assert [record.value for record in taken] == [b"first"]
        assert part.position == 1


async def test_a_reader_goes_on_after_damage(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records before the damage are given, then it is told, then they are fetched again and are sound."""
    await log.create_topics(["t"])
    await log.append("t", [NewRecord(b"first")])
    await log.append("t", [NewRecord(b"second")])
    original = Fetched.__init__
    harm = [True, True]

    def harmed(self: Fetched, topic: str, begin: int, data: bytes, aborted: list[tuple[int, int]] | None) -> None:
        original(self, topic, begin, data.replace(b"second", b"sexond") if harm and harm.pop() else data, aborted)

    monkeypatch.setattr(Fetched, "__init__", harmed)
    async with log.reader({"t": 0}) as reader:
        assert [record.value for record in await reader.poll(timeout_s=5)] == [b"first"]
        with pytest.raises(LogUnavailable, match="damaged"):
            await reader.poll(timeout_s=5)
        assert [record.value for record in await reader.poll(timeout_s=5)] == [b"second"]


async def test_a_page_ends_before_damage(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before it is given, and what comes after it is not."""
    await log.create_topics(["t"])
    for value in (b"first", b"second", b"third"):
        await log.append("t", [NewRecord(value)])
    [data] = await fetched_bytes(log, monkeypatch)
    part = Fetched("t", 0, data.replace(b"second", b"sexond"), None)
    page = part.page()
    assert page is not None
    assert (page.values, part.position, part.page()) == ([b"first"], 1, None)
    again = Fetched("t", 1, data.replace(b"second", b"sexond"), None)
    with pytest.raises(OSError, match="arrived damaged"):
        Fetched("t", 0, data.replace(b"first", b"fiRst"), None).page()
    with pytest.raises(OSError, match="arrived damaged"):
        again.page()
