"""Server-Sent Events, read from pieces cut anywhere."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kommunebro import GatewayUnavailable
from kommunebro.core import lines as lines_module
from kommunebro.core import server_sent
from kommunebro.core.lines import Lines
from kommunebro.core.server_sent import Decoder, ServerSent

STREAM = (
    "\ufeffretry: 2000\n: hello\n\nid: 1\nevent: a\ndata: {\u2028\x0b\x85}\n\n"
    "data:x\rdata: y\r\r\nid\ndata\n\nevent: lost\n\n:\n\nid: 2\r\ndata: ø\r\n\r\n"
).encode()
EVENTS = [
    ServerSent("1", "a", "{\u2028\x0b\x85}"), ServerSent("1", "message", "x\ny"),
    ServerSent("", "message", ""), ServerSent("2", "message", "ø"),
]  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    """Lines end in LF, CR or CRLF and in nothing else, and a piece may end between CR and LF."""
    places = [0, *sorted(cuts), len(STREAM)]
    decoder = Decoder()
    found = [event for begin, end in itertools.pairwise(places) for event in decoder.feed(STREAM[begin:end])]
    assert found == EVENTS
    assert (decoder.last_id, decoder.retry_ms) == ("2", 2000)


def test_half_an_event_counts_for_nothing_after_a_reconnection() -> None:
    """Its id is not the last event's: what was not whole comes again."""
    decoder = Decoder("7")
    assert decoder.feed(b"id: 8\ndata: half") == []
    decoder.reconnect()
    assert decoder.last_id == "7"
    assert decoder.feed(b"data: whole\n\n") == [ServerSent("7", "message", "whole")]


def test_an_event_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is at the other end, it does not fill our memory."""
    monkeypatch.setattr(server_sent, "EVENT_BYTES_MAX", 1000)
    decoder = Decoder()
    with pytest.raises(GatewayUnavailable, match="more than 1000 bytes"):
        [decoder.feed(b"data: " + b"x" * 100 + b"\n") for _ in range(100)]
    with pytest.raises(GatewayUnavailable):
        Decoder().feed(b"x" * 1001)


@given(st.lists(st.binary(max_size=10).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    """Only LF ends a line, and a rest without one is noticed."""
    text = b"".join(line + b"\n" for line in lines)
    cut = data.draw(st.integers(0, len(text)))
    reading = Lines()
    assert reading.feed(text[:cut]) + reading.feed(text[cut:]) == lines
    assert reading.whole
    reading.feed(b"rest")
    assert not reading.whole


def test_a_line_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay of something else does not fill our memory either."""
    monkeypatch.setattr(lines_module, "LINE_BYTES_MAX", 1000)
    reading = Lines()
    with pytest.raises(GatewayUnavailable, match="more than 1000 bytes"):
        [reading.feed(b"x" * 100) for _ in range(100)]


def test_a_long_event_costs_no_more_than_its_length() -> None:
    """4 MiB in pieces of 1 KiB: taken together anew with each piece, that took 20 seconds."""
    decoder, began = Decoder(), time.process_time()
    for _ in range(4096):
        assert decoder.feed(b"x" * 1024) == []
    assert time.process_time() - began < 2


def test_a_wish_to_be_left_alone_has_a_limit() -> None:
    """Whatever number comes, the stream is opened again within a minute."""
    decoder = Decoder()
    decoder.feed(b"retry: " + b"9" * 5000 + b"\n")
    assert decoder.retry_ms == 60_000
