"""Keep the gateway's book of subscriptions current, and write to it: the fold of two control topics.

Every version of every subscription and every commit is in the log, so any gateway serves any subscriber, and a
restart loses nothing.
"""

import asyncio
from collections.abc import Callable

from broker_adapters.log import Log
from exchange_gateway.clock import Clock
from exchange_gateway.core.subscriptions import Cursor, Moved, Reading, Subscription, SubscriptionBook
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.recent import Recently
from schemas.event import format_time
from schemas.identifiers import CURSORS_TOPIC, SUBSCRIPTIONS_TOPIC

READ_TIMEOUT_S = 5.0


class SubscriptionKeeper:
    """Holds the book, reads what is new when somebody needs it to be current, and appends."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._reading = asyncio.Lock()
        self._positions = {SUBSCRIPTIONS_TOPIC: 0, CURSORS_TOPIC: 0}
        self._recently = Recently(self.fresh)
        self.book = SubscriptionBook()

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

    async def write(self, subscription: Subscription) -> Reading | None:
        """Append a version, and return the subscription as it then is; None when it was deleted. Raises `LogError`."""
        await self._log.append(SUBSCRIPTIONS_TOPIC, [subscription.record()])
        return (await self.fresh()).get(subscription.id)

    async def move(self, subscription: str, cursor: Cursor, *, rewound: bool, by: str) -> Reading | None:
        """Append a commit or a rewinding, and return the subscription as it then is. Raises `LogError`."""
        at = format_time(self._clock.now_us())
        await self._log.append(CURSORS_TOPIC, [Moved(subscription, cursor, rewound, at, by).record()])
        return (await self.fresh()).get(subscription)
