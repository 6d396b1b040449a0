"""Bring something up to date for those who ask again and again: once or twice a second, however many they are."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from broker_adapters.log import LogUnavailable

RECENT_S = 1.0
"""How soon an open stream notices: that its participant left an alliance, or that its subscription was changed."""

AHEAD_S = RECENT_S / 2
"""So long before that it is looked again, while those who ask go on: a busy gateway takes some tenths for an answer."""

PATIENCE_S = 1.0
"""How long one of those who ask waits for a log that does not answer; an open stream has comments to send."""


class Recently:
    """Calls `refresh` now and then while somebody asks, one call at a time; all who have to wait wait for that one."""

    def __init__(self, refresh: Callable[[], Awaitable[object]], now_s: Callable[[], float] = time.monotonic) -> None:
        self._refresh, self._now_s = refresh, now_s
        self._call: asyncio.Task[None] | None = None
        self._ended_s = float("-inf")

    async def refreshed(self) -> None:
        """Return when what is kept is recent enough. Raises what `refresh` raises, and then tries again next time.

        Raises `LogUnavailable` when that takes too long; it goes on for those who ask next.
        """
        age_s = self._now_s() - self._ended_s
        if age_s < RECENT_S - AHEAD_S:
            return
        if self._call is None:
            self._call = asyncio.create_task(self._called())
            self._call.add_done_callback(_heard)
        if age_s < RECENT_S:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                # Whoever gives up must not take the answer from the others.
                await asyncio.shield(self._call)
        except TimeoutError:
            raise LogUnavailable("The log does not answer.") from None

    async def _called(self) -> None:
        try:
            await self._refresh()
            self._ended_s = self._now_s()
        finally:
            self._call = None


def _heard(task: "asyncio.Task[None]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
