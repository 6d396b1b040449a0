"""Bring something up to date for those who ask again and again: at most once a second, however many they are."""

import asyncio
from collections.abc import Awaitable, Callable

RECENT_S = 1.0
"""How soon an open stream notices: that its participant left an alliance, or that its subscription was changed."""


class Recently:
    """Calls `refresh` where the last call is longer ago than `RECENT_S`."""

    def __init__(self, refresh: Callable[[], Awaitable[object]]) -> None:
        self._refresh = refresh
        self._due_s = 0.0

    async def refreshed(self) -> None:
        """Return when what is kept is recent enough. Raises what `refresh` raises, and then tries again next time."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._due_s:
            return
        self._due_s = now_s + RECENT_S
        try:
            await self._refresh()
        except BaseException:
            self._due_s = 0.0
            raise
