"""The log in one SQLite file, as callers see it."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from broker_adapters.embedded.database import CHECKPOINT_PAGES, DATABASE, Storage, Synchronous
from broker_adapters.embedded.engine import Engine
from broker_adapters.embedded.processor import EmbeddedProcessor
from broker_adapters.embedded.reader import EmbeddedReader, find_time
from broker_adapters.embedded.requests import Append, Create, Probe
from broker_adapters.log import Log, LogClosed, LogError, NewRecord, Processor, Reader, waiting_bytes

PROCESSOR_NAME = re.compile(r"[a-z0-9-]+")


def system_clock_ms() -> int:
    """Return the time in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class EmbeddedLog(Log):
    """The log in `folder/log.sqlite3`, for one process at a time. Use it in the event loop that opened it.

    clock_ms: UTC milliseconds; it may jump. For the rest see `Storage`; only tests have use for it.
    Headers are not kept: all that they say stands in the value too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock_ms: Callable[[], int] = system_clock_ms,
        vfs: str | None = None,
        synchronous: Synchronous = "FULL",
        checkpoint_pages: int = CHECKPOINT_PAGES,
    ) -> None:
        self._storage = Storage(folder / DATABASE, vfs, synchronous, checkpoint_pages)
        self._clock_ms = clock_ms
        self._engine: Engine | None = None

    async def open(self) -> None:
        self._engine = Engine(self._storage, self._clock_ms)

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.close()

    async def create_topics(self, topics: Iterable[str]) -> None:
        missing = [topic for topic in topics if topic not in self._opened.topics]
        if missing:
            await self._opened.ask(Create(missing))

    async def topics(self) -> list[str]:
        return sorted(topic for topic in self._opened.topics if not topic.startswith("state."))

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        offsets: list[int] = await self._opened.ask(self._to_append(topic, records))
        return offsets

    def submit(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[list[int]]":
        with contextlib.suppress(LogError):
            request = self._to_append(topic, records)
            if self._opened.put(request):
                return request.future
        # To wait for room, or to have the error where it is looked for.
        return super().submit(topic, records)

    def _to_append(self, topic: str, records: Sequence[NewRecord]) -> Append:
        return Append(self._opened.topic(topic).id, tuple(records), waiting_bytes(topic, records))

    async def first(self, topic: str) -> int:
        self._opened.topic(topic)
        return 0

    async def end(self, topic: str) -> int:
        return self._opened.topic(topic).end

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        return {topic: self._opened.topic(topic).end for topic in topics}

    async def offset_at(self, topic: str, recorded_at_ms: int) -> int:
        known = self._opened.topic(topic)
        return await self._opened.read(find_time, known.id, known.end, recorded_at_ms)

    def reader(self, positions: Mapping[str, int]) -> Reader:
        return EmbeddedReader(self._opened, positions)

    def processor(self, name: str) -> Processor:
        if not PROCESSOR_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no processor's name: use a-z, 0-9 and '-'.")
        return EmbeddedProcessor(self._opened, name)

    async def check(self) -> None:
        await self._opened.ask(Probe())

    @property
    def _opened(self) -> Engine:
        if self._engine is None:
            raise LogClosed("The log is not open.")
        self._engine.check_open()
        return self._engine
