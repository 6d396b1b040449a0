"""Ask something on behalf of many who want to know it as it is now: one question for all who come while one waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The answer to one question, never from before it was asked for.

    spacing: a question follows the one before after this many times as long as that took, 0 for at once.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], spacing: float = 0.0) -> None:
        self._ask, self._spacing = ask, spacing
        self._next: asyncio.Task[T] | None = None
        self._asking = asyncio.Lock()
        self._due_s = 0.0

    async def get(self) -> T:
        """Return the answer. Raises what asking raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._asked())
            self._next.add_done_callback(heard)
        # Whoever gives up must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _asked(self) -> T:
        loop = asyncio.get_running_loop()
        async with self._asking:
            if self._due_s > loop.time():
                await asyncio.sleep(self._due_s - loop.time())
            # Whoever comes from here on may want to know of something that this answer does not see.
            self._next = None
            began_s = loop.time()
            try:
                return await self._ask()
            finally:
                ended_s = loop.time()
                self._due_s = ended_s + self._spacing * (ended_s - began_s)


def heard(task: "asyncio.Future[Any]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
