"""Readers: pages by key in a thread, and waiting for what is new in the event loop."""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

import apsw
import orjson

from broker_adapters.embedded.database import OFFSET_BITS, OFFSET_MASK, fetch
from broker_adapters.embedded.engine import Engine
from broker_adapters.log import (
    PAGE_RECORDS,
    READ_BYTES,
    READ_RECORDS,
    LogClosed,
    LogDamaged,
    OffsetOutOfRange,
    Page,
    Reader,
    Record,
)
from schemas.named_tuples import new_tuple

_PIECE_RECORDS = 180
"""How many are gathered at once: some 250 KB of events, which stay in the processor's cache."""

_SMALL_BYTES = 4_096
"""Larger values are read by themselves, so that a piece cannot become as large as its records might be."""

_PIECE = (
    f"SELECT group_concat(id & {OFFSET_MASK}), group_concat(recorded_at), group_concat(length(value)),"  # noqa: S608
    f" CAST(group_concat(CASE WHEN length(value) <= {_SMALL_BYTES} THEN value END, '') AS BLOB)"
    " FROM record WHERE id >= ? AND id < ?"
)
"""Many records as one row: SQLite gathers them without the interpreter's lock, which it must have for each row."""


class Span(NamedTuple):
    """What lies to be read in a topic: from one offset up to, not including, another."""

    topic: str
    topic_id: int
    start: int
    end: int


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
            page.append(new_tuple(Record, (topic, row_id & OFFSET_MASK, at_ms, key, value, ())))
    if len(page) != end - start or (page and page[-1].offset != end - 1):
        raise LogDamaged(f"Records of {topic} are missing between offsets {start} and {end}.")
    return page, bytes_left


def read_page(connection: apsw.Connection, span: Span, bytes_max: int) -> Page:
    """Return what comes first in a span, up to a limit; at least one record."""
    topic, _, start, end = span
    page = Page(topic, [], [], [])
    end = min(end, start + PAGE_RECORDS)
    while start < end and (bytes_max > 0 or not page.values):
        count = min(end - start, _PIECE_RECORDS, bytes_max // _SMALL_BYTES + 1)
        taken, bytes_max = _take_piece(connection, page, span._replace(start=start, end=start + count), bytes_max)
        if not taken:
            break
        start += taken
    if not page.values:
        # A large one comes first, and more of them may follow.
        records, _ = read_span(connection, span, PAGE_RECORDS, bytes_max, at_least_one=True)
        for _, offset, at_ms, _, value, _ in records:
            page.offsets.append(offset)
            page.times_ms.append(at_ms)
            page.values.append(value)
    return page


def _take_piece(connection: apsw.Connection, page: Page, span: Span, bytes_left: int) -> tuple[int, int]:
    """Add what comes first in a span to a page, up to a limit or a large value.

    Return how many records that was, and how many bytes are left for more.
    """
    topic, topic_id, start, end = span
    base = topic_id << OFFSET_BITS
    [(offsets, times_ms, sizes, whole)] = fetch(connection, _PIECE, (base + start, base + end))
    found = _numbers(offsets)
    # SQLite goes through the rows in their order, but promises that of no aggregate.
    if found != list(range(start, end)):
        raise LogDamaged(f"Records of {topic} are missing between offsets {start} and {end}.")
    each = _numbers(sizes)
    ends = list(accumulate(each, initial=0))
    count = len(each)
    if max(each) > _SMALL_BYTES:
        count = next(index for index, size in enumerate(each) if size > _SMALL_BYTES)
    if ends[count] > bytes_left:
        count = max(bisect_right(ends, bytes_left) - 1, 0 if page.values else min(count, 1))
    page.offsets.extend(found[:count])
    page.times_ms.extend(_numbers(times_ms)[:count])
    page.values.extend([whole[begin:until] for begin, until in pairwise(ends[: count + 1])])
    return count, bytes_left - ends[count]


def _numbers(text: str | None) -> list[int]:
    numbers: list[int] = orjson.loads(f"[{text or ''}]")
    return numbers


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
        spans = await self._ahead(timeout_s)
        if not spans:
            return []
        records = await self._engine.read(read, spans, max(1, records_max), bytes_max)
        self._positions |= {record.topic: record.offset + 1 for record in records}
        self._last_topic = records[-1].topic
        return records

    async def poll_page(self, *, bytes_max: int = READ_BYTES, timeout_s: float = 0.0) -> Page | None:
        spans = await self._ahead(timeout_s)
        if not spans:
            return None
        page = await self._engine.read(read_page, spans[0], bytes_max)
        self._positions[page.topic] = page.offsets[-1] + 1
        self._last_topic = page.topic
        return page

    async def _ahead(self, timeout_s: float) -> list[Span]:
        """Return what lies ahead, waiting for it; empty when nothing comes in time."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while not (spans := self._spans()):
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            if not await self._engine.wait(self._positions, remaining_s):
                break
        return spans

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
