"""CloudEvents as an `Event`: three ways in, one content; a wrong envelope cannot exist."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import dates
from schemas.event import Event, InvalidEvent, Violation, digest, format_time, parse_time
from schemas.identifiers import InvalidIdentifier
from schemas.strict_json import UnreadableJson
from tests.schemas.test_examples import EXAMPLES
from tests.schemas.test_strict_json import values

KEY = b"k" * 32
RAW = next(path for path in EXAMPLES if path.stem == "struer-klejnsmede-aaben").read_bytes()


def event(**change: Any) -> dict[str, Any]:
    return {**orjson.loads(RAW), **change}


def refusal(value: Any, *, stored: bool = False) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        Event.from_json(value, stored=stored)
    assert refused.value.problem == "not-an-event"
    assert refused.value.violations
    return refused.value


def headers_of(attributes: dict[str, Any], safe: str = "") -> dict[str, str]:
    return {f"ce-{name}": quote(value, safe=safe) for name, value in attributes.items() if name != "data"}


def test_an_event_gives_its_parts() -> None:
    """What others ask of an event stands in its properties."""
    one = Event.parse(RAW)
    assert (one.name, one.participant, one.source.system) == ("job-order", "0671", "opera")
    assert one.subject == one.data["jobOrderId"] == "1bd7bbe1-98a6-5d32-bd68-c7157fb4547c"
    assert one.id == one.subject + "-1"
    assert str(one.dataschema) == "urn:kommunebro:schema:job-order:1.0"
    assert format_time(one.time_us) == "2026-11-16T07:15:00.000Z"


@pytest.mark.parametrize("value", [None, 1, "x", [], [{}], True, {}, {"data": {}}])
def test_what_is_no_envelope_is_refused(value: Any) -> None:
    """Any JSON may come; each is answered with what is missing."""
    refusal(value)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time", "dataschema", "data"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, ["x"]], ids=str)
def test_an_attribute_of_the_wrong_type_is_refused_at_its_place(name: str, value: Any) -> None:
    """Null counts as missing (CloudEvents JSON format, 2.2), any other type is named."""
    pointers = {violation.pointer for violation in refusal(event(**{name: value})).violations}
    missing_id = name == "data" and value == {}
    assert pointers == {"" if value is None else "/data" if missing_id else f"/{name}"}


def test_a_null_attribute_was_not_set() -> None:
    """An optional attribute may be null, also one that only Kommunebro sets."""
    one = Event.from_json(event(traceparent=None, datacontenttype=None, owner=None))
    assert one.attributes.keys() & {"traceparent", "datacontenttype", "owner"} == set()


@pytest.mark.parametrize("name", ["recordedtime", "recordedby", "owner", "alliance", "forwardedtime", "causedby"])
def test_only_kommunebro_sets_some_attributes(name: str) -> None:
    """A publisher can't claim what the gateway or the forwarder says; in the log it is there."""
    assert refusal(event(**{name: "0671"})).violations[0].pointer == f"/{name}"
    assert Event.from_json(event(**{name: "0671"}), stored=True).attributes[name] == "0671"


def test_a_shared_view_is_for_the_forwarder_only() -> None:
    """A publisher can't pass by what the full schema requires; a forwarded event is read from the log."""
    shared = event(dataschema="urn:kommunebro:schema:job-order-shared:1.0")
    assert refusal(shared).violations[0].pointer == "/dataschema"
    assert Event.from_json(shared, stored=True).name == "job-order"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "1.1"),
        ("id", ""),
        ("id", "x" * 129),
        ("id", "a\x00"),
        ("id", "a\x7f"),
        ("id", "a\x85"),
        ("source", "urn:kommunebro:0671"),
        ("source", "urn:kommunebro:671:opera"),
        ("source", "urn:kommunebro:Struer:opera"),
        ("source", "urn:kommunebro:0671:opera\n"),
        ("source", "urn:kommunebro:٠٦٧١:opera"),
        ("source", "//0671/opera"),
        ("type", "job-order"),
        ("type", "dk.kommunebro."),
        ("type", "dk.kommunebro.job-order\n"),
        ("time", "2026-11-16"),
        ("time", "2026-11-16 08:05:00+01:00"),
        ("time", "2026-11-16T08:05:00"),
        ("time", "2026-11-16T08:05:00Z\n"),
        ("time", "2026-11-16T24:00:00Z"),
        ("time", "2026-11-16T08:05:00+24:00"),
        ("time", "2026-11-16T08:05:00+01:60"),
        ("time", "2026-02-29T08:05:00Z"),
        ("time", "0000-01-01T00:00:00Z"),
        ("dataschema", "urn:kommunebro:schema:job-order"),
        ("dataschema", "urn:kommunebro:schema:job-order:1"),
        ("dataschema", "urn:kommunebro:schema:visit:1.0"),
        ("dataschema", "https://kommunebro.example/job-order/1.0"),
        ("datacontenttype", "application/xml"),
        ("traceparent", "00-0"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(name: str, value: str) -> None:
    """Each attribute has its form, and the refusal says which one is wrong, and only that."""
    assert [violation.pointer for violation in refusal(event(**{name: value})).violations] == [f"/{name}"]


def test_subject_and_id_in_the_data_are_one() -> None:
    """Another id, or none, is refused in the data; a subject that is no subject in itself."""
    other, none = event(), event()
    other["data"]["jobOrderId"] = 1001
    del none["data"]["jobOrderId"]
    assert refusal(other).violations[0].pointer == "/data/jobOrderId"
    assert refusal(none).violations[0] == Violation("/data", "required", "'jobOrderId' is missing.", "jobOrderId")
    other["subject"] = other["data"]["jobOrderId"] = "jobordre 1"
    assert [violation.pointer for violation in refusal(other).violations] == ["/subject"]


def test_everything_wrong_is_told_at_once() -> None:
    """Nobody has to send an event five times to hear five things."""
    wrong = event(specversion="0.3", id="", source="struer", time="i dag", dataschema="1.0")
    pointers = {violation.pointer for violation in refusal(wrong).violations}
    assert pointers == {"/specversion", "/id", "/source", "/time", "/dataschema"}


def test_a_refusal_names_the_event_where_it_can() -> None:
    """A batch's sender finds the bad one by its id; an endless id is cut."""
    assert refusal(event(time="i dag")).event_id == event()["id"]
    assert refusal(event(id="x" * 1000)).event_id == "x" * 128
    assert refusal(event(id=1)).event_id is None


def test_a_thousand_strange_attributes_are_not_all_told() -> None:
    """The answer stays small, whatever comes."""
    error = refusal(event(**{f"x{number}" * 50: number for number in range(1000)}))
    assert len(str(error.violations)) < 30_000


@given(st.dictionaries(st.sampled_from([*event(), "owner", "x"]) | st.text(max_size=5), values, max_size=4))
def test_any_envelope_is_taken_or_refused(change: dict[str, Any]) -> None:
    """There is no third way out, and a refusal always says what is wrong."""
    for stored in (False, True):
        violations: Any = "none"
        try:
            Event.from_json({**event(), **change}, stored=stored)
        except InvalidEvent as error:
            violations = error.violations
        assert violations


# --- binary mode ----------------------------------------------------------------------------------


plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(plain, plain.map("urn:kommunebro:0671:".__add__), values)
def test_binary_and_structured_mode_carry_one_content(event_id: str, other: str, extra: Any) -> None:
    """The same event through either door has the same attributes and the same digest."""
    attributes = event(id=event_id, data={**event()["data"], "extra": extra})
    structured = Event.parse(json.dumps(attributes).encode())
    binary = Event.from_binary(headers_of(attributes), orjson.dumps(attributes["data"]))
    assert binary.attributes == structured.attributes
    assert digest(binary.attributes, KEY) == digest(structured.attributes, KEY)
    assert other


def test_old_quoted_headers_are_read() -> None:
    """Double quotes, as CloudEvents 1.0.0 wrote them, are taken off before percent signs are read."""
    headers = headers_of(event(), safe=":-+") | {"ce-id": '"a \\"b\\" 50%25"'}
    assert Event.from_binary(headers, orjson.dumps(event()["data"])).id == 'a "b" 50%'


@pytest.mark.parametrize("value", ["%ff", "%ed%a0%80", "%c0%af"])
def test_a_header_that_is_no_text_is_refused(value: str) -> None:
    """Percent signs that make no UTF-8 are a wrong envelope, not a failure."""
    with pytest.raises(InvalidEvent) as refused:
        Event.from_binary(headers_of(event()) | {"ce-id": value}, b"{}")
    assert refused.value.violations[0].pointer == "/id"


def test_a_binary_body_is_read_as_strictly_as_any() -> None:
    """A key that stands twice in the body is refused, and a body that is no object, too."""
    with pytest.raises(UnreadableJson):
        Event.from_binary(headers_of(event()), b'{"a":1,"a":2}')
    with pytest.raises(InvalidEvent):
        Event.from_binary(headers_of(event()), b"[]")


def test_a_data_header_is_not_the_data() -> None:
    """The body is."""
    headers = headers_of(event()) | {"ce-data": "{}"}
    assert Event.from_binary(headers, orjson.dumps(event()["data"])).data == event()["data"]


# --- the digest -----------------------------------------------------------------------------------


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def respelled(value: Any) -> Any:
    """Return the value with each integer as a float, and the other way round where it is whole."""
    if isinstance(value, dict):
        return {key: respelled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [respelled(item) for item in value]
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    return value


@given(values)
def test_the_digest_is_of_the_content_not_its_spelling(extra: Any) -> None:
    """The order of keys, 37 or 37.0, and what the door adds make no other event."""
    attributes = event(data={**event()["data"], "extra": extra})
    other = respelled(shuffled(attributes)) | {"traceparent": f"00-{'1' * 32}-{'1' * 16}-01"}
    other.pop("datacontenttype")
    assert digest(attributes, KEY) == digest(other, KEY)


@given(values, values)
def test_other_content_has_another_digest(one: Any, other: Any) -> None:
    """Wherever it differs: equal digests mean equal values, true not being 1."""
    same = digest(event(data={"x": one}), KEY) == digest(event(data={"x": other}), KEY)
    assert same == (_typed(one) == _typed(other))


def _typed(value: Any) -> Any:
    """Return a value that is equal where JSON's values are: true is not 1, and 1.0 is."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return [_typed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["id", "source", "subject", "time", "type", "dataschema"])
def test_every_attribute_counts(name: str) -> None:
    """A changed attribute is another content."""
    assert digest(event(), KEY) != digest(event(**{name: "x"}), KEY)


def test_the_digest_has_a_key_and_sixty_bits() -> None:
    """Without the key nothing can be told from it; 60 bits fit an SQLite integer and a double index."""
    assert digest(event(), KEY) != digest(event(), b"l" * 32)
    assert 0 <= digest(event(), KEY) < 2**60
    assert digest(event(), KEY) == digest(deepcopy(event()), KEY)


# --- time -----------------------------------------------------------------------------------------

zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), zones)  # noqa: DTZ001
def test_every_time_of_every_zone_is_read_to_the_microsecond(time: datetime, zone: timezone) -> None:
    """The instant counts, not the way it is written."""
    at = time.replace(tzinfo=zone)
    expected = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(at.isoformat()) == expected
    assert parse_time(at.isoformat().lower()) == expected


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_written_time_is_read_back(time_ms: int) -> None:
    """`format_time` and `parse_time` are each other's inverse, to the millisecond."""
    text = format_time(time_ms * 1000)
    assert parse_time(text) == time_ms * 1000
    assert len(text) == len("2026-11-23T08:05:00.000Z")


def test_finer_digits_are_cut_off() -> None:
    """A nanosecond clock is taken, to the microsecond."""
    assert parse_time("1970-01-01T00:00:00.123456999Z") == 123_456
    assert parse_time("1970-01-01T00:00:00.1Z") == 100_000


def test_a_leap_second_is_the_second_after_it() -> None:
    """RFC 3339 has it where UTC has it, in any zone, and nowhere else."""
    after = parse_time("2017-01-01T00:00:00Z")
    assert parse_time("2016-12-31T23:59:60Z") == parse_time("2017-01-01T00:59:60+01:00") == after
    assert parse_time("2016-12-31T23:59:60.25z") == after + 250_000
    with pytest.raises(InvalidIdentifier):
        parse_time("2016-12-31T23:58:60Z")


@given(st.text("0123456789-T:+Z. 60", max_size=30) | st.text(max_size=30))
def test_a_text_is_a_time_or_refused(text: str) -> None:
    """What is read is an RFC 3339 time; nothing else happens."""
    try:
        parse_time(text)
    except InvalidIdentifier:
        return
    assert dates.is_date_time(text)
