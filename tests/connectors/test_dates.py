"""Dates and times as they are typed in Denmark, and as Excel keeps them."""

# ruff: noqa: DTZ001  # Excel's cells have no time zone

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.mapping.dates import (
    COPENHAGEN,
    EXCEL_EPOCH,
    excel_moment,
    iso_date,
    iso_moment,
    parse_moment,
)

DAYS = st.dates(date(1900, 3, 1), date(2099, 12, 31))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@pytest.mark.parametrize(
    "typed",
    [
        "23-11-2026", "23.11.2026", "23/11 2026", "23/11-2026", "23/11/2026", "23 11 2026", "2026-11-23", "20261123",
        "23. november 2026", "23 nov. 2026", "mandag den 23. november 2026", "man. 23-11-2026", "23-11-26", "46349",
        46349, 46349.0, 20261123, date(2026, 11, 23), datetime(2026, 11, 23),
    ],
)  # fmt: skip
def test_a_day_is_read_however_it_is_written(typed: object) -> None:
    """Danish, ISO, in words, as Excel's day number, as a date cell: all are the same day."""
    moment = parse_moment(typed)
    assert moment == date(2026, 11, 23)
    assert not isinstance(moment, datetime)


@pytest.mark.parametrize(
    "typed",
    [
        "23-11-2026 08:05", "23-11-2026 8.05", "23/11 2026 kl. 8.05", "23.11.2026, kl 08:05:00", "2026-11-23T08:05:00",
        "2026-11-23 08:05", "2026-11-23T08:05:00+01:00", "2026-11-23T07:05:00Z", "46349,336805556",
        46349 + 485 / 1440, datetime(2026, 11, 23, 8, 5), datetime(2026, 11, 23, 8, 4, 59, 999_999),
    ],
)  # fmt: skip
def test_a_time_of_day_is_copenhagens_unless_it_says_otherwise(typed: object) -> None:
    """A time without an offset is meant as the clock on the wall shows it; Excel's rounding is put right."""
    moment = parse_moment(typed)
    assert isinstance(moment, datetime)
    assert moment.astimezone(UTC) == datetime(2026, 11, 23, 7, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    [
        "", "i morgen", "31-02-2026", "11-23-2026", "23-11", "0", "-5", -5, 0, 0.5, 99_999_999, True, None, "1-1-0001",
        "23-11-2026 25:00", "2026-11-23T08:05:00+99:00", "23-11-2026 08", b"23-11-2026", float("nan"), 10**30,
        "1/2/3/4", float("inf"), datetime(9999, 12, 31, 23, 59, 59, 997_000), datetime(1, 1, 1),
        date.max, "9999-12-31T23:59:59.997", datetime(2100, 12, 31, 23, 59, 59, 997_000),
        pytest.param(10**400, id="too large for a double"),
    ],
)  # fmt: skip
def test_what_is_no_date_is_not_guessed(typed: object) -> None:
    """A day that does not exist, an American order, half a date: None, for a message."""
    assert parse_moment(typed) is None


@given(DAYS)
def test_every_day_is_read_back_in_every_spelling(day: date) -> None:
    """Whatever the day: Danish, ISO and Excel's number mean the same."""
    serial = (day - EXCEL_EPOCH.date()).days
    spellings = (f"{day.day}-{day.month}-{day.year}", day.isoformat(), serial, datetime(day.year, day.month, day.day))
    assert {parse_moment(spelling) for spelling in spellings} == {day}
    assert iso_date(day) == day.isoformat()


@given(MOMENTS)
def test_a_moment_survives_the_way_into_a_cell_and_back(moment: datetime) -> None:
    """What an event holds, a cell shows by Copenhagen's clock; read again it is the same instant, summer and winter."""
    text = moment.replace(tzinfo=UTC).isoformat()
    shown = excel_moment(text)
    back = parse_moment(shown)
    assert isinstance(back, datetime)
    assert back.astimezone(UTC) == moment.replace(tzinfo=UTC)


def test_an_event_of_the_end_of_time_shows_its_text() -> None:
    """Copenhagen's clock has no such time."""
    assert excel_moment("9999-12-31T23:59:59Z") == "9999-12-31T23:59:59Z"
    assert excel_moment("0001-01-01T00:00:00+14:00") == "0001-01-01T00:00:00+14:00"


OFFSETS = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@given(DAYS, st.times().map(lambda clock: clock.replace(microsecond=0)), OFFSETS)
def test_a_moment_is_of_copenhagens_day_whatever_its_offset(day: date, clock: time, offset: timezone) -> None:
    """As .NET and JavaScript write midnight in Denmark: an hour or two before midnight, UTC."""
    moment = datetime.combine(day, clock, COPENHAGEN).astimezone(offset)
    for told in (moment, moment.isoformat()):
        read = parse_moment(told)
        if read is not None:
            assert iso_date(read) == moment.astimezone(COPENHAGEN).date().isoformat()
    assert iso_date(datetime(2026, 11, 25, 23, tzinfo=UTC)) == "2026-11-26"


@given(MOMENTS)
def test_excels_day_numbers_keep_the_second(moment: datetime) -> None:
    """A day number is a double; the second that was typed comes out of it."""
    read = parse_moment((moment - EXCEL_EPOCH) / timedelta(days=1))
    if isinstance(read, datetime):
        assert read.replace(tzinfo=None) == moment
    else:
        assert read == moment.date()
        assert moment.time().isoformat() == "00:00:00"


@given(st.text(max_size=40))
def test_no_text_stops_the_reader(text: str) -> None:
    """Anything may stand in a cell; it is a date or it is not."""
    parse_moment(text)


def test_a_date_alone_begins_at_midnight_in_copenhagen() -> None:
    """Where a time is asked for and a date was typed; the offset is that of the season."""
    assert iso_moment(date(2026, 11, 23)) == "2026-11-23T00:00:00+01:00"
    assert iso_moment(date(2026, 7, 1)) == "2026-07-01T00:00:00+02:00"


def test_the_hour_that_is_there_twice_keeps_its_instant() -> None:
    """On the night when clocks are put back a cell cannot tell the two hours apart, so the text stays."""
    second = datetime(2026, 10, 25, 2, 30, tzinfo=COPENHAGEN, fold=1).isoformat()
    assert excel_moment(second) == second
    assert parse_moment(second) == datetime.fromisoformat(second)
