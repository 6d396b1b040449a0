"""Bring something up to date for those who ask again and again: once or twice a second, however many they are."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from broker_adapters.log import LogUnavailable
from broker_adapters.shared_answer import heard

RECENT_S = 1.0
"""How soon an open stream notices: that its participant left an alliance, or that its subscription was changed."""

AGAIN_S = RECENT_S / 2
"""So soon it is looked again, while those who ask go on: a busy gateway takes some tenths of a second for an answer."""

PATIENCE_S = 1.0
"""How long one of those who ask waits for a log that does not answer; an open stream has comments to send."""


class Recently:
    """Calls `refresh` now and then while somebody asks, one call at a time; all who have to wait wait for that one."""

    def __init__(self, refresh: Callable[[], Awaitable[object]], now_s: Callable[[], float] = time.monotonic) -> None:
        self._refresh, self._now_s = refresh, now_s
        self._call: asyncio.Task[None] | None = None
        self._began_s = self._ended_s = float("-inf")

    async def refreshed(self) -> None:
        """Return when what is kept is recent enough. Raises what `refresh` raises, and then tries again next time.

        Raises `LogUnavailable` when that takes too long; it goes on for those who ask next.
        """
        now_s = self._now_s()
        if now_s - self._ended_s < RECENT_S:
            # What is kept will still do: a log that fails at once is not asked again at once.
            if now_s - self._began_s >= AGAIN_S:
                self._under_way(now_s)
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                # Whoever gives up must not take the answer from the others.
                await asyncio.shield(self._under_way(now_s))
        except TimeoutError:
            raise LogUnavailable("The log does not answer.") from None

    def _under_way(self, now_s: float) -> "asyncio.Task[None]":
        if self._call is None or self._call.done():
            self._began_s = now_s
            self._call = asyncio.create_task(self._called())
            self._call.add_done_callback(heard)
        return self._call

    async def _called(self) -> None:
        await self._refresh()
        self._ended_s = self._now_s()
