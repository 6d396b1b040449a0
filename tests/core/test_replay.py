"""What a replay is asked for, which records answer it, in which order, and how each is written."""

import json
from operator import itemgetter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapters.log import Record
from exchange_gateway.core.replay import (
    CHUNK_BYTES,
    Bound,
    Buffer,
    Chunks,
    ReplayRequest,
    Selection,
    WrongParameter,
    parse_request,
    take_ready,
)
from tests.sightings import published, record, retracted, shared

NOW_US = 1_795_000_000_000_000
TOPICS = [
    "alliance.vest.job-order",
    "audit.forwarding",
    "control.agreements",
    "in.0671",
    "pub.0657.visit",
    "pub.0671.job-order",
    "pub.0671.visit",
    "quarantine",
]


def wanted(**given: str) -> list[str]:
    request = parse_request({name.replace("_", "-"): value for name, value in given.items()}, NOW_US)
    return [topic for topic in TOPICS if request.wants(topic)]


def test_without_a_topic_all_that_was_published_or_shared_is_meant() -> None:
    """Control and audit topics are given only to whoever names them."""
    assert wanted() == ["alliance.vest.job-order", "pub.0657.visit", "pub.0671.job-order", "pub.0671.visit"]


@pytest.mark.parametrize(
    ("glob", "topics"),
    [
        ("pub.0671.*", ["pub.0671.job-order", "pub.0671.visit"]),
        ("*.visit", ["pub.0657.visit", "pub.0671.visit"]),
        ("control.*", ["control.agreements"]),
        ("*", [topic for topic in TOPICS if topic != "in.0671"]),
        ("in.*", []),
        ("state.*", []),
        ("pub.0671.job-orde?", ["pub.0671.job-order"]),
        ("pub.9999.visit", []),
    ],
)
def test_a_glob_names_topics(glob: str, topics: list[str]) -> None:
    """* stands for anything, dots included; mailboxes and workers' state are no part of the log proper."""
    assert wanted(topic=glob) == topics


def test_filters_for_events_leave_out_topics_that_cannot_have_them() -> None:
    """A type and a participant are known from the topic's name, and other topics hold no events."""
    assert wanted(type="dk.kommunebro.visit") == wanted(type="visit") == ["pub.0657.visit", "pub.0671.visit"]
    assert wanted(participant="0657") == ["alliance.vest.job-order", "pub.0657.visit"]
    assert wanted(topic="*", subject="1001") == wanted()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("topic", "pub.0671.*; drop"),
        ("topic", "x" * 300),
        ("topic", ""),
        ("from", "yesterday"),
        ("from", "2026-11-22"),
        ("from", "-1"),
        ("to", "2026-13-01T00:00:00Z"),
        ("participant", "671"),
        ("type", "job_order"),
        ("type", "dk.kommunebro.contact"),
        ("subject", "a/b"),
        ("cvr", "1234567"),
        ("as-of", "7"),
        ("as-of", "2027-01-01T00:00:00Z"),
        ("particpant", "0671"),
    ],
)
def test_a_wrong_parameter_is_named(parameter: str, value: str) -> None:
    """Whoever types something else than was meant must not get an answer to another question."""
    with pytest.raises(WrongParameter) as caught:
        parse_request({parameter: value}, NOW_US)
    assert caught.value.parameter == parameter


def test_a_replay_cannot_end_before_it_begins() -> None:
    """An empty answer would look as if nothing had been recorded."""
    with pytest.raises(WrongParameter, match="before"):
        parse_request({"from": "7", "to": "6"}, NOW_US)
    with pytest.raises(WrongParameter, match="before"):
        parse_request({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:00+01:00"}, NOW_US)
    assert parse_request({"from": "7", "to": "7"}, NOW_US).end == Bound(offset=7)


def test_an_instant_between_two_milliseconds_begins_at_the_later() -> None:
    """The log knows whole milliseconds, so .1234 lies after .123 and before .124."""
    request = parse_request({"from": "2026-11-22T10:00:00.1234+01:00", "to": "2026-11-22T10:00:00.1235 01:00"}, NOW_US)
    assert request.begin is not None
    assert request.end is not None
    assert request.begin.at_ms == request.end.at_ms == 1_795_338_000_124


ORDER = record("pub.0671.job-order", published("1001"))
FORWARDED = record("alliance.vest.job-order", shared("vest", "1001", "0671"))
RETRACTED = record("alliance.vest.job-order", retracted("vest", "1001", "0671"))


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (ReplayRequest(), [ORDER, FORWARDED, RETRACTED]),
        (ReplayRequest(subject="1001"), [ORDER, FORWARDED, RETRACTED]),
        (ReplayRequest(subject="100"), []),
        (ReplayRequest(participant="0671"), [ORDER, FORWARDED, RETRACTED]),
        (ReplayRequest(participant="0657"), []),
        (ReplayRequest(cvr="93100018"), [ORDER, FORWARDED]),
        (ReplayRequest(cvr="99999999"), []),
        (ReplayRequest(participant="0671", subject="1001", cvr="93100018"), [ORDER, FORWARDED]),
    ],
)
def test_filters_select_by_what_an_event_says(request_: ReplayRequest, kept: list[Record]) -> None:
    """A subject is the whole id, a participant whoever published it, or whose thing it is; a CVR the company's."""
    selection = Selection(request_)
    assert [one for one in (ORDER, FORWARDED, RETRACTED) if selection.keeps(one)] == kept


def test_a_cvr_is_found_however_its_publisher_spelled_it() -> None:
    """Stored bytes are the publisher's own, and JSON lets a digit be written as an escape."""
    spelled = ORDER._replace(value=ORDER.value.replace(b'"93100018"', b'"\\u00393100018"'))
    assert spelled.value != ORDER.value
    assert Selection(ReplayRequest(cvr="93100018")).keeps(spelled)


def test_a_cvr_elsewhere_in_an_event_is_not_the_companys() -> None:
    """A number in a description must not bring another company's order into an answer."""
    other = record("pub.0671.job-order", published(company={"cvr": "93100018x"}, description="som 93100018"))
    assert not Selection(ReplayRequest(cvr="93100018")).keeps(other)


def test_a_line_ends_with_the_stored_bytes() -> None:
    """Keys stand in their order, and what was stored is not written anew, blanks and all."""
    stored = Record("pub.0671.visit", 7, 1_795_000_000_042, b"k", b'{ "id" : "\\u00e6" }', ())
    chunks = Chunks(Selection(ReplayRequest()))
    assert list(chunks.add([stored])) == []
    assert chunks.rest() == (
        b'{"topic":"pub.0671.visit","offset":7,"recordedAt":"2026-11-18T11:06:40.042Z","event":{ "id" : "\\u00e6" }}\n'
    )
    assert chunks.rest() == b""


def test_lines_are_sent_in_large_pieces() -> None:
    """Each piece holds whole lines, and together they are all of them."""
    records = [
        Record("pub.0671.visit", number, 1_795_000_000_000 + number, None, b'"%b"' % (b"x" * number))
        for number in range(3000)
    ]
    chunks = Chunks(Selection(ReplayRequest()))
    pieces = [*chunks.add(records), chunks.rest()]
    assert all(0.9 * CHUNK_BYTES < len(piece) < 1.1 * CHUNK_BYTES for piece in pieces[:-1])
    assert all(piece.endswith(b"}\n") for piece in pieces)
    assert [json.loads(line)["offset"] for line in b"".join(pieces).splitlines()] == list(range(3000))


@st.composite
def topics_with_times(draw: st.DrawFn) -> list[list[Record]]:
    """Some topics, each with times that never decrease."""
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True))
    steps = st.lists(st.integers(0, 2), max_size=15)
    topics = []
    for name in names:
        at_ms = 0
        records = []
        for offset, step in enumerate(draw(steps)):
            at_ms += step
            records.append(Record(name, offset, at_ms, None, orjson.dumps(offset)))
        topics.append(records)
    return topics


@given(topics_with_times(), st.data())
def test_a_merge_is_sorted_and_whole_however_the_reads_fall(topics: list[list[Record]], data: st.DataObject) -> None:
    """By (recordedAt, topic, offset), although no topic is ever read further ahead than by a few records."""
    buffers = [Buffer(records[0].topic if records else f"empty{index}") for index, records in enumerate(topics)]
    ahead = [list(records) for records in topics]
    merged: list[Record] = []
    while any(ahead) or any(buffer.records for buffer in buffers):
        for buffer, rest in zip(buffers, ahead, strict=True):
            if not buffer.records and rest:
                count = data.draw(st.integers(1, 4))
                buffer.records += rest[:count]
                del rest[:count]
            buffer.complete = not rest
        merged += take_ready(buffers)
    expected = sorted((one for records in topics for one in records), key=itemgetter(2, 0, 1))
    assert merged == expected
