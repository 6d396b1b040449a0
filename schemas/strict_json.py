"""Read JSON the way a stranger's bytes must be read: one meaning, or refused.

orjson is fast and refuses NaN, a byte-order mark, bad UTF-8 and lone surrogates. Two of its habits
are not for us: the last of two equal keys wins, and integers beyond 64 bits turn into floats.
RFC 7493 (I-JSON) is the source of the rules.
"""

import json
from typing import Any, NoReturn

import orjson

DEPTH_MAX = 64
"""Nested objects and arrays in one value. Deep nesting is only ever an attack on a parser."""

INTEGER_MAX = 2**53
"""Larger integers change their value in readers that know only doubles (RFC 7493, section 2.2)."""


class UnreadableJson(ValueError):
    """The bytes are not JSON that has one meaning. `detail` says what is wrong, in English."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def loads(raw: bytes) -> Any:
    """Parse `raw`, or raise `UnreadableJson`."""
    if raw.startswith(b"\xef\xbb\xbf"):
        raise UnreadableJson("The text begins with a byte-order mark; send UTF-8 without one.")
    # Every level takes an opening bracket, so few brackets prove that the depth is fine.
    if raw.count(b"{") + raw.count(b"[") > DEPTH_MAX and _depth(raw) > DEPTH_MAX:
        raise UnreadableJson(f"Objects and arrays are nested deeper than {DEPTH_MAX} levels.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnreadableJson(f"Not JSON: {error}.") from None
    # When dumping gives back the same bytes nothing was lost in reading: no key twice, and no integer
    # that became a float. Integers between 2^53 and 2^64 survive the round trip; they have 16 digits.
    if orjson.dumps(value) != raw or _has_16_digits(raw):
        _check_slowly(raw)
    return value


def _has_16_digits(raw: bytes) -> bool:
    """Whether 16 digits follow one another anywhere: cheap, and true for every integer beyond 2^53."""
    return b"0000000000000000" in raw.translate(_DIGITS_TO_ZERO)


_DIGITS_TO_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))


def _check_slowly(raw: bytes) -> None:
    """Parse once more with the standard library's hooks, which see every key and every integer."""
    try:
        json.loads(raw, object_pairs_hook=_no_key_twice, parse_int=_small_integer, parse_constant=_no_constant)
    except (RecursionError, ValueError) as error:
        if isinstance(error, UnreadableJson):
            raise
        raise UnreadableJson(f"Not JSON: {error}.") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
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


def _depth(raw: bytes) -> int:
    """Count how deep brackets nest, leaving out those inside texts."""
    depth = deepest = 0
    in_text = escaped = False
    for byte in raw:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
