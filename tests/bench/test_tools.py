"""What the benchmarks measure with: requests, answers, counts and figures."""

import asyncio
import gc
import time
from array import array
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from bench.connection import Answer, parse_answer
from bench.events import Head, Template, event_id
from bench.figures import Row, Target
from bench.forwarding import rate
from bench.load import Outcome, Plan, batch_accepted, created, load
from bench.rounds import alternate
from bench.stored import Stored
from bench.streaming import stream
from bench.tally import CountsWrong, compare, expected_ids
from schemas.event import Event
from schemas.registry import Registry

TEMPLATE = Template("abcdef01")


def test_each_event_is_new_and_valid() -> None:
    """The loads' events pass every check, are of about 1.3 KB, and no two are the same."""
    registry = Registry.load()
    raws = [TEMPLATE.event(number) for number in range(3)] + [Template("abcdef01", "0657").event(0)]
    events = [Event.parse(raw) for raw in raws]
    for event in events:
        registry.check(event)
    assert len({(event.source, event.id) for event in events}) == 4
    assert all(1200 < len(raw) < 1400 for raw in raws)


def test_a_request_says_how_long_it_is() -> None:
    """A request's Content-Length is that of its body, whichever events are in it."""
    for requests in (TEMPLATE.single_requests(Head(80, "t")), TEMPLATE.batch_requests(Head(80), 7)):
        head, _, body = requests.request(999_999).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
        assert [event_id(line).encode() for line in body.splitlines()] == [
            TEMPLATE.ident(number) for number in requests.numbers(999_999)
        ]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nx: y\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nx: y\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ],
)
def test_an_answer_is_read_when_all_of_it_is_here(raw: bytes) -> None:
    """An answer in pieces is waited for, and the next one's bytes are left alone."""
    assert [parse_answer(raw[:end]) for end in range(len(raw))] == [None] * len(raw)
    assert parse_answer(raw + b"HTTP/1.1") == (Answer(201, b"{}"), len(raw))


def test_only_new_events_count_as_taken_in() -> None:
    """A duplicate, or a batch of which a part was refused, is not what the figures are of."""
    assert created(Answer(201, b'{"duplicate":false}'))
    assert not created(Answer(200, b'{"duplicate":true}'))
    assert batch_accepted(100)(Answer(200, b'{"accepted": 100, "duplicates":0'))
    assert not batch_accepted(100)(Answer(207, b'{"accepted":99,'))


def test_what_was_acknowledged_must_be_stored_once() -> None:
    """A missing, a doubled and an unexpected event each make a figure void."""
    expected = expected_ids(TEMPLATE.batch_requests(Head(80), 2), [0])
    assert compare("here", expected, sorted(expected)) == 2
    one, other = sorted(expected)
    for stored in ([one], [one, other, other], [one, other, "stranger"]):
        with pytest.raises(CountsWrong):
            compare("here", expected, stored)


def test_contenders_take_turns() -> None:
    """Whoever went first goes last in the next round."""
    order: list[str] = []
    results = alternate(2, {"a": lambda: order.append("a"), "b": lambda: order.append("b")})
    assert order == ["a", "b", "b", "a"]
    assert {name: len(values) for name, values in results.items()} == {"a": 2, "b": 2}


def test_a_ratio_is_taken_within_each_round() -> None:
    """A target on the ratio is judged by the median of the rounds' ratios, not by the ratio of medians."""
    row = Row("Figure", "events/s", [10.0, 40.0, 30.0], [10.0, 20.0, 10.0], Target(2.0, "ratio"))
    assert row.ratios == [1.0, 2.0, 3.0]
    assert row.reached is True
    assert row.as_json()["ratio"]["median"] == 2.0
    assert Row("Figure", "ms", [30.0], target=Target(20.0, at_least=False)).reached is False


def test_a_rate_leaves_the_start_out() -> None:
    """Forwarding's rate counts from the first output's time, and inputs rather than outputs."""
    topic = [Stored("a", 1000), Stored("b", 1500), Stored("c", 2000)]
    assert rate([topic, topic]) == 2.0


def test_percentiles_are_of_the_window() -> None:
    """An outcome without answers has no percentile, one with answers the right one."""
    assert Outcome().percentile_ms(99) == 0.0
    assert Outcome(latencies_s=array("d", [number / 1000 for number in range(100)])).percentile_ms(99) == 99.0


async def test_a_stream_that_breaks_off_is_not_whole() -> None:
    """Records are counted wherever the pieces part, and a missing end is seen."""
    line = b'{"topic":"t","offset":1,"recordedAt":"x"}\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for byte in b"%x\r\n%s\r\n" % (len(line) * 2, line * 2) + (b"0\r\n\r\n" if b"whole" in request else b""):
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        whole = await stream(port, b"GET /whole HTTP/1.1\r\n\r\n")
        broken = await stream(port, b"GET /broken HTTP/1.1\r\n\r\n")
    assert (whole.status, whole.records, whole.whole) == (200, 2, True)
    assert (broken.records, broken.whole) == (2, False)


async def test_the_window_opens_when_the_load_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting and tidying up may take longer than a short window: the load is measured all the same."""
    answering: set[Any] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    # Where a test process is large, collecting its garbage takes a second.
    monkeypatch.setattr(gc, "collect", partial(time.sleep, 0.3))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        plan = Plan(seconds=0.2, warmup_s=0.05, connections=2)
        async with asyncio.timeout(5):
            outcome = await load(port, TEMPLATE.single_requests(Head(port)), plan, created)
            await asyncio.gather(*answering)
    assert outcome.events > 0
    assert outcome.seconds == pytest.approx(0.2, abs=0.05)
