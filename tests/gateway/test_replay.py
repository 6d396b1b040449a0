"""Replaying a log: where it begins and ends, in which order, and how little it holds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from broker_adapters.log import Log, LogUnavailable, NewRecord, Record
from exchange_gateway import replay as replaying
from exchange_gateway.clock import Clock
from exchange_gateway.core.replay import Run, WrongParameter, parse_request, take_ready
from exchange_gateway.replay import find_spans, replay
from schemas.event import format_time
from tests.contract.stores import EmbeddedStore, KafkaStore, Store
from tests.sightings import published, shared

PUB, VISITS, VEST = "pub.0671.job-order", "pub.0671.visit", "alliance.vest.job-order"


@pytest.fixture(params=["embedded", "kafka"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """An open log with three topics, of each kind."""
    if request.param == "embedded":
        kept: Store = EmbeddedStore(tmp_path / "log")
    else:
        kept = KafkaStore(
            tmp_path / "log", request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("kafka_prefix")
        )
    yield await kept.open(PUB, VISITS, VEST)
    await kept.close()


async def lines(log: Log, **given: str) -> list[dict[str, Any]]:
    asked = parse_request({name.strip("_").replace("_", "-"): value for name, value in given.items()}, Clock().now_us())
    spans = await find_spans(log, asked, Clock())
    whole = b"".join([chunk async for chunk in replay(log, asked, spans)])
    return [json.loads(line) for line in whole.splitlines()]


def places(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(line["topic"], line["offset"]) for line in found]


async def everything(log: Log, *topics: str) -> list[Record]:
    records: list[Record] = []
    for topic in topics:
        async with log.reader({topic: 0}) as reader:
            while more := await reader.poll(timeout_s=0.2):
                records += more
    return records


def new(*numbers: int) -> list[NewRecord]:
    return [NewRecord(b'{"n":%d}' % number) for number in numbers]


async def test_several_topics_are_merged_by_the_time_of_recording(log: Log) -> None:
    """Then by topic, then by offset; every record once, its value as it was appended."""
    for number in range(30):
        await log.append((PUB, VISITS, VEST)[number % 3], new(number))
    found = await lines(log)
    stored = sorted(await everything(log, PUB, VISITS, VEST), key=itemgetter(2, 0, 1))
    assert places(found) == [(record.topic, record.offset) for record in stored]
    assert [line["recordedAt"] for line in found] == [format_time(record.recorded_at_ms * 1000) for record in stored]
    assert [line["event"] for line in found] == [json.loads(record.value) for record in stored]
    assert list(found[0]) == ["topic", "offset", "recordedAt", "event"]


async def test_offsets_bound_one_topic(log: Log) -> None:
    """`from` is included and `to` is not, so that ranges put together meet each record once."""
    await log.append(PUB, new(*range(10)))
    assert places(await lines(log, topic=PUB, from_="3", to="5")) == [(PUB, 3), (PUB, 4)]
    assert places(await lines(log, topic=PUB, from_="8", to="999")) == [(PUB, 8), (PUB, 9)]
    assert await lines(log, topic=PUB, from_="10") == []
    with pytest.raises(WrongParameter, match="from"):
        await lines(log, topic=PUB, from_="11")
    with pytest.raises(WrongParameter, match="one topic"):
        await lines(log, topic="pub.0671.*", to="3")
    assert await lines(log, topic="pub.9999.*", from_="3") == []


async def test_times_bound_every_topic(log: Log) -> None:
    """Records of the first instant are in, those of the last are not."""
    for number in range(5):
        await log.append(PUB, new(number))
        await log.append(VISITS, new(number))
        await asyncio.sleep(0.01)
    found = await lines(log)
    begin, end = found[4]["recordedAt"], found[7]["recordedAt"]
    expected = [line for line in found if begin <= line["recordedAt"] < end]
    assert expected
    assert await lines(log, from_=begin, to=end) == expected
    assert await lines(log, to=begin) + await lines(log, from_=begin) == found


async def test_what_is_appended_after_it_began_is_not_in_it(log: Log) -> None:
    """Else it would never end while somebody publishes."""
    await log.append(PUB, new(*range(2000)))
    asked = parse_request({}, Clock().now_us())
    spans = await find_spans(log, asked, Clock())
    stream = replay(log, asked, spans)
    first = await anext(stream)
    await log.append(PUB, new(*range(2000, 4000)))
    await log.append(VISITS, new(1))
    whole = first + b"".join([chunk async for chunk in stream])
    assert [json.loads(line)["event"]["n"] for line in whole.splitlines()] == list(range(2000))


async def test_as_of_now_is_the_same_for_ever(log: Log) -> None:
    """It waits until nothing at or before the instant can still appear, while others go on publishing."""
    going_on = True

    async def publish() -> None:
        number = 0
        while going_on:
            await log.append((PUB, VISITS)[number % 2], new(number))
            number += 1

    publishing = asyncio.create_task(publish())
    await asyncio.sleep(0.1)
    instant = format_time(Clock().now_us())
    then = await lines(log, as_of=instant)
    going_on = False
    await publishing
    assert then
    assert await lines(log, as_of=instant) == then
    assert then == [line for line in await lines(log) if line["recordedAt"] <= instant]


async def test_as_of_waits_for_what_is_being_committed(log: Log) -> None:
    """A record that stands in the log before the instant, and is committed after it, belongs to the answer."""
    async with log.processor("forwarder-0") as forwarder:
        committing = asyncio.create_task(forwarder.commit(outputs=[(VEST, shared("vest"))] * 50))
        await asyncio.sleep(0)
        instant = format_time(Clock().now_us())
        then = await lines(log, as_of=instant)
        await committing
    assert await lines(log, as_of=instant) == then


async def test_the_past_needs_no_waiting(log: Log) -> None:
    """Nothing can appear that lies long back."""
    began = time.monotonic()
    assert await lines(log, as_of="2020-01-01T00:00:00Z") == []
    assert time.monotonic() - began < replaying.CLOCK_SKEW_S


async def test_filters_select_events(log: Log) -> None:
    """And only `pub` and `alliance` have events."""
    await log.create_topics(["pub.0657.job-order", "control.agreements"])
    await log.append(PUB, [published("1001"), published("1002")])
    await log.append("pub.0657.job-order", [published("1001", "0657", company={"cvr": "11111111"})])
    await log.append(VEST, [shared("vest", "1001"), shared("vest", "1001", "0657", company=...)])
    await log.append("control.agreements", new(1))
    # What was recorded in one millisecond goes by its topic's name.
    assert sorted(places(await lines(log, subject="1001", participant="0671"))) == sorted([(PUB, 0), (VEST, 0)])
    assert {topic for topic, _ in places(await lines(log, participant="0657"))} == {"pub.0657.job-order", VEST}
    assert places(await lines(log, cvr="11111111")) == [("pub.0657.job-order", 0)]
    assert len(await lines(log, type="dk.kommunebro.job-order")) == 5
    assert await lines(log, type="visit") == []
    assert places(await lines(log, topic="control.*")) == [("control.agreements", 0)]
    assert await lines(log, topic="control.*", subject="1001") == []


async def test_many_topics_are_merged_in_little_memory(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The more topics there are, the less is read ahead in each: readers are opened for each read."""
    topics = [f"pub.{number:04}.visit" for number in range(1, 41)]
    await log.create_topics(topics)
    for start in range(0, 60, 20):
        await asyncio.gather(*(log.append(topic, new(*range(start, start + 20))) for topic in topics))
    monkeypatch.setattr(replaying, "AHEAD_BYTES_MAX", 40 * 100)
    monkeypatch.setattr(replaying, "AHEAD_BYTES_MIN", 100)
    held: list[int] = []

    def taking(buffers: Any) -> Run | None:
        listed = list(buffers)
        held.append(sum(len(value) for buffer in listed for value in buffer.values))
        return take_ready(listed)

    monkeypatch.setattr("exchange_gateway.replay.take_ready", taking)
    found = await lines(log, topic="pub.*")
    assert len(found) == 40 * 60
    assert found == sorted(found, key=itemgetter("recordedAt", "topic", "offset"))
    assert max(held) < 2 * 40 * 100


async def test_a_client_that_goes_leaves_nothing_open(log: Log) -> None:
    """The readers and what they were reading ahead are let go of."""
    await log.append(PUB, [NewRecord(b'{"x":"%b"}' % (b"y" * 1000))] * 2000)
    asked = parse_request({}, Clock().now_us())
    stream = replay(log, asked, await find_spans(log, asked, Clock()))
    await anext(stream)
    await stream.aclose()
    assert not [task for task in asyncio.all_tasks() if "_Source" in repr(task)]


async def test_a_log_that_goes_away_is_an_error_and_no_end(tmp_path: Path) -> None:
    """An answer that stops early must not look whole."""
    kept = EmbeddedStore(tmp_path)
    log = await kept.open(PUB)
    await log.append(PUB, [NewRecord(b'{"x":"%b"}' % (b"y" * 1000))] * 3000)
    asked = parse_request({}, Clock().now_us())
    stream = replay(log, asked, await find_spans(log, asked, Clock()))
    await anext(stream)
    await log.close()
    with pytest.raises(Exception, match="closed"):
        async for _ in stream:
            pass


async def test_a_topic_that_gives_nothing_is_no_end_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stays where it is, short of the end, is told of after a while."""
    kept = EmbeddedStore(tmp_path)
    log = await kept.open(PUB)
    await log.append(PUB, new(1))
    monkeypatch.setattr(replaying, "READ_TIMEOUT_S", 0.01)
    asked = parse_request({}, Clock().now_us())
    with pytest.raises(LogUnavailable, match=PUB):
        _ = [chunk async for chunk in replay(log, asked, [replaying.Span(PUB, 1, 2)])]
    await kept.close()
