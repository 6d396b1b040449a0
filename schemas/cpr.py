"""The guard against citizens' numbers in free text.

A CPR number is ten digits, `DDMMYY-NNNN`. Since 2007 it has no check digit, so only its date can be
checked, and one ten-digit number in fourteen has such a day by chance. The rule (docs/dataset.md): refused
is `DDMMYY-NNNN`, however its dash is written, and ten digits with a valid date that are not a P-number
typed in the same event. Digits inside a longer run of digits are some other number. The match is never
told to anybody.
"""

import re
from calendar import monthrange
from collections.abc import Collection

_DIGITS = 10
_MONTHS = range(1, 13)
_LEAP_YEAR = 2000
_REPLACEMENT_DAYS = 60
"""What is added to the day in a replacement number, given to people who have no CPR number yet."""

_DASH = (
    r"\-~\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u207b\u208b\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d"
    r"\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d\U00010ead"
)
_SPACE = r"\s\u2800\u3164"
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20e3\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
)
"""Characters without a width, which would hide that digits stand side by side."""

# Digits with no more than signs and spaces between them; each cluster is looked into by itself.
_CLUSTER = re.compile(rf"\d[\d{_SPACE}{_DASH}./_:]{{8,}}\d")
_CANDIDATE = re.compile(
    rf"""
    (?<!\d)(?=
        (?P<date> \d{{6}} | \d\d\ \d{{4}} | \d{{4}}\ \d\d | \d\d[./\ {_DASH}]\d\d[./\ {_DASH}]\d\d )
        (?: (?P<dash> [{_SPACE}]{{0,3}} [{_DASH}] [{_SPACE}]{{0,3}} (?=\d{{4}}|\d\d[{_SPACE}]\d\d) )
          | (?: [{_SPACE}]{{1,3}} | [./_:] )? (?=\d{{4}}) )
        (?P<serial> \d{{4}} | \d\d[{_SPACE}]\d\d )
        (?!\d)
    )
    """,
    re.VERBOSE,
)
_NO_DIGIT = re.compile(r"\D")

# What UTF-8 bytes to leave out when digits are counted: all of ASCII but digits, the bytes that go on a
# character, and those that begin one up to U+03FF or from U+2000 to U+2FFF, among which no digit is (Unicode
# category Nd; a test holds it). What is left is a digit, or begins a character that may be one.
_DIGITS_OF_ASCII, _GO_ON = range(0x30, 0x3A), range(0x80, 0xC0)
_BEGIN_NO_DIGIT = (*range(0xC0, 0xD0), 0xE2)
_BETWEEN = b"\xff"
_COUNTED_OUT = bytes([byte for byte in range(0x80) if byte not in _DIGITS_OF_ASCII] + [*_GO_ON, *_BEGIN_NO_DIGIT])


def has_few_digits(text: str) -> bool:
    """Whether `text` has too few digits for a CPR number: the quick answer, about 1 µs, for most texts."""
    return len(text.encode().translate(None, _COUNTED_OUT)) < _DIGITS


def holds_cpr(text: str, p_numbers: Collection[str] = ()) -> bool:
    """Whether `text` holds something like a CPR number.

    p_numbers: the P-numbers typed in the same event; they may be named in its texts.
    """
    if has_few_digits(text):
        return False
    return any(
        _is_cpr(match, p_numbers)
        for cluster in _CLUSTER.findall(_UNSEEN.sub("", text))
        for match in _CANDIDATE.finditer(cluster)
    )


def _is_cpr(match: re.Match[str], p_numbers: Collection[str]) -> bool:
    date, serial = _plain_digits(match["date"]), _plain_digits(match["serial"])
    return _is_date(date) and (match["dash"] is not None or date + serial not in p_numbers)


def _plain_digits(text: str) -> str:
    # int() reads the digits of every script, as \d does.
    return "".join(str(int(digit)) for digit in _NO_DIGIT.sub("", text))


def _is_date(digits: str) -> bool:
    """Whether DDMMYY is a day in some century."""
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if month not in _MONTHS:
        return False
    # The seventh digit tells the century, of which 1900 alone has no 29 February 00: near enough.
    days = monthrange(_LEAP_YEAR + year, month)[1]
    return 1 <= day <= days or 1 <= day - _REPLACEMENT_DAYS <= days


def any_holds_cpr(texts: Collection[str], p_numbers: Collection[str] = ()) -> bool:
    """Whether one of the texts holds something like a CPR number; most often answered by one count of digits."""
    # No text holds the byte between them, as UTF-8 has no such byte.
    digits = _BETWEEN.join([text.encode() for text in texts]).translate(None, _COUNTED_OUT)
    if len(digits) < _DIGITS or max(map(len, digits.split(_BETWEEN))) < _DIGITS:
        return False
    return any(holds_cpr(text, p_numbers) for text in texts)
