"""Reading: a few threads with read-only connections, pages by key, and readers that wait for what is new."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, TypeVar

import apsw

from broker_adapters.embedded.database import OFFSET_BITS, OFFSET_MASK, as_log_error, connect_reader
from broker_adapters.log import (
    READ_BYTES,
    READ_RECORDS,
    LogClosed,
    LogDamaged,
    OffsetOutOfRange,
    Reader,
    Record,
)

if TYPE_CHECKING:
    from broker_adapters.embedded.log import EmbeddedLog

READ_THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")


class ReadThreads:
    """Runs short reads, each in a thread and on a connection that nothing else uses meanwhile."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        self._path, self._vfs = path, vfs
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="log-reader")
        self._idle: list[apsw.Connection] = []

    async def run(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `job(connection, …)` returns. A cancelled caller leaves the job to end by itself."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self._run(job, *args, **kwargs))

    def close(self) -> None:
        """Let the reads that are under way end. Blocks."""
        self._threads.shutdown(wait=True)
        while self._idle:
            self._idle.pop().close(True)

    def _run(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        connection = None
        try:
            connection = self._idle.pop() if self._idle else connect_reader(self._path, self._vfs)
            answer = job(connection, *args, **kwargs)
        except apsw.Error as error:
            if connection is not None:
                connection.close(True)
            raise as_log_error(error, self._path) from error
        self._idle.append(connection)
        return answer


class Span(NamedTuple):
    """What lies to be read in a topic: from one offset up to, not including, another."""

    topic: str
    topic_id: int
    start: int
    end: int


def read(connection: apsw.Connection, spans: Iterable[Span], records_max: int, bytes_max: int) -> list[Record]:
    """Return the records in `spans`, up to a limit; at least one."""
    records: list[Record] = []
    size_bytes = 0
    for topic, topic_id, start, span_end in spans:
        end = min(span_end, start + records_max - len(records))
        base = topic_id << OFFSET_BITS
        rows = connection.execute(
            "SELECT id, recorded_at, key, value FROM record WHERE id >= ? AND id < ?", (base + start, base + end)
        )
        with contextlib.closing(rows):
            for row_id, at_ms, key, value in rows:
                size_bytes += len(value)
                if size_bytes > bytes_max and records:
                    return records
                records.append(Record(topic, row_id & OFFSET_MASK, at_ms, key, value))
        if start < end and (not records or records[-1].offset != end - 1 or records[-1].topic != topic):
            raise LogDamaged(f"Records of {topic} are missing between offsets {start} and {end}.")
        if len(records) >= records_max:
            break
    return records


def find_time(connection: apsw.Connection, topic_id: int, end: int, recorded_at_ms: int) -> int:
    """Return the first offset below `end` recorded at or after a time, by halving: times never decrease."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        at_ms = connection.execute(
            "SELECT recorded_at FROM record WHERE id = ?", (topic_id << OFFSET_BITS | middle,)
        ).get
        if at_ms is None:
            raise LogDamaged(f"The record at offset {middle} of topic number {topic_id} is missing.")
        if at_ms < recorded_at_ms:
            low = middle + 1
        else:
            high = middle
    return low


class EmbeddedReader(Reader):
    """Reads by offset alone; between two polls it holds nothing but its positions."""

    def __init__(self, log: "EmbeddedLog", positions: Mapping[str, int]) -> None:
        self._log = log
        self._positions = dict(positions)
        self._last_topic: str | None = None
        self._closed = False

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while not (spans := self._spans()):
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            if not await self._log.wait(self._positions, remaining_s):
                return []
        records = await self._log.read_spans(spans, max(1, records_max), bytes_max)
        for record in records:
            self._positions[record.topic] = record.offset + 1
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
            topic = self._log.topic(name)
            if not 0 <= position <= topic.end:
                raise OffsetOutOfRange(name, position, 0, topic.end)
            if position < topic.end:
                spans.append(Span(name, topic.id, position, topic.end))
            if name == self._last_topic:
                first = len(spans)
        return spans[first:] + spans[:first]
