"""Bring something up to date for those who ask again and again: at most once a second, however many they are."""

import asyncio
from collections.abc import Awaitable, Callable

from broker_adapters.log import LogUnavailable
from broker_adapters.shared_answer import SharedAnswer

RECENT_S = 1.0
"""How soon an open stream notices: that its participant left an alliance, or that its subscription was changed."""

PATIENCE_S = 1.0
"""How long one of those who ask waits for a log that does not answer; an open stream has comments to send."""


class Recently:
    """Calls `refresh` where the last call is longer ago than `RECENT_S`; all who ask meanwhile wait for one call."""

    def __init__(self, refresh: Callable[[], Awaitable[object]]) -> None:
        async def refreshed() -> None:
            await refresh()
            self._due_s = asyncio.get_running_loop().time() + RECENT_S

        self._shared = SharedAnswer(refreshed)
        self._due_s = 0.0

    async def refreshed(self) -> None:
        """Return when what is kept is recent enough. Raises what `refresh` raises, and then tries again next time.

        Raises `LogUnavailable` when that takes too long; it goes on for those who ask next.
        """
        if asyncio.get_running_loop().time() < self._due_s:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._shared.get()
        except TimeoutError:
            raise LogUnavailable("The log does not answer.") from None
