"""What RFC 3339, section 5.6, calls a full-date and a date-time. Pure."""

import re
from datetime import date

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_MINUTES_A_DAY = 24 * 60


def is_date(text: str) -> bool:
    """Whether `text` is an RFC 3339 full-date that the calendar has."""
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(part) for part in match.groups())
    try:
        # RFC 3339 has a year 0, a leap year like 2000; Python's calendar begins with year 1.
        date(year or 2000, month, day)
    except ValueError:
        return False
    return True


def is_date_time(text: str) -> bool:
    """Whether `text` is an RFC 3339 date-time; second 60 only where UTC has its leap seconds (appendix D)."""
    match = _DATE_TIME.fullmatch(text)
    if match is None or not is_date(match[1]):
        return False
    if match[4] != "60":
        return True
    sign = -1 if match[5] == "-" else 1
    offset = sign * (int(match[6] or 0) * 60 + int(match[7] or 0))
    return (int(match[2]) * 60 + int(match[3]) - offset) % _MINUTES_A_DAY == _MINUTES_A_DAY - 1
