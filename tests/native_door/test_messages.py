"""A Kafka message is an event in structured or binary mode, or a problem in words; never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapters.log import Record
from exchange_gateway.ingest import Arrival
from exchange_gateway.native_door.messages import HEADERS_MAX, arrival_of
from exchange_gateway.problems import Problem
from schemas.event import JSON, STRUCTURED, Event
from tests.support import an_event

Headers = list[tuple[str, bytes]]
MOST = 256 * 1024


def read(value: bytes, *headers: tuple[str, Any]) -> Arrival:
    return arrival_of(Record("in.0671", 7, 1_795_000_000_000, None, value, headers), MOST)


def refused(value: bytes, *headers: tuple[str, Any]) -> str:
    parsed = read(value, *headers).parsed
    assert isinstance(parsed, Problem)
    return parsed.type.name


def binary(event: dict[str, Any]) -> Headers:
    return [(f"ce_{name}", text.encode()) for name, text in event.items() if name != "data"]


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", STRUCTURED.encode())],
        [("Content-Type", b"application/cloudevents+json; charset=UTF-8")],
        [],
        [("x-trace", b"anything")],
        [("content-type", STRUCTURED.encode()), ("ce_id", b"another"), ("ce_type", b"whatever")],
    ],
    ids=["as the binding says", "with its charset", "no header", "others' headers", "its attributes beside it"],
)
def test_structured(headers: Headers) -> None:
    """By the content type, or where nothing says that it is binary; the bytes are the event."""
    raw = json.dumps(an_event()).encode()
    assert read(raw, *headers) == Arrival(raw)


def test_binary() -> None:
    """Attributes in headers, `data` in the value, as they came in structured mode; no percent-encoding on Kafka."""
    event = an_event(id="ansøgning 7 %41")
    data = json.dumps(event["data"]).encode()
    for more in ([("content-type", b"application/json")], [("content-type", b"application/json; charset=utf-8")], []):
        parsed = read(data, *binary(event), *more).parsed
        assert isinstance(parsed, Event)
        assert {**parsed.attributes, "datacontenttype": JSON} == {**event, "datacontenttype": JSON}


def test_what_is_neither() -> None:
    """Another type, a batch, binary without attributes: each told apart."""
    event = an_event()
    data = json.dumps(event["data"]).encode()
    assert refused(data, ("content-type", b"application/json")) == "unsupported-media-type"
    assert refused(data, *binary(event), ("content-type", b"application/xml")) == "unsupported-media-type"
    assert refused(b"[]", ("content-type", b"application/cloudevents-batch+json")) == "unsupported-media-type"
    assert refused(data, ("content-type", b"application/cloudevents+json; charset=latin1")) == "unsupported-media-type"
    without_version = [pair for pair in binary(event) if pair[0] != "ce_specversion"]
    assert refused(data, *without_version) == "unsupported-media-type"


def test_hostile_headers() -> None:
    """Twice, too many, no UTF-8, no value, unknown attributes."""
    event = an_event()
    data = json.dumps(event["data"]).encode()
    assert refused(data, *binary(event), ("ce_id", b"second")) == "not-an-event"
    assert refused(data, *binary(event), *[("x", b"")] * HEADERS_MAX) == "not-an-event"
    assert refused(data, *binary(event), ("ce_traceparent", b"\xff\xfe")) == "unreadable"
    assert refused(data, *binary(event), ("ce_traceparent", None)) == "not-an-event"
    assert refused(data, *binary(event), ("ce_\ufffd\ufffd", b"x")) == "not-an-event"
    assert refused(data, *binary(event), ("ce_data", b"{}")) == "not-an-event"
    assert refused(b'{"a": NaN}', *binary(event)) == "unreadable"
    assert refused(b"", *binary(event)) == "unreadable"
    assert refused(b"x" * (MOST + 1)) == "body-too-large"
    assert refused(b'"' + b"x" * (MOST - 10) + b'"', *binary(event), ("ce_x", b"y" * 100)) == "body-too-large"


NAMES = st.sampled_from(["ce_id", "ce_source", "ce_specversion", "content-type", "ce_data"]) | st.text(max_size=10)
VALUES = st.none() | st.binary(max_size=40) | st.just(b"1.0") | st.just(STRUCTURED.encode())


@given(st.binary(max_size=300), st.lists(st.tuples(NAMES, VALUES), max_size=80))
def test_whatever_comes(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    """Nothing that a producer can write stops the intake."""
    assert isinstance(read(value, *headers), Arrival)
