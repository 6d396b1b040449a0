"""Read single records of the log, by where they stand."""

import asyncio
from collections.abc import Sequence

from broker_adapters.log import Log, OffsetOutOfRange, Record

READ_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024
"""What is asked for where one record is wanted: the log gives it whole, however large it is."""

AT_ONCE = 8

Place = tuple[str, int]
"""A topic and an offset."""


async def record_at(log: Log, topic: str, offset: int) -> Record | None:
    """Return one record; None where the log does not keep it. Raises `LogError`."""
    try:
        async with log.reader({topic: offset}) as reader:
            records = await reader.poll(records_max=1, bytes_max=READ_BYTES, timeout_s=READ_TIMEOUT_S)
    except OffsetOutOfRange:
        return None
    return records[0] if records and records[0].offset == offset else None


async def records_at(log: Log, places: Sequence[Place]) -> list[Record | None]:
    """Return the record at each place, read a few at a time. Raises `LogError`."""
    records: list[Record | None] = []
    for begin in range(0, len(places), AT_ONCE):
        some = places[begin : begin + AT_ONCE]
        records += await asyncio.gather(*(record_at(log, *place) for place in some))
    return records
