"""Readers: pages by key in a thread, and waiting for what is new in the event loop."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import apsw

from broker_adapters.embedded.database import OFFSET_BITS, OFFSET_MASK, fetch
from broker_adapters.embedded.engine import Engine
from broker_adapters.log import READ_BYTES, READ_RECORDS, LogClosed, LogDamaged, OffsetOutOfRange, Reader, Record


class Span(NamedTuple):
    """What lies to be read in a topic: from one offset up to, not including, another."""

    topic: str
    topic_id: int
    start: int
    end: int


_make = tuple.__new__
"""Makes a `Record` in a third of the time that calling its class takes, and a replay makes millions."""


def read(connection: apsw.Connection, spans: Iterable[Span], records_max: int, bytes_max: int) -> list[Record]:
    """Return the records in `spans`, up to a limit; at least one."""
    records: list[Record] = []
    for span in spans:
        page, bytes_left = read_span(connection, span, records_max - len(records), bytes_max, at_least_one=not records)
        records += page
        bytes_max = bytes_left
        if len(records) == records_max or bytes_left < 0:
            break
    return records


def read_span(
    connection: apsw.Connection, span: Span, records_max: int, bytes_left: int, *, at_least_one: bool
) -> tuple[list[Record], int]:
    """Return the records of one topic, and how many bytes are left for more: below zero when a limit was met."""
    topic, topic_id, start, end = span
    end = min(end, start + records_max)
    base = topic_id << OFFSET_BITS
    page: list[Record] = []
    rows = connection.execute(
        "SELECT id, recorded_at, key, value FROM record WHERE id >= ? AND id < ?", (base + start, base + end)
    )
    with contextlib.closing(rows):
        for row_id, at_ms, key, value in rows:
            bytes_left -= len(value)
            if bytes_left < 0 and (page or not at_least_one):
                end = start + len(page)
                break
            page.append(_make(Record, (topic, row_id & OFFSET_MASK, at_ms, key, value, ())))
    if len(page) != end - start or (page and page[-1].offset != end - 1):
        raise LogDamaged(f"Records of {topic} are missing between offsets {start} and {end}.")
    return page, bytes_left


def find_time(connection: apsw.Connection, topic_id: int, end: int, recorded_at_ms: int) -> int:
    """Return the first offset below `end` recorded at or after a time, by halving: times never decrease."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        found = fetch(connection, "SELECT recorded_at FROM record WHERE id = ?", (topic_id << OFFSET_BITS | middle,))
        if not found:
            raise LogDamaged(f"The record at offset {middle} of topic number {topic_id} is missing.")
        if found[0][0] < recorded_at_ms:
            low = middle + 1
        else:
            high = middle
    return low


class EmbeddedReader(Reader):
    """Reads by offset alone; between two polls it holds nothing but its positions."""

    def __init__(self, engine: Engine, positions: Mapping[str, int]) -> None:
        self._engine = engine
        self._positions = dict(positions)
        self._last_topic: str | None = None
        self._closed = False

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while not (spans := self._spans()):
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            if not await self._engine.wait(self._positions, remaining_s):
                return []
        records = await self._engine.read(read, spans, max(1, records_max), bytes_max)
        self._positions |= {record.topic: record.offset + 1 for record in records}
        self._last_topic = records[-1].topic
        return records

    def positions(self) -> dict[str, int]:
        return dict(self._positions)

    def seek(self, topic: str, offset: int) -> None:
        self._positions[topic] = offset

    async def close(self) -> None:
        self._closed = True

    def _spans(self) -> list[Span]:
        """Return what lies ahead, beginning after the topic read last, so that a long one does not starve others."""
        if self._closed:
            raise LogClosed("The reader is closed.")
        spans = []
        first = 0
        for name, position in self._positions.items():
            topic = self._engine.topic(name)
            if not 0 <= position <= topic.end:
                raise OffsetOutOfRange(name, position, 0, topic.end)
            if position < topic.end:
                spans.append(Span(name, topic.id, position, topic.end))
            if name == self._last_topic:
                first = len(spans)
        return spans[first:] + spans[:first]
