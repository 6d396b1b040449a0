"""Ask for the log's topics on behalf of many who want to know them as they are now."""

import asyncio

from broker_adapters.log import Log

SPACING = 4.0
"""A listing follows the one before after this many times as long as that took: on Kafka one costs milliseconds,
and with many readers at once they would take the whole processor."""


class FreshTopics:
    """The log's topics, never from before they were asked for. All who come while one listing waits share it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next: asyncio.Task[frozenset[str]] | None = None
        self._listing = asyncio.Lock()
        self._due_s = 0.0

    async def get(self) -> frozenset[str]:
        """Return every topic that is there now. Raises `LogError`."""
        if self._next is None:
            self._next = asyncio.create_task(self._list())
            self._next.add_done_callback(_heard)
        return await asyncio.shield(self._next)

    async def _list(self) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        async with self._listing:
            await asyncio.sleep(max(0.0, self._due_s - loop.time()))
            # Whoever comes from here on may want to know of a topic that this listing does not see.
            self._next = None
            began_s = loop.time()
            try:
                return frozenset(await self._log.topics())
            finally:
                ended_s = loop.time()
                self._due_s = ended_s + SPACING * (ended_s - began_s)


def _heard(task: asyncio.Task[frozenset[str]]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
