"""What a replay is asked for, which records answer it, in which order, and how each is written."""

import json
from operator import itemgetter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapters.log import Page, Record
from exchange_gateway.core.replay import (
    CHUNK_BYTES,
    Bound,
    Buffer,
    Chunks,
    ReplayRequest,
    Run,
    Selection,
    WrongParameter,
    parse_request,
    take_ready,
)
from schemas.event import format_time
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
    assert [one for one in (ORDER, FORWARDED, RETRACTED) if selection.keeps(one.value)] == kept


def test_a_cvr_is_found_however_its_publisher_spelled_it() -> None:
    """Stored bytes are the publisher's own, and JSON lets a digit be written as an escape."""
    spelled = ORDER._replace(value=ORDER.value.replace(b'"93100018"', b'"\\u00393100018"'))
    assert spelled.value != ORDER.value
    assert Selection(ReplayRequest(cvr="93100018")).keeps(spelled.value)


def test_a_cvr_elsewhere_in_an_event_is_not_the_companys() -> None:
    """A number in a description must not bring another company's order into an answer."""
    other = record("pub.0671.job-order", published(company={"cvr": "93100018x"}, description="som 93100018"))
    assert not Selection(ReplayRequest(cvr="93100018")).keeps(other.value)


def run_of(records: list[Record]) -> Run:
    """Return records in columns."""
    topics, offsets, times_ms, _, values, _ = zip(*records, strict=True)
    return Run(topics, offsets, times_ms, values)


def test_a_line_ends_with_the_stored_bytes() -> None:
    """Keys stand in their order, and what was stored is not written anew, blanks and all."""
    stored = Record("pub.0671.visit", 7, 1_795_000_000_042, b"k", b'{ "id" : "\\u00e6 %b" }', ())
    chunks = Chunks(Selection(ReplayRequest()))
    assert list(chunks.add(run_of([stored]))) == []
    assert chunks.rest() == (
        b'{"topic":"pub.0671.visit","offset":7,"recordedAt":"2026-11-18T11:06:40.042Z",'
        b'"event":{ "id" : "\\u00e6 %b" }}\n'
    )
    assert chunks.rest() == b""


@given(st.lists(st.integers(-1, 2**42), min_size=1, max_size=20))
def test_a_time_is_written_as_everywhere_else(times_ms: list[int]) -> None:
    """To the millisecond, in whatever order times come."""
    chunks = Chunks(Selection(ReplayRequest()))
    assert not list(chunks.add(run_of([Record("t", 0, at_ms, None, b"1") for at_ms in times_ms])))
    written = [json.loads(line)["recordedAt"] for line in chunks.rest().splitlines()]
    assert written == [format_time(at_ms * 1000) for at_ms in times_ms]


def test_lines_are_sent_in_large_pieces() -> None:
    """Each piece holds whole lines, and together they are all of them, however they were read."""
    records = [
        Record("pub.0671.visit", number, 1_795_000_000_000 + number, None, b'"%b"' % (b"x" * number))
        for number in range(3000)
    ]
    chunks = Chunks(Selection(ReplayRequest()))
    parts = [records[:1], records[1:2], records[2:2900], records[2900:]]
    pieces = [piece for part in parts for piece in chunks.add(run_of(part))] + [chunks.rest()]
    assert all(0.9 * CHUNK_BYTES < len(piece) < 1.1 * CHUNK_BYTES for piece in pieces[:-1])
    assert all(piece.endswith(b"}\n") for piece in pieces)
    assert [json.loads(line)["offset"] for line in b"".join(pieces).splitlines()] == list(range(3000))


def test_what_is_selected_is_written_alone() -> None:
    """Of a run that holds other events as well, and of one that holds nothing else."""
    chunks = Chunks(Selection(ReplayRequest(subject="1002")))
    orders = [record("pub.0671.job-order", published(subject)) for subject in ("1001", "1002", "1003")]
    assert list(chunks.add(run_of(orders))) == list(chunks.add(run_of(orders[:1]))) == []
    assert [json.loads(line)["event"]["subject"] for line in chunks.rest().splitlines()] == ["1002"]


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
    merged: list[tuple[str, int, int, bytes]] = []
    while any(ahead) or any(map(len, buffers)):
        for buffer, rest in zip(buffers, ahead, strict=True):
            if not len(buffer) and rest:
                count = data.draw(st.integers(1, 4))
                buffer.add(Page(buffer.topic, *map(list, run_of(rest[:count])[1:])))
                del rest[:count]
            buffer.complete = not rest
        run = take_ready(buffers)
        merged += zip(run.topics, *run[1:], strict=False) if run else []
    expected = sorted((one for records in topics for one in records), key=itemgetter(2, 0, 1))
    assert merged == [(topic, offset, at_ms, value) for topic, offset, at_ms, _, value, _ in expected]
