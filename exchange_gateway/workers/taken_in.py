"""When the gateway took an event in, as its record tells."""

from collections.abc import Sequence
from functools import lru_cache

from broker_adapters.log import Record
from schemas.event import parse_time

RECORDED = b'"recordedtime":"'
"""As the gateway itself writes it, so without a space."""

SHARED_RECORDS_MAX = 200
"""A page of at most so many may be new, and is then handed to hundreds; a larger one is somebody's who was away."""

REMEMBERED_MAX = 8_192


class TakenIn:
    """Tells it of the records of a page, looking only once at a record that hundreds of subscribers are handed."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, int], float] = {}

    def seconds(self, records: Sequence[Record]) -> list[float]:
        """Return when each was taken in (UTC seconds); of one that the forwarder made, when that was written."""
        if len(records) > SHARED_RECORDS_MAX:
            return [_seconds(record) for record in records]
        remembered, found = self._remembered, []
        for record in records:
            place = record[:2]
            seconds = remembered.get(place)
            if seconds is None:
                if len(remembered) >= REMEMBERED_MAX:
                    remembered.clear()
                seconds = remembered[place] = _seconds(record)
            found.append(seconds)
        return found


def _seconds(record: Record) -> float:
    # Looked for and not parsed: a page has a thousand events.
    begin = record.value.rfind(RECORDED)
    if begin < 0:
        return record.recorded_at_ms / 1000
    begin += len(RECORDED)
    return _instant(record.value[begin : record.value.index(b'"', begin)])


@lru_cache(maxsize=4096)
def _instant(text: bytes) -> float:
    return parse_time(text.decode()) / 1e6
