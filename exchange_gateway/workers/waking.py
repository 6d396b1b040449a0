"""Wake those who wait for topics, one after another and not faster than they can be served.

With five hundred who wait for the same topic, an event that woke all at once would keep the event loop busy for half
a second, for one event each; and so would the next. So they are woken in turn, whoever waits longest first, and when
each has its turn there are several events for it. Where few wait, nobody waits longer.
"""

import asyncio
from collections.abc import Iterable

AT_ONCE = 16
"""So many are woken without a pause, after nobody was for a while."""

SLICE_S = 0.004
"""The least time between two wakings that had to be put off."""


class Waking:
    """Those who wait. every_s: between two of them who are woken, on average."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._waiting: dict[str, dict[asyncio.Future[None], None]] = {}
        self._due: dict[asyncio.Future[None], None] = {}
        self._room, self._counted_s = float(AT_ONCE), 0.0
        self._later: asyncio.TimerHandle | None = None

    async def wait(self, topics: Iterable[str], timeout_s: float, *, at_once: bool = False) -> None:
        """Return when one of the topics goes on and it is this one's turn, or after a while.

        at_once: it is due already.
        """
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        topics = list(topics)
        for topic in topics:
            self._waiting.setdefault(topic, {})[woken] = None
        if at_once:
            self._due[woken] = None
            self._wake()
        # A timer and a future: `asyncio.timeout` around an event costs three times as much.
        ended = loop.call_later(timeout_s, _end, woken)
        try:
            await woken
        finally:
            ended.cancel()
            self._due.pop(woken, None)
            for topic in topics:
                waiting = self._waiting[topic]
                del waiting[woken]
                if not waiting:
                    del self._waiting[topic]

    async def turn(self, timeout_s: float) -> None:
        """Return when it is this one's turn, at once where few ask for one, or after a while."""
        await self.wait((), timeout_s, at_once=True)

    def goes_on(self, topic: str) -> None:
        """Have all who wait for a topic woken, in turn."""
        waiting = self._waiting.get(topic)
        if waiting:
            self._due.update(waiting)
            self._wake()

    def _wake(self) -> None:
        if self._later is None:
            now_s = asyncio.get_running_loop().time()
            self._room += (now_s - self._counted_s) / self._every_s
            self._wake_some(now_s)

    def _wake_later(self) -> None:
        self._later = None
        now_s = asyncio.get_running_loop().time()
        # Where this comes late the loop is busy, and that is no reason to wake more.
        self._room += min(now_s - self._counted_s, 2 * SLICE_S) / self._every_s
        self._wake_some(now_s)

    def _wake_some(self, now_s: float) -> None:
        self._counted_s = now_s
        self._room = min(AT_ONCE, self._room)
        while self._due and self._room >= 1:
            woken = next(iter(self._due))
            del self._due[woken]
            _end(woken)
            self._room -= 1
        if self._due:
            self._later = asyncio.get_running_loop().call_later(max(SLICE_S, self._every_s), self._wake_later)


def _end(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)
