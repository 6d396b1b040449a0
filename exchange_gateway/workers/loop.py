"""The one consume loop: follow a changing set of topics, batch by batch.

Whoever reads many topics (the forwarder, the read models) hands in which ones it wants and where to
begin; topics that come later are found by listing and read from their first record.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from broker_adapters.log import READ_BYTES, READ_RECORDS, Log, Record

LIST_EVERY_S, LIST_EVERY_S_NEAR = 1.0, 0.2
"""How long a topic may be there before it is read. Listing asks the log, so it is not done at each poll; where the log
is in this process that costs little, and a first event need not wait."""


class TopicList:
    """The log's topics, listed at most once in `every_s` however many followers ask."""

    def __init__(self, log: Log, every_s: float | None = None) -> None:
        self._log = log
        self._every_s = every_s or (LIST_EVERY_S if log.remote else LIST_EVERY_S_NEAR)
        self._listed: list[str] = []
        self._due_s = float("-inf")
        self._listing = asyncio.Lock()

    @property
    def due_s(self) -> float:
        """When the next listing is due, on the event loop's clock."""
        return self._due_s

    async def get(self) -> list[str]:
        """Return the topics as of the last listing, and list again when that is due. Raises `LogError`."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._due_s:
            async with self._listing:
                if loop.time() >= self._due_s:
                    self._listed = await self._log.topics()
                    self._due_s = loop.time() + self._every_s
        return self._listed


class Follower:
    """Reads the topics that are wanted, from given positions on. Use as an async context manager.

    A topic without a position is read from its first record.
    """

    def __init__(
        self, log: Log, wanted: Callable[[str], bool], positions: Mapping[str, int], topics: TopicList | None = None
    ) -> None:
        self._log, self._wanted = log, wanted
        self._positions = dict(positions)
        self._topics = topics or TopicList(log)
        self._seen: list[str] | None = None
        self._reader = log.reader({})
        self._following: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.close()

    def positions(self) -> dict[str, int]:
        """Return for each topic followed the offset that comes next."""
        return self._reader.positions()

    async def batch(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, wait: bool = True
    ) -> list[Record]:
        """Return what comes next; an empty list when nothing came until topics were to be listed again.

        Without `wait`, it is empty when nothing is there now.
        """
        await self._find_topics()
        wait_s = max(0.0, self._topics.due_s - asyncio.get_running_loop().time()) if wait else 0.0
        if not self._following:
            await asyncio.sleep(wait_s)
            return []
        return await self._reader.poll(records_max=records_max, bytes_max=bytes_max, timeout_s=wait_s)

    async def _find_topics(self) -> None:
        listed = await self._topics.get()
        if listed is self._seen:
            return
        for topic in listed:
            if topic not in self._following and self._wanted(topic):
                start = self._positions.get(topic)
                self._reader.seek(topic, await self._log.first(topic) if start is None else start)
                self._following.add(topic)
        self._seen = listed
