"""The embedded log: what callers see of it, in the event loop."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

import apsw

from broker_adapters.embedded.database import DATABASE, Synchronous, lock_folder
from broker_adapters.embedded.processor import EmbeddedProcessor
from broker_adapters.embedded.reading import EmbeddedReader, ReadThreads, Span, find_time, read
from broker_adapters.embedded.requests import Append, Create, Probe, Request
from broker_adapters.embedded.writer import Writer
from broker_adapters.log import (
    RECORD_BYTES_MAX,
    Log,
    LogClosed,
    NewRecord,
    Processor,
    Reader,
    Record,
    RecordTooLarge,
    UnknownTopic,
)

WAITING_BYTES_MAX = 64 * 1024 * 1024
"""How much may wait to be written before `append` itself waits."""

RECORD_OVERHEAD_BYTES = 200
"""What a waiting record costs beside its bytes; without it many tiny ones would count as nothing."""

PROCESSOR_NAME = re.compile(r"[a-z0-9-]+")

P = ParamSpec("P")
R = TypeVar("R")


class Topic:
    """A topic as the event loop knows it: its id, its end, and who waits for more."""

    __slots__ = ("end", "id", "waiting")

    def __init__(self, topic_id: int) -> None:
        self.id = topic_id
        self.end = 0
        self.waiting: set[asyncio.Future[None]] = set()


def system_clock_ms() -> int:
    """Return the time in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class EmbeddedLog(Log):
    """The log in `folder/log.sqlite3`, for one process at a time. Use it in the event loop that opened it.

    clock_ms: UTC milliseconds; it may jump. vfs: SQLite's name of the file system to run on.
    Headers are not kept: all that they say stands in the value too.
    """

    synchronous: Synchronous = "FULL"
    """SQLite's word for syncing each commit. A test shows what less would lose."""

    def __init__(self, folder: Path, *, clock_ms: Callable[[], int] = system_clock_ms, vfs: str | None = None) -> None:
        self._folder, self._clock_ms, self._vfs = folder, clock_ms, vfs
        self._lock: IO[str] | None = None
        self._writer: Writer | None = None
        self._readers: ReadThreads | None = None
        self._topics: dict[str, Topic] = {}
        self._by_id: dict[int, Topic] = {}
        self._waiting_bytes = 0
        self._held_back: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        # In the event loop's own thread: nothing else runs yet, and a cancelled start leaves nothing half open.
        lock = lock_folder(self._folder)
        path = self._folder / DATABASE
        writer = Writer(
            path, vfs=self._vfs, synchronous=self.synchronous, clock_ms=self._clock_ms, deliver=self._deliver
        )
        try:
            writer.start()
        except BaseException:
            lock.close()
            raise
        self._lock, self._writer, self._closing = lock, writer, None
        self._readers = ReadThreads(path, self._vfs)
        self._deliver([], writer.stored.topics, {topic: tail.end for topic, tail in writer.stored.tails.items()})

    async def close(self) -> None:
        if self._closing is None:
            if self._writer is None:
                return
            self._closing = asyncio.create_task(self._close(self._writer))
        await asyncio.shield(self._closing)

    async def _close(self, writer: Writer) -> None:
        self._writer = None
        for _, room in self._held_back:
            if not room.done():
                room.set_exception(LogClosed("The log was closed before this was taken in."))
        self._held_back.clear()
        await asyncio.to_thread(writer.stop)
        for topic in self._topics.values():
            self._wake(topic)
        if self._readers is not None:
            await asyncio.to_thread(self._readers.close)
        if self._lock is not None:
            self._lock.close()

    async def create_topics(self, topics: Iterable[str]) -> None:
        missing = [topic for topic in topics if topic not in self._topics]
        if missing or self._writer is None:
            await self.ask(Create(missing))

    async def topics(self) -> list[str]:
        self._opened()
        return sorted(topic for topic in self._topics if not topic.startswith("state."))

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        topic_id = self.topic(topic).id
        size_bytes = self.checked_size(topic, records)
        first = await self.ask(Append(topic_id, tuple(records), size_bytes))
        return list(range(first, first + len(records)))

    async def first(self, topic: str) -> int:
        self.topic(topic)
        return 0

    async def end(self, topic: str) -> int:
        return self.topic(topic).end

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        return {topic: self.topic(topic).end for topic in topics}

    async def offset_at(self, topic: str, recorded_at_ms: int) -> int:
        known = self.topic(topic)
        return await self.read(find_time, known.id, known.end, recorded_at_ms)

    def reader(self, positions: Mapping[str, int]) -> Reader:
        return EmbeddedReader(self, positions)

    def processor(self, name: str) -> Processor:
        if not PROCESSOR_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no processor's name: use a-z, 0-9 and '-'.")
        return EmbeddedProcessor(self, name)

    async def check(self) -> None:
        await self.ask(Probe())

    def topic(self, name: str) -> Topic:
        """Return a topic; raises `UnknownTopic`, `LogClosed`."""
        self._opened()
        try:
            return self._topics[name]
        except KeyError:
            raise UnknownTopic(name) from None

    def checked_size(self, topic: str, records: Sequence[NewRecord]) -> int:
        """Return what records cost while they wait; raises `RecordTooLarge`."""
        size_bytes = len(records) * RECORD_OVERHEAD_BYTES
        for value, key, _ in records:
            if len(value) > RECORD_BYTES_MAX:
                raise RecordTooLarge(topic, len(value))
            size_bytes += len(value) + (len(key) if key else 0)
        return size_bytes

    async def ask(self, request: Request) -> Any:
        """Hand a request to the writer, once there is room for it, and return its answer."""
        writer = self._opened()
        size_bytes = request.size_bytes
        if self._held_back or (self._waiting_bytes and self._waiting_bytes + size_bytes > WAITING_BYTES_MAX):
            await self._wait_for_room(size_bytes)
        else:
            self._waiting_bytes += size_bytes
        writer.put(request)
        return await request.future

    async def read(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a read in a thread."""
        self._opened()
        assert self._readers is not None  # noqa: S101  # opened with the writer
        return await self._readers.run(job, *args, **kwargs)

    async def read_spans(self, spans: Sequence[Span], records_max: int, bytes_max: int) -> list[Record]:
        """Read what comes next in some topics."""
        return await self.read(read, spans, records_max, bytes_max)

    async def wait(self, names: Iterable[str], timeout_s: float) -> bool:
        """Wait until one of some topics has grown; tell whether it did in time."""
        if timeout_s <= 0:
            await asyncio.sleep(0)  # a caller that polls without end must not keep the loop to itself
            return False
        topics = [self.topic(name) for name in names]
        woken = asyncio.get_running_loop().create_future()
        for topic in topics:
            topic.waiting.add(woken)
        try:
            async with asyncio.timeout(timeout_s):
                await woken
        except TimeoutError:
            return False
        finally:
            for topic in topics:
                topic.waiting.discard(woken)
        return True

    def _opened(self) -> Writer:
        if self._writer is None:
            raise LogClosed("The log is closed.")
        return self._writer

    async def _wait_for_room(self, size_bytes: int) -> None:
        """Wait, in the order of asking, until what waits to be written leaves room; then the room is taken."""
        room = asyncio.get_running_loop().create_future()
        self._held_back.append((size_bytes, room))
        try:
            await room
        except asyncio.CancelledError:
            if room.done() and not room.cancelled():
                self._waiting_bytes -= size_bytes
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._held_back:
            size_bytes, room = self._held_back[0]
            if not room.done():
                if self._waiting_bytes and self._waiting_bytes + size_bytes > WAITING_BYTES_MAX:
                    return
                self._waiting_bytes += size_bytes
                room.set_result(None)
            self._held_back.popleft()

    def _deliver(self, answered: Sequence[Request], topics: Mapping[str, int], ends: Mapping[int, int]) -> None:
        """Take in what the writer has done: know new topics and ends, answer, wake readers, let in who waited."""
        for name, topic_id in topics.items():
            if name not in self._topics:
                self._topics[name] = self._by_id[topic_id] = Topic(topic_id)
        for topic_id, end in ends.items():
            topic = self._by_id[topic_id]
            topic.end = end
            self._wake(topic)
        for request in answered:
            self._waiting_bytes -= request.size_bytes
            request.resolve()
        self._let_in()

    def _wake(self, topic: Topic) -> None:
        for waiting in topic.waiting:
            if not waiting.done():
                waiting.set_result(None)
        topic.waiting.clear()
