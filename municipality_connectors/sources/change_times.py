"""How far a source was read, by the times or numbers of its changes, and from where it is read again. Pure."""

import math
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from municipality_connectors.mapping.dates import COPENHAGEN

OVERLAP_S = 300
"""How far back changes are read again, unless the connector file says otherwise; what is known is not sent again."""

LOCAL_OVERLAP_S = 65 * 60
"""How far back at the least by a clock on the wall: it is put back by an hour in October."""

AHEAD_MAX_S = 600
"""How far clocks may differ. A change further ahead is an end that was never set (9999-12-31), or a mistake."""

_DAY_S = 24 * 60 * 60
_WRITTEN = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:(?P<clock>[T ]\d\d:\d\d(?::\d\d)?)(?P<rest>(?:[.,]\d+)?(?P<zone>Z|[+-]\d\d:?\d\d)?))?",
    re.ASCII | re.IGNORECASE,
)


def later(newest: Any, value: Any, now_s: float) -> Any:
    """Return the later of two changes, never one that is yet to come. One of another sort is taken for later."""
    if value is None or is_ahead(value, now_s):
        return newest
    if newest is None:
        return value
    moments = _moment(newest), _moment(value)
    try:
        is_later = moments[1] > moments[0] if None not in moments else value > newest  # type: ignore[operator]
    except TypeError:
        is_later = True
    return value if is_later else newest


def is_ahead(value: Any, now_s: float) -> bool:
    """Whether a change lies so far ahead that it hides all others: a time, or infinity. now_s: since 1970."""
    if isinstance(value, float | Decimal):
        return not math.isfinite(value)
    moment = _moment(value)
    return moment is not None and moment.timestamp() > now_s + AHEAD_MAX_S


def before(newest: Any, overlap_s: int) -> Any:
    """Return from where rows are read again: what was under way when the newest was read may be older than it."""
    try:
        if isinstance(newest, datetime):
            return newest - timedelta(seconds=overlap_s if newest.tzinfo is not None else _local(overlap_s))
        if isinstance(newest, date):
            return newest - timedelta(days=_days(overlap_s))
        if isinstance(newest, str):
            return _written_before(newest, overlap_s)
    except OverflowError:
        return newest
    if isinstance(newest, int | float | Decimal) and not isinstance(newest, bool):
        return newest - overlap_s
    return newest


def _written_before(newest: str, overlap_s: int) -> str:
    """Return an earlier time in the same spelling; a text that is no time as it is."""
    match = _WRITTEN.fullmatch(newest)
    if match is None or _moment(newest) is None:
        return newest
    if match["clock"] is None:
        return (date.fromisoformat(newest) - timedelta(days=_days(overlap_s))).isoformat()
    written = match["day"] + match["clock"]
    back = timedelta(seconds=overlap_s if match["zone"] else _local(overlap_s))
    earlier = (datetime.fromisoformat(written) - back).isoformat(sep=match["clock"][0])
    return earlier[: len(written)] + match["rest"]


def _local(overlap_s: int) -> int:
    return max(overlap_s, LOCAL_OVERLAP_S)


def _days(overlap_s: int) -> int:
    return max(1, -(-overlap_s // _DAY_S))


def _moment(value: Any) -> datetime | None:
    """Return a time as a moment, by Copenhagen's clock unless it says otherwise; None for what is no time."""
    if isinstance(value, str):
        if _WRITTEN.fullmatch(value) is None:
            return None
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError:
            return None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=COPENHAGEN)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=COPENHAGEN)
