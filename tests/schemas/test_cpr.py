"""The guard against citizens' numbers: what it finds, what it leaves alone, and what would fool a plain check."""

import time
import unicodedata
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import cpr
from schemas.event import Event, InvalidEvent
from schemas.packaged import full_schemas
from schemas.registry import Registry
from tests.schemas.test_examples import EXAMPLES

REGISTRY = Registry.load()
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]

ARABIC, FULL_WIDTH, MATHEMATICAL = (
    {ord("0") + digit: chr(zero + digit) for digit in range(10)} for zero in (0x660, 0xFF10, 0x1D7CE)
)
FOUND = [
    "020384-1111",
    "Spørg efter Anna (cpr 020384-1111).",
    "0203841111",
    "cpr0203841111",
    "x0203841111y",
    "CPR:020384 1111",
    "020384 - 1111",
    "02.03.84-1111",
    "02-03-84-1111",
    "02/03/84 1111",
    "02 03 84 1111",
    "0203 84 1111",
    "02 0384 1111",
    "020384.1111",
    "020384/1111",
    "020384_1111",
    "020384:1111",
    "020384-11 11",
    "020384\u20131111",  # en dash
    "020384\u20111111",  # non-breaking hyphen
    "020384\u22121111",  # minus sign
    "020384\u00a01111",  # no-break space
    "020384\u200b1111",  # zero width space
    "020384\u00ad1111",  # soft hyphen
    "0\u200b2\u200b0\u200b3\u200b8\u200b4\u200b1\u200b1\u200b1\u200b1",
    "020384-\n1111",
    "020384\t1111",
    "020384-1111".translate(ARABIC),
    "0203841111".translate(FULL_WIDTH),
    "020384-1111".translate(MATHEMATICAL),
    "0️⃣2️⃣0️⃣3️⃣8️⃣4️⃣1️⃣1️⃣1️⃣1️⃣",
    "290200-4111",  # 29 February 2000
    "620384-1111",  # a replacement number: the day and sixty
    "Tlf. 12 34 56 78, 020384-1111, kl. 10-12",
    "450000 020384-1111",
    "20 020384 1111",
    "020384-1111-2",
]
LEFT_ALONE = [
    "",
    "12 34 56 78",
    "+45 12 34 56 78",
    "+4512345678",
    "0045 12 34 56 78",
    "21123456 / 20304050",
    "ring 21 12 34 56 eller 21 12 34 57",
    "320384-1111",  # no such day
    "021384-1111",
    "290201-1111",
    "310484-1111",
    "000384-1111",
    "600384-1111",
    "920384-1111",
    "1999000011",
    "4500012345",
    "10020384111",  # eleven digits
    "020384-11112",
    "1020384-1111",
    "020384-111",
    "d. 01.12.26 kl. 08:00",
    "01.12.26 - 05.01.27",
    "01.12.2026-05.01.2027",
    "2026-11-23T08:05:00",
    "uge 10 11 12 13 14",
    "8-16, 7.30-15.30 og 6.30-14.30 i alt 37 timer, 2026",
    "CVR 93100018, EAN 5790000123456",
    "020384, 1111",
    "020384\u2014og 1111",
    "¹²³⁴⁵⁶⁷⁸⁹⁰",
]


@pytest.mark.parametrize("text", FOUND)
def test_a_number_like_a_citizens_is_found(text: str) -> None:
    """However it is written, split or hidden."""
    assert cpr.holds_cpr(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_other_numbers_are_left_alone(text: str) -> None:
    """Phones, dates, times, order numbers and longer or shorter numbers are no citizen's."""
    assert not cpr.holds_cpr(text)


def test_a_p_number_typed_in_the_same_event_may_be_named_in_its_texts() -> None:
    """Most P-numbers in use look like a date; the event's own is known for what it is, however it is spaced."""
    assert cpr.holds_cpr("P-nummer 1003123456")
    assert not cpr.holds_cpr("P-nummer 1003123456 og 100312 3456", ["1003123456"])
    assert cpr.holds_cpr("P-nummer 1003123457", ["1003123456"])


def test_with_a_dash_it_is_a_citizens_number_even_if_a_p_number_has_its_digits() -> None:
    """Nobody writes a P-number as DDMMYY-NNNN."""
    assert cpr.holds_cpr("100312-3456", ["1003123456"])


days = st.dates(date(1900, 1, 1), date(2057, 12, 31))


@given(
    days, st.integers(0, 9999), st.sampled_from(["-", "", " ", " - ", "\u2013"]), st.text("abc æøå.,\n", max_size=20)
)
def test_every_citizens_number_is_found_in_any_text(day: date, serial: int, between: str, around: str) -> None:
    """No date, serial number or text around it hides one."""
    assert cpr.holds_cpr(f"{around}{day:%d%m%y}{between}{serial:04}{around}")


@given(st.text("0123456789 -.\u2013\u200bab", max_size=60))
def test_the_quick_count_hides_nothing(text: str) -> None:
    """Whatever the count of digits calls harmless, the close look does, too."""
    if cpr.has_few_digits(text):
        assert sum(character.isdecimal() for character in text) < 10


def test_no_digit_of_any_script_is_missed_by_the_quick_count() -> None:
    """Every decimal digit of Unicode counts."""
    assert all(not cpr.has_few_digits(digit * 10) for digit in CHARACTERS if digit.isdecimal())


@pytest.mark.parametrize("category", ["Pd", "Zs", "Zl", "Zp"])
def test_no_dash_or_space_of_any_kind_hides_it(category: str) -> None:
    """Every dash and space of Unicode may stand before the last four digits."""
    signs = [sign for sign in CHARACTERS if unicodedata.category(sign) == category]
    assert [sign for sign in signs if not cpr.holds_cpr(f"020384{sign}1111")] == []


def test_no_character_without_a_width_hides_it() -> None:
    """Zero-width and direction marks, which nobody sees, change nothing."""
    unseen = [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x00AD, 0x034F, 0xFE0F, 0xFEFF]
    assert [hex(code) for code in unseen if not cpr.holds_cpr(f"0203{chr(code)}841{chr(code)}111")] == []


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 2500,
        "12" + " " * 4000 + "1234567890123",
        "0" * 5000,
        "02" * 2500,
        "020384-" * 700,
        "02.03.84-" * 550,
        "-" * 5000,
    ],
)
def test_a_hostile_text_takes_no_time(text: str) -> None:
    """The longest text, however it is made, is looked through in milliseconds: the patterns do not backtrack."""
    begun = time.process_time()
    cpr.holds_cpr(text)
    assert time.process_time() - begun < 0.2


def event_with(change: dict[str, Any]) -> dict[str, Any]:
    path = next(path for path in EXAMPLES if path.stem == "struer-klejnsmede-aaben")
    event = Event.parse(path.read_bytes()).attributes
    return {**event, "data": {**event["data"], **change}}


def refused(event: dict[str, Any]) -> InvalidEvent | None:
    try:
        REGISTRY.check(Event.from_json(event))
    except InvalidEvent as error:
        return error
    return None


def test_ids_codes_numbers_and_phones_are_not_free_text() -> None:
    """Ten digits with a date may stand where they are something else by their place."""
    event = deepcopy(event_with({}))
    data = event["data"]
    data["company"]["pNumber"] = "0203841111"
    data["contactPerson"]["phone"] = data["consultant"]["phone"] = "020384-1111"
    data["externalIds"] = [{"system": "DFDG", "id": "020384-1111"}]
    data["occupation"]["codes"] = [{"system": "ESCO", "code": "0203841111"}]
    data["jobOrderId"] = event["subject"] = event["id"] = "020384-1111"
    assert refused(event) is None


def test_the_events_own_p_number_may_stand_in_its_description() -> None:
    """And another one may not: it can't be told from a citizen's."""
    own, other = ({"description": f"Vi holder til på P-nummer {number}."} for number in ("1003123456", "1003123457"))
    event = event_with({})
    event["data"]["company"] = {**event["data"]["company"], "pNumber": "1003123456"}
    assert refused({**event, "data": {**event["data"], **own}}) is None
    assert refused({**event, "data": {**event["data"], **other}}) is not None


def test_the_match_is_never_told() -> None:
    """The refusal says where, and nothing of what."""
    error = refused(event_with({"description": "Anna, 020384-1111", "0203841112": 1}))
    assert error is not None
    assert error.problem == "citizen-number"
    assert error.violations[0][:2] == ("/data/description", "cpr")
    assert "0203" not in str(error) + error.detail + str(error.violations)


def test_a_number_in_an_event_that_is_wrong_otherwise_is_told_first() -> None:
    """Of all that is wrong, this is what must not be sent again."""
    error = refused(event_with({"requirements": [7, "cpr 020384-1111"], "positions": 0}))
    assert error is not None
    assert error.problem == "citizen-number"
    assert error.violations[0].pointer == "/data/requirements/1"
    assert {"/data/positions", "/data/requirements/0"} <= {violation.pointer for violation in error.violations}


def test_dates_around_the_year_are_all_days() -> None:
    """Every day of a leap year is a valid date, and its replacement number's day, too."""
    for number in range(366):
        day = date(2024, 1, 1) + timedelta(number)
        assert cpr.holds_cpr(f"{day:%d%m%y}-0001")
        assert cpr.holds_cpr(f"{day.day + 60}{day:%m%y}-0001")


def test_every_schema_guards_some_text() -> None:
    """No type is without the guard."""
    assert all(
        '"x-free-text": true' in str(schema).replace("'", '"').replace("True", "true") for schema in full_schemas()
    )
