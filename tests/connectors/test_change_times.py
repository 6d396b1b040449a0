"""From where a source is read again: no time of a change, however wrong or local, hides those after it."""

# ruff: noqa: DTZ001  # databases have times without a zone

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.mapping.dates import COPENHAGEN
from municipality_connectors.sources.change_times import before, is_ahead, later

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
NOW_S = NOW.timestamp()


@pytest.mark.parametrize(
    "value",
    [
        datetime(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59, 999_999), date(9999, 12, 31), "9999-12-31",
        "9999-12-31T23:59:59Z", "9999-12-31 23:59:59.9999999", "2026-11-20T09:11:00+01:00",
        datetime(2026, 11, 20, 9, 11),
        NOW + timedelta(minutes=11), date(2026, 11, 21), float("inf"), float("nan"), Decimal("Infinity"),
        Decimal("NaN"),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=12))),
    ],
)  # fmt: skip
def test_a_change_that_is_yet_to_come_hides_none(value: Any) -> None:
    """An end that was never set, a clock that is wrong: it is read, but nothing is read from there."""
    assert is_ahead(value, NOW_S)
    assert later(None, value, NOW_S) is None
    assert later(7, value, NOW_S) == 7


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T08:09:00Z", "2026-11-20T09:09:00", datetime(2026, 11, 20, 9, 9), date(2026, 11, 20), 99_999_999_999,
        "revision 9999-12-31", NOW + timedelta(minutes=9), datetime(1, 1, 1), "2026-13-45T00:00:00",
    ],
)  # fmt: skip
def test_what_may_have_happened_is_kept(value: Any) -> None:
    """Clocks differ by minutes; a number or a word is no time."""
    assert not is_ahead(value, NOW_S)
    assert later(None, value, NOW_S) == value


@pytest.mark.parametrize(
    ("newest", "value", "kept"),
    [
        ("2026-11-20T08:00:00+02:00", "2026-11-20T07:30:00Z", "2026-11-20T07:30:00Z"),
        ("2026-11-20T07:30:00Z", "2026-11-20T08:00:00+02:00", "2026-11-20T07:30:00Z"),
        ("2026-11-20T07:30:00Z", "2026-11-20T07:30:00.5Z", "2026-11-20T07:30:00.5Z"),
        (4, 5.5, 5.5), (5.5, 4, 5.5), (Decimal(4), 5, 5), ("a", "b", "b"), ("b", "a", "b"), ("a", 1, 1), (7, None, 7),
    ],
)  # fmt: skip
def test_the_later_of_two_changes_is_kept(newest: Any, value: Any, kept: Any) -> None:
    """Times as moments, whatever their offset."""
    assert later(newest, value, NOW_S) == kept


@pytest.mark.parametrize(
    ("newest", "since"),
    [
        (datetime(2026, 11, 20, 9, 0, tzinfo=UTC), datetime(2026, 11, 20, 8, 55, tzinfo=UTC)),
        (datetime(2026, 11, 20, 9, 0), datetime(2026, 11, 20, 7, 55)),
        (date(2026, 11, 20), date(2026, 11, 19)),
        (1_000, 700),
        (Decimal(1_000), Decimal(700)),
        ("2026-11-20T09:00:00.1234567Z", "2026-11-20T08:55:00.1234567Z"),
        ("2026-11-20 00:01:00+01:00", "2026-11-19 23:56:00+01:00"),
        ("2026-11-20T09:00:00", "2026-11-20T07:55:00"),
        ("2026-11-20 09:00", "2026-11-20 07:55"),
        ("2026-11-20", "2026-11-19"),
        ("side-7", "side-7"), ("2026-02-31", "2026-02-31"), (None, None), (True, True),
        (datetime(1, 1, 1), datetime(1, 1, 1)), (date(1, 1, 1), date(1, 1, 1)), ("0001-01-01", "0001-01-01"),
    ],
)  # fmt: skip
def test_what_was_under_way_is_read_again(newest: Any, since: Any) -> None:
    """Five minutes back; over an hour by a clock on the wall; a day where there is no clock; in the same spelling."""
    assert before(newest, 300) == since
    assert type(before(newest, 300)) is type(since)


def test_what_is_asked_for_further_back_is_read_again() -> None:
    """As the connector file says."""
    assert before(date(2026, 11, 20), 200_000) == date(2026, 11, 17)
    assert before(datetime(2026, 11, 20, 9, 0), 7_200) == datetime(2026, 11, 20, 7, 0)
    assert before("2026-11-20", 200_000) == "2026-11-17"


@given(st.datetimes(datetime(2026, 10, 24, 22, 0), datetime(2026, 10, 25, 4, 0)), st.integers(0, 3_600), st.booleans())
def test_the_hour_that_is_there_twice_hides_no_change(newest: datetime, after_s: int, written: bool) -> None:
    """What changes later has an earlier time on the wall then: it is read all the same."""
    moment = newest.replace(tzinfo=UTC)
    walls = [
        one.astimezone(COPENHAGEN).replace(tzinfo=None, fold=0) for one in (moment, moment + timedelta(seconds=after_s))
    ]
    mark, change = [wall.isoformat() for wall in walls] if written else walls
    assert change >= before(mark, 300)
