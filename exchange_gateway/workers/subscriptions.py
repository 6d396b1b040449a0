"""Keep the gateway's book of subscriptions current, and write to it: the fold of two control topics.

Every version of every subscription and every commit is in the log, so any gateway serves any subscriber, and a
restart loses nothing. What they come to is kept in a local file now and then, so that a start need not read every
commit there ever was; it can be thrown away at any time.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson

from broker_adapters.log import Log
from exchange_gateway.clock import Clock
from exchange_gateway.core.subscriptions import Cursor, Moved, Reading, Subscription, SubscriptionBook
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.recent import Recently
from schemas.event import format_time
from schemas.identifiers import CURSORS_TOPIC, SUBSCRIPTIONS_TOPIC

READ_TIMEOUT_S = 5.0

FILE_NAME = "subscriptions.json"
FORMAT = 1
KEPT_EVERY = 20_000
"""Records after which the file is written again: a start after a crash reads at most so many, in 0.2 s."""


class SubscriptionKeeper:
    """Holds the book, reads what is new when somebody needs it to be current, and appends."""

    def __init__(self, log: Log, clock: Clock, folder: Path, instance: str) -> None:
        self._log, self._clock = log, clock
        self._path, self._instance = folder / FILE_NAME, instance
        self._kept_at = 0
        self._reading = asyncio.Lock()
        self._positions = {SUBSCRIPTIONS_TOPIC: 0, CURSORS_TOPIC: 0}
        self._recently = Recently(self.fresh)
        self.book = SubscriptionBook()

    async def open(self) -> None:
        """Take up what the file holds, where it fits the log, and read on from there. Raises `LogError`."""
        with suppress(OSError, KeyError, TypeError, ValueError, AttributeError):
            kept = orjson.loads(await asyncio.to_thread(self._path.read_bytes))
            positions = {topic: int(kept["positions"][topic]) for topic in self._positions}
            if (kept["format"], kept["instance"]) == (FORMAT, self._instance) and await self._fits(positions):
                self.book, self._positions = SubscriptionBook.load(kept["book"]), positions
                self._kept_at = sum(positions.values())
        await self.fresh()

    async def _fits(self, positions: dict[str, int]) -> bool:
        """Whether the log is as long as it was when the file was written: it may be an older copy."""
        ends = await self._log.ends(list(positions))
        return all(position <= ends[topic] for topic, position in positions.items())

    async def close(self) -> None:
        """Write the file, so that the next start reads nothing again."""
        if sum(self._positions.values()) != self._kept_at:
            await self._keep()

    async def _keep(self) -> None:
        kept = {
            "format": FORMAT,
            "instance": self._instance,
            "positions": self._positions,
            "book": self.book.dump(),
        }
        self._kept_at = sum(self._positions.values())
        try:
            await asyncio.to_thread(_replace, self._path, orjson.dumps(kept))
        except OSError as error:
            # The log has it all; only the next start takes longer.
            log_event("subscriptions_not_kept", "warning", error=str(error)[:300])

    async def fresh(self) -> SubscriptionBook:
        """Return the book with everything that was in the log when this was called. Raises `LogError`."""
        # A cursor is written after its subscription: whoever sees the one's end first sees the other before it.
        ends = await self._log.ends([CURSORS_TOPIC])
        ends |= await self._log.ends([SUBSCRIPTIONS_TOPIC])
        if self._is_behind(ends):
            async with self._reading:
                if self._is_behind(ends):
                    await self._read_to(SUBSCRIPTIONS_TOPIC, ends, self.book.apply_subscription)
                    await self._read_to(CURSORS_TOPIC, ends, self.book.apply_cursor)
        return self.book

    async def recent(self) -> SubscriptionBook:
        """Return the book as it was in the log a moment ago: for those who ask again and again. Raises as `fresh`."""
        await self._recently.refreshed()
        return self.book

    def _is_behind(self, ends: dict[str, int]) -> bool:
        return any(self._positions[topic] < end for topic, end in ends.items())

    async def _read_to(self, topic: str, ends: dict[str, int], apply: Callable[[bytes], None]) -> None:
        if self._positions[topic] >= ends[topic]:
            return
        async with self._log.reader({topic: self._positions[topic]}) as reader:
            while reader.positions()[topic] < ends[topic]:
                for record in await reader.poll(timeout_s=READ_TIMEOUT_S):
                    try:
                        apply(record.value)
                    except (KeyError, TypeError, ValueError) as error:
                        # One that nobody can read must not take all others' subscriptions away.
                        log_event(
                            "record_unreadable", "error", topic=topic, offset=record.offset, error=type(error).__name__
                        )
                self._positions[topic] = reader.positions()[topic]
                if sum(self._positions.values()) - self._kept_at >= KEPT_EVERY:
                    await self._keep()

    async def write(self, subscription: Subscription) -> Reading | None:
        """Append a version, and return the subscription as it then is; None when it was deleted. Raises `LogError`."""
        await self._log.append(SUBSCRIPTIONS_TOPIC, [subscription.record()])
        return (await self.fresh()).get(subscription.id)

    async def move(self, subscription: str, cursor: Cursor, *, rewound: bool, by: str) -> Reading | None:
        """Append a commit or a rewinding, and return the subscription as it then is. Raises `LogError`."""
        at = format_time(self._clock.now_us())
        await self._log.append(CURSORS_TOPIC, [Moved(subscription, cursor, rewound, at, by).record()])
        return (await self.fresh()).get(subscription)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
