"""Read JSON the way a stranger's bytes must be read: one meaning, or refused.

orjson is fast and refuses NaN, a byte-order mark, bad UTF-8 and lone surrogates. Two of its habits
are not for us: the last of two equal keys wins, and integers beyond 64 bits turn into floats.
RFC 7493 (I-JSON) is the source of the rules. Whatever can be shown to be harmless by counting bytes is;
only the rest is parsed a second time.
"""

import json
import re
from itertools import accumulate
from typing import Any, NoReturn

import orjson

DEPTH_MAX = 64
"""Nested objects and arrays in one value. Deep nesting is only ever an attack on a parser."""

INTEGER_MAX = 2**53
"""Larger integers change their value in readers that know only doubles (RFC 7493, section 2.2)."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SIXTEEN_DIGITS = b"0" * len(str(INTEGER_MAX))
_ESCAPED_ASCII = re.compile(rb"\\u00[0-7]")


class UnreadableJson(ValueError):
    """The bytes are not JSON that has one meaning. `detail` says what is wrong, in English."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def loads(raw: bytes) -> Any:
    """Parse `raw`, or raise `UnreadableJson`."""
    if raw.startswith(_BYTE_ORDER_MARK):
        raise UnreadableJson("The text begins with a byte-order mark; send UTF-8 without one.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnreadableJson(f"Not JSON: {error}.") from None
    # Every level takes an opening bracket, so few brackets prove that the depth is fine.
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _is_too_deep(raw):
        raise UnreadableJson(f"Objects and arrays are nested deeper than {DEPTH_MAX} levels.")
    try:
        again = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        # An integer of 2^53 or more.
        again = b""
    # When dumping gives the same bytes, no key stood twice, and no large integer became a float.
    if again != raw and not (again and _is_harmless(raw, again)):
        _check_slowly(raw)
    return value


def _is_too_deep(raw: bytes) -> bool:
    """Whether valid JSON has more than `DEPTH_MAX` levels, brackets inside texts left out."""
    outside_texts = b"".join(_without_escapes(raw).split(b'"')[::2])
    steps = map(_STEPS.__getitem__, outside_texts.translate(None, _NOT_BRACKETS))
    return max(accumulate(steps), default=0) > DEPTH_MAX


def _without_escapes(raw: bytes) -> bytes:
    """Take out escaped backslashes and quotes, so that every quote left begins or ends a text."""
    return raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw


def _is_harmless(raw: bytes, again: bytes) -> bool:
    """Whether counting shows that no key stood twice, and that no integer is beyond 2^53."""
    # Such an integer has 16 digits in a row.
    return _SIXTEEN_DIGITS not in raw.translate(_DIGITS_AS_ZERO) and has_each_key_once(raw, again)


def has_each_key_once(raw: bytes, again: bytes) -> bool:
    r"""Whether counting shows that `raw` has as many keys as what was read from it; False where it can't tell.

    A colon after a quote ends a key, or begins a text, in both alike: not where an ASCII character is
    spelled as `\u00..`, so such a text is not counted.
    """
    return not _ESCAPED_ASCII.search(raw) and _colons_after_quotes(raw) == _colons_after_quotes(again)


def _colons_after_quotes(raw: bytes) -> int:
    return _without_escapes(raw).translate(None, _SPACE).count(b'":')


def _check_slowly(raw: bytes) -> None:
    """Parse once more with the standard library's hooks, which see every key and every integer."""
    try:
        json.loads(raw, object_pairs_hook=_no_key_twice, parse_int=_small_integer, parse_constant=_no_constant)
    except (RecursionError, ValueError) as error:
        if isinstance(error, UnreadableJson):
            raise
        raise UnreadableJson(f"Not JSON: {error}.") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise UnreadableJson(f"The key {key[:64]!r} stands twice in one object.")
        seen.add(key)


def _small_integer(digits: str) -> int:
    # The length first: turning a very long text of digits into an integer is slow by itself.
    if len(digits) > len(str(-INTEGER_MAX)) or abs(int(digits)) > INTEGER_MAX:
        raise UnreadableJson("An integer lies beyond 2^53, where not every reader keeps its value.")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise UnreadableJson(f"{name} is not JSON.")
