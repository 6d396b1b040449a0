"""The quick way in takes nothing that the careful way refuses, and finds the same content in what it takes."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event, InvalidEvent, canonical
from schemas.identifiers import ID_PROPERTIES, EventName
from schemas.packaged import full_schemas
from schemas.quick import QuickReader
from schemas.registers import Registers
from schemas.registry import Registry
from schemas.rules import Rules
from schemas.strict_json import UnreadableJson
from tests.schemas.strategies import HOSTILE, instances, mutated
from tests.schemas.test_agreement import relaxed
from tests.schemas.test_examples import COUNTEREXAMPLES, EXAMPLES

REGISTRY = Registry.load()
BY_NAME = {schema["$id"].split(":")[-2]: schema for schema in full_schemas()}
CAREFUL_EXAMPLES_MAX = 2
"""Examples with a foreign company or the like; what is usual must go the quick way."""


def envelope(name: str, data: Any) -> dict[str, Any]:
    thing_id = data.get(ID_PROPERTIES[EventName(name)]) if isinstance(data, dict) else "1001"
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": "urn:kommunebro:0671:opera",
        "type": f"dk.kommunebro.{name}",
        "subject": thing_id,
        "time": "2026-11-23T08:05:00+01:00",
        "dataschema": f"urn:kommunebro:schema:{name}:1.0",
        "data": data,
    }


def agrees(raw: bytes) -> bool:
    """Whether the quick way took it; if so, the careful way must take it too, as the same."""
    reading = REGISTRY.quick.read(raw)
    if reading is None:
        return False
    try:
        event = Event.parse(raw)
        REGISTRY.check(event)
    except (UnreadableJson, InvalidEvent) as error:
        raise AssertionError(f"Taken quickly, but refused: {error}") from error
    assert reading.canonical == canonical(event.attributes)
    assert (reading.event_id, reading.subject, reading.name) == (event.id, event.subject, event.name)
    assert (reading.source, reading.participant) == (event.attributes["source"], event.participant)
    assert (reading.time, reading.time_us) == (event.attributes["time"], event.time_us)
    return True


def test_every_schema_has_a_quick_way() -> None:
    """No schema says something that only the careful way understands."""
    quick = QuickReader(full_schemas(), Rules(Registers.load().municipality_codes, check_modulus=True))
    assert len(quick._ways) == len(full_schemas())


@pytest.mark.parametrize("spell", [orjson.dumps, lambda event: json.dumps(event).encode()], ids=["compact", "ascii"])
def test_usual_examples_go_the_quick_way(spell: Any) -> None:
    """All but a few of the realistic examples are taken, as a client in JavaScript or Python spells them."""
    taken = [agrees(spell(orjson.loads(path.read_bytes()))) for path in EXAMPLES]
    assert taken.count(False) <= CAREFUL_EXAMPLES_MAX


def test_no_counterexample_is_taken() -> None:
    """One for each rule of the dataset."""
    for path in COUNTEREXAMPLES:
        event = orjson.loads(path.read_bytes())
        event.pop("x-fails-at", None)
        assert REGISTRY.quick.read(orjson.dumps(event)) is None, path


@pytest.mark.parametrize("name", EventName)
@settings(relaxed, max_examples=60)
@given(data=st.data())
def test_it_agrees_on_right_and_on_mutated_events(name: EventName, data: st.DataObject) -> None:
    """Whatever is done to the data or to the envelope."""
    made = envelope(name, data.draw(instances(BY_NAME[name])))
    agrees(orjson.dumps(made))
    agrees(json.dumps(data.draw(mutated(st.just(made))), allow_nan=True).encode("utf-8", "surrogatepass"))


RIGHT = [orjson.dumps(orjson.loads(path.read_bytes())) for path in EXAMPLES]
PIECES = st.sampled_from(
    [
        *(b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b" ", b"\n", b"\t", b"0", b"1", b"e1", b".0", b"-", b"/**/"),
        *(b"\xff", b"\x00", b"\xc3", b"\\u0061", b"\\ud800", b"null", b"NaN", b'"id":', b'"id":"x",', b'"data":{}'),
    ]
)


@settings(relaxed, max_examples=1500)
@given(raw=st.sampled_from(RIGHT), cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), PIECES), max_size=3))
def test_it_agrees_on_damaged_bytes(raw: bytes, cuts: list[tuple[float, int, bytes]]) -> None:
    """Bytes taken out, and others put in, anywhere."""
    for where, length, piece in cuts:
        at = int(where * len(raw))
        raw = raw[:at] + piece + raw[at + length :]
    agrees(raw)


HOURS = orjson.dumps(
    next(event for event in map(orjson.loads, RIGHT) if "min" in event["data"].get("hoursPerWeek", {}))
    | {"id": "hours"}
)
SPELLED = st.one_of(
    st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats(allow_nan=False).map(repr),
    st.floats(0, 200).map(repr),
    st.sampled_from(
        ["18.5", "18.50", "37.0", "1.85e1", "185e-1", "1e-1", "99e-3", "0.1", "0.09999", "1000.5", "-0.0", "1e400"]
    ),
)


@settings(relaxed, max_examples=1500)
@given(spelled=SPELLED, twice=st.booleans())
def test_it_agrees_on_numbers_however_they_are_spelled(spelled: str, twice: bool) -> None:
    """A spelling must not hide that a key stands twice, nor become another content."""
    event = orjson.loads(HOURS)
    event["data"]["hoursPerWeek"] = {"min": "hours", "max": 37}
    pair = f'"min":{spelled}'
    agrees(orjson.dumps(event).replace(b'"min":"hours"', f"{pair},{pair}".encode() if twice else pair.encode()))


def test_hours_with_decimals_go_the_quick_way() -> None:
    """Half an hour, and four fifths of 37."""
    event = orjson.loads(HOURS)
    for hours in (18.5, 29.6, 0.25, 37):
        event["data"]["hoursPerWeek"] = {"min": hours, "max": 37}
        assert agrees(orjson.dumps(event)), hours


@pytest.mark.parametrize("raw", RIGHT[::7])
def test_a_key_that_stands_twice_is_never_taken(raw: bytes) -> None:
    """At every place where a key begins, in every spelling of the pair before it."""
    places = [at for at in range(len(raw)) if raw[at - 1 : at] in (b"{", b",") and raw[at : at + 1] == b'"']
    for at in places:
        key = raw[at : raw.find(b'"', at + 1) + 1]
        for pair in (key + b":1,", key + b":1 ,", key + b' :"x",', key + b":1e9,", key + b":{},", key + b':":",'):
            assert REGISTRY.quick.read(raw[:at] + pair + raw[at:]) is None


@settings(relaxed, max_examples=200)
@given(name=st.sampled_from(["id", "time", "source", "subject", "traceparent", "datacontenttype", "x"]), value=HOSTILE)
def test_it_agrees_on_hostile_attributes(name: str, value: Any) -> None:
    """What breaks validators apart, in the envelope."""
    agrees(orjson.dumps({**orjson.loads(RIGHT[0]), name: value}))


@pytest.mark.parametrize(
    "extra", [{"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, {"datacontenttype": "application/json"}]
)
def test_what_is_not_content_does_not_count(extra: dict[str, str]) -> None:
    """A traced client's second try has the same content."""
    event = orjson.loads(RIGHT[0])
    first, again = REGISTRY.quick.read(orjson.dumps(event)), REGISTRY.quick.read(orjson.dumps({**event, **extra}))
    assert first is not None
    assert again is not None
    assert first.canonical == again.canonical
