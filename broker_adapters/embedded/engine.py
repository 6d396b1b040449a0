"""Between the event loop and the threads: known topics, who waits for what, and how much may be under way."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

import apsw

from broker_adapters.embedded.database import Storage, lock_folder
from broker_adapters.embedded.read_threads import ReadThreads
from broker_adapters.embedded.requests import Request
from broker_adapters.embedded.writer import Writer
from broker_adapters.log import LogClosed, UnknownTopic

WAITING_BYTES_MAX = 64 * 1024 * 1024
"""How much may wait to be written before `append` itself waits."""

P = ParamSpec("P")
R = TypeVar("R")


class Topic:
    """A topic as the event loop knows it: its id, its end, and who waits for more."""

    __slots__ = ("end", "id", "waiting")

    def __init__(self, topic_id: int) -> None:
        self.id = topic_id
        self.end = 0
        self.waiting: set[asyncio.Future[None]] = set()


class Engine:
    """What the log, its readers and its processors share. All of it happens in the event loop that opened it."""

    def __init__(self, storage: Storage, clock_ms: Callable[[], int]) -> None:
        self.topics: dict[str, Topic] = {}
        self._by_id: dict[int, Topic] = {}
        self._waiting_bytes = 0
        self._held_back: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._closing: asyncio.Task[None] | None = None
        # In the event loop's own thread: nothing else runs yet, and a cancelled start leaves nothing half open.
        self._lock: IO[str] = lock_folder(storage.path.parent)
        self._threads = ReadThreads(storage)
        self._writer = Writer(storage, clock_ms=clock_ms, deliver=self._deliver, pause_readers=self._threads.paused)
        try:
            stored = self._writer.start()
        except BaseException:
            self._lock.close()
            raise
        self._deliver([], stored.topics, {topic_id: tail.end for topic_id, tail in stored.tails.items()})

    async def close(self) -> None:
        """Finish what was taken in, fail what was not, and let go. A cancelled close goes on by itself."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for _, room in self._held_back:
            if not room.done():
                room.set_exception(LogClosed("The log was closed before this was taken in."))
        self._held_back.clear()
        await asyncio.to_thread(self._writer.stop)
        for topic in self.topics.values():
            self._wake(topic)
        await asyncio.to_thread(self._threads.close)
        await asyncio.to_thread(self._writer.close)
        self._lock.close()

    def check_open(self) -> None:
        """Raise `LogClosed` once closing has begun."""
        if self._closing is not None:
            raise LogClosed("The log is closed.")

    def topic(self, name: str) -> Topic:
        """Return a topic; raises `UnknownTopic`, `LogClosed`."""
        self.check_open()
        try:
            return self.topics[name]
        except KeyError:
            raise UnknownTopic(name) from None

    async def ask(self, request: Request) -> Any:
        """Hand a request to the writer, once there is room for it, and return its answer."""
        if not self.put(request):
            await self._wait_for_room(request.size_bytes)
            self._writer.put(request)
        return await request.future

    def put(self, request: Request) -> bool:
        """Hand a request to the writer if there is room for it now; tell whether it was handed over."""
        self.check_open()
        size_bytes = request.size_bytes
        if self._held_back or (self._waiting_bytes and self._waiting_bytes + size_bytes > WAITING_BYTES_MAX):
            return False
        self._waiting_bytes += size_bytes
        self._writer.put(request)
        return True

    async def read(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a read in a thread."""
        self.check_open()
        return await self._threads.run(job, *args, **kwargs)

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
        if self._closing is not None:
            self._waiting_bytes -= size_bytes
            self.check_open()

    def _let_in(self) -> None:
        """Give room to those who wait for it, first come first served."""
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
            if name not in self.topics:
                self.topics[name] = self._by_id[topic_id] = Topic(topic_id)
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
