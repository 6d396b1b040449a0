"""JSON from strangers: one meaning, or refused."""

import json
import math
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import strict_json
from schemas.strict_json import DEPTH_MAX, UnreadableJson

REFUSED = {
    "nothing": b"",
    "white space": b" ",
    "not JSON": b"{jobordre}",
    "two values": b"{}{}",
    "a comma too many": b"[1,]",
    "a single quote": b"{'a':1}",
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "a number beyond doubles": b'{"a":1e400}',
    "a byte-order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "bad UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"\\udc00":1}',
    "a control character": b'{"a":"\n"}',
    "a leading zero": b"[01]",
    "a duplicate key": b'{"a":1,"a":1}',
    "a duplicate key far down": b'[{"b":[{"a":1,"c":2,"a":3}]}]',
    "a duplicate key, spaced": b'{"a" : 1, "a"\n: 2}',
    "a duplicate key, spelled otherwise": b'{"a":1,"\\u0061":1}',
    "a duplicate Danish key": b'{"\xc3\xa6":1,"\\u00e6":1}',
    "a duplicate key beside texts that begin with a colon": b'{"a":1,"a":1,"b":"\\u003a"}',
    "a duplicate key beside escaped quotes": b'{"a":"\\"","a":"\\\\"}',
    "a duplicate empty key": b'{"":1,"":2}',
    "an integer beyond 2^53": b'{"a":9007199254740993}',
    "a negative integer beyond 2^53": b'{"a":-9007199254740993}',
    "an integer beyond 2^64": b'{"a":18446744073709551616}',
    "an endless integer": b'{"a":' + b"9" * 5000 + b"}",
    "depth 65": b"[" * 65 + b"]" * 65,
    "depth 65 of objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "depth 65 after flat things": b"[" + b"[]," * 100 + b"[" * 64 + b"]" * 64 + b"]",
    "depth 100,000": b"[" * 100_000,
}
TAKEN = {
    "an object": b'{"a":1,"b":[true,null,"x"]}',
    "one key in two objects": b'[{"a":1},{"a":1}]',
    "2^53": b"[9007199254740992,-9007199254740992]",
    "many digits in a text": b'{"a":"12345678901234567890"}',
    "many digits behind the point": b"[0.12345678901234567890]",
    "depth 64": b"[" * 64 + b"]" * 64,
    "brackets in a text": b'["' + b"[" * 100 + b'","\\"' + b"{" * 100 + b'"]',
    "a text that begins with a colon": b'{"a":": b","c":"\\u003a"}',
    "an escaped slash": b'{"a":"\\/"}',
    "both surrogates": b'"\\ud83d\\ude00"',
    "white space around": b' {"a" : 1 }\r\n',
    "a bare value": b"1",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_has_no_single_meaning_is_refused(raw: bytes) -> None:
    """Each is refused with words, never with another exception."""
    with pytest.raises(UnreadableJson) as refusal:
        strict_json.loads(raw)
    assert refusal.value.detail.endswith(".")
    assert len(refusal.value.detail) < 200


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
def test_what_has_one_meaning_is_read(raw: bytes) -> None:
    """Each is read as the standard library reads it."""
    assert strict_json.loads(raw) == json.loads(raw)


keys = st.sampled_from(["a", ":", '"', "\\", "æ", "", " ", "\u0001", "ab", ":a", "\\:", '":', "\t", "\x7f", "\u2028"])
texts = keys | st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
spellings = st.sampled_from(
    [{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}, {"separators": (" ,\n", "\t: ")}]
)


@given(values, spellings)
def test_every_spelling_of_a_value_is_read(value: Any, spelling: dict[str, Any]) -> None:
    """Spaces and escapes change nothing, and no key is thought to stand twice."""
    assert strict_json.loads(json.dumps(value, **spelling).encode()) == value


@given(st.lists(st.tuples(texts, values), min_size=1, max_size=4), st.data(), spellings)
def test_a_key_that_stands_twice_is_always_found(
    pairs: list[tuple[str, Any]], data: st.DataObject, spelling: dict[str, Any]
) -> None:
    """Wherever, however spelled, and whatever stands beside it."""
    twice = data.draw(st.sampled_from(pairs))[0]
    written = [*pairs, (twice, data.draw(values))]
    raw = "{" + ",".join(f"{_spelled(data, key)}:{json.dumps(value, **spelling)}" for key, value in written) + "}"
    with pytest.raises(UnreadableJson, match="stands twice"):
        strict_json.loads(raw.encode())


def _spelled(data: st.DataObject, text: str) -> str:
    plain = data.draw(st.booleans())
    spelled = json.dumps(text, ensure_ascii=False) if plain else '"' + "".join(map(_escape, text)) + '"'
    return spelled + data.draw(st.sampled_from(["", " ", "\n"]))


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


@given(st.binary(max_size=40) | st.text('{}[]",:01e.-\\u tnf', max_size=30).map(str.encode))
def test_any_bytes_are_read_as_the_standard_library_reads_them_or_refused(raw: bytes) -> None:
    """There is no third way out."""
    try:
        value = strict_json.loads(raw)
    except UnreadableJson:
        return
    assert value == json.loads(raw)


@given(st.integers(1, 2 * DEPTH_MAX), st.text('["{}]\\', max_size=5), st.booleans())
def test_the_depth_is_counted_exactly(depth: int, text: str, as_object: bool) -> None:
    """64 levels are read, 65 are not, brackets inside texts left out."""
    opening, closing = (f"{{{json.dumps(text)}:", "}") if as_object else ("[", "]")
    raw = (opening * depth + json.dumps([text] * 40) + closing * depth).encode()
    if depth + 1 <= DEPTH_MAX:
        assert strict_json.loads(raw) == json.loads(raw)
    else:
        with pytest.raises(UnreadableJson):
            strict_json.loads(raw)


def test_a_hostile_body_is_answered_in_time() -> None:
    """Flat, deep, or full of keys: a megabyte is read or refused in a second or so."""
    bodies = [
        b"[" + b",".join([b"[" * 60 + b"]" * 60] * 8000) + b"]",
        orjson.dumps({str(number): number for number in range(60_000)}).replace(b":", b" : "),
        b'["' + b"\\\\" * 500_000 + b'"]',
        b"[" + b"1234567890123456," * 60_000 + b"0]",
    ]
    for body in bodies:
        begun = time.process_time()
        strict_json.loads(body)
        assert time.process_time() - begun < 3


def test_numbers_keep_their_values() -> None:
    """Floats are read to the nearest double, a negative zero is no other number."""
    read = strict_json.loads(b"[0.1,1e2,-0.0,1.7976931348623157e308]")
    assert read == [0.1, 100.0, 0, 1.7976931348623157e308]
    assert math.copysign(1, read[2]) == -1
