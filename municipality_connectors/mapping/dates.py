"""Dates and times as they are typed in Denmark, as Excel keeps them, and as events hold them. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

COPENHAGEN = ZoneInfo("Europe/Copenhagen")

EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  # a day number has no time zone
SERIAL_MIN, SERIAL_MAX = 1, 73_050
"""Excel's day numbers for 1900 to 2099."""

NUMBER_MAX = 100_000_000
"""The first number with too many digits for a day written as 20261123."""

YEAR_MIN, YEAR_MAX = 1900, 2100
"""A year outside of these is a slip of the finger."""

_MONTHS = (
    "januar",
    "februar",
    "marts",
    "april",
    "maj",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "december",
)
_TIME = r"(?:(?:\s*,?\s*kl\.?\s*|\s+|T)(?P<hour>\d{1,2})[.:](?P<minute>\d{2})(?:[.:](?P<second>\d{2})(?:[.,]\d+)?)?)?"
_ZONE = r"\s*(?P<zone>Z|[+-]\d\d:?\d\d)?"
_ISO = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}}){_TIME}{_ZONE}", re.ASCII | re.IGNORECASE)
_DANISH = re.compile(
    rf"(?P<day>\d{{1,2}})\s*[-./ ]\s*(?P<month>\d{{1,2}})\s*[-./ ]\s*(?P<year>\d{{4}}|\d{{2}}){_TIME}",
    re.ASCII | re.IGNORECASE,
)
_WORDS = re.compile(
    rf"(?P<day>\d{{1,2}})\.?\s*(?P<name>[a-z]{{3,9}})\.?,?\s+(?P<year>\d{{4}}){_TIME}", re.ASCII | re.IGNORECASE
)
_WEEKDAY = re.compile(r"^(man|tirs|ons|tors|fre|lør|søn)(dag)?\.?(\s+den)?,?\s+", re.IGNORECASE)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})", re.ASCII)
_SERIAL = re.compile(r"\d{5}([.,]\d+)?", re.ASCII)


def parse_moment(value: object) -> date | datetime | None:
    """Return a date, or a date with its time of day (in Copenhagen's time unless it says otherwise).

    Takes texts such as `23-11-2026`, `23/11 2026 kl. 8.05` and `2026-11-23T08:05:00+01:00`, dates, and
    Excel's day numbers. None for anything else. A year of two digits is of this century.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, datetime):
        return _of_excel(value)
    if isinstance(value, date):
        return _in_range(value)
    if isinstance(value, int | float):
        return _of_number(value)
    if isinstance(value, str):
        return _of_text(" ".join(value.split()))
    return None


def _in_range(day: date) -> date | None:
    return day if YEAR_MIN <= day.year <= YEAR_MAX else None


def _of_excel(moment: datetime) -> date | datetime | None:
    """Midnight is a date: Excel keeps no difference, and nobody registers at midnight."""
    if _in_range(moment) is None:
        # Before it is rounded: there is nothing after 9999, which SQL Server has as an end that was never set.
        return None
    rounded = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
    if _in_range(rounded) is None:
        return None
    if rounded.tzinfo is None and (rounded.hour, rounded.minute, rounded.second) == (0, 0, 0):
        return rounded.date()
    return rounded if rounded.tzinfo is not None else rounded.replace(tzinfo=COPENHAGEN)


def _of_number(number: float) -> date | datetime | None:
    if SERIAL_MIN <= number < SERIAL_MAX:
        return _of_excel(EXCEL_EPOCH + timedelta(days=number))
    if number < NUMBER_MAX and float(number).is_integer() and (match := _COMPACT.fullmatch(str(int(number)))):
        return _built(match.groupdict())
    return None


def _of_text(text: str) -> date | datetime | None:
    text = _WEEKDAY.sub("", text)
    for pattern in (_ISO, _DANISH, _WORDS, _COMPACT):
        if match := pattern.fullmatch(text):
            return _built(match.groupdict())
    if _SERIAL.fullmatch(text):
        return _of_number(float(text.replace(",", ".")))
    return None


def _built(parts: dict[str, str | None]) -> date | datetime | None:
    month = _month(parts["name"]) if parts.get("name") else int(parts["month"] or 0)
    year = int(parts["year"] or 0) + (2000 if len(parts["year"] or "") == len("26") else 0)
    try:
        day = _in_range(date(year, month, int(parts["day"] or 0)))
        if day is None or parts.get("hour") is None:
            return day
        moment = datetime(
            day.year, day.month, day.day, int(parts["hour"] or 0), int(parts["minute"] or 0), int(parts["second"] or 0),
            tzinfo=COPENHAGEN,
        )  # fmt: skip
    except ValueError:
        return None
    return moment if not parts.get("zone") else _with_zone(moment, str(parts["zone"]))


def _with_zone(moment: datetime, zone: str) -> datetime | None:
    try:
        return datetime.fromisoformat(moment.replace(tzinfo=None).isoformat() + zone.upper())
    except ValueError:
        return None


def _month(name: str | None) -> int:
    """Return the number of a Danish month's name or abbreviation (three letters or more); 0 for another word."""
    word = (name or "").lower()
    return next((number for number, month in enumerate(_MONTHS, 1) if month.startswith(word)), 0)


def iso_date(moment: date | datetime) -> str:
    """Return the date alone, as an event holds it: Copenhagen's, whose midnight is 23:00Z the day before."""
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo is None else moment.astimezone(COPENHAGEN)).date()
    return moment.isoformat()


def iso_moment(moment: date | datetime) -> str:
    """Return a date with time and offset, as an event holds it; a date alone begins at midnight in Copenhagen."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=COPENHAGEN)
    return moment.isoformat(timespec="seconds")


def excel_moment(text: str) -> date | datetime | str:
    """Return what a cell shows for an event's date or time: Copenhagen's clock, or the text where that loses any."""
    if "T" not in text.upper():
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text.upper())
    try:
        local = moment.astimezone(COPENHAGEN).replace(tzinfo=None, microsecond=0)
    except OverflowError:
        return text
    back = parse_moment(local)
    same = isinstance(back, datetime) and back.astimezone(UTC) == moment.astimezone(UTC)
    return local if same else text
