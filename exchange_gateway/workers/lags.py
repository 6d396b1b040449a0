"""How far behind the log its readers are: the shards that are run here, and the subscriptions. For the metrics."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from broker_adapters.log import Log, LogError
from exchange_gateway.clock import Clock
from exchange_gateway.core.subscriptions import wanted_topics
from exchange_gateway.telemetry import Lag, Metrics
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.subscriptions import SubscriptionKeeper

EVERY_S = 5.0

SUBSCRIPTIONS_MAX = 500
"""A series each: what keeps the metrics must stay able to hold them. The first by id are told of."""

PLACES_MAX = 500
"""Records that are looked at in one round to see how long they have waited."""

READ_TIMEOUT_S = 1.0


class Work(NamedTuple):
    """What is cut into shards. committed: the shards that are run here, each with its offsets by topic.

    shard_of: which shard a topic belongs to; None for a topic of other work.
    """

    name: str
    committed: Mapping[int, Mapping[str, int]]
    shard_of: Callable[[str], int | None]


class Followed(NamedTuple):
    """The subscriptions, and the agreements that say what they are given."""

    subscriptions: SubscriptionKeeper
    books: BookKeeper


class Lags:
    """Measures every few seconds. See the module. followed: None where no subscriptions are looked at."""

    def __init__(
        self,
        log: Log,
        works: Iterable[Work],
        clock: Clock,
        metrics: Metrics,
        followed: Followed | None = None,
    ) -> None:
        self._log, self._works, self._clock, self._metrics = log, list(works), clock, metrics
        self._followed = followed
        self._waited: dict[tuple[str, int], float | None] = {}

    async def run(self) -> None:
        """Measure until cancelled. Raises `LogError`."""
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_S)

    async def measure(self) -> None:
        """Measure once, and tell the metrics. Raises `LogError`."""
        topics = await self._log.topics()
        ends = await self._log.ends(topic for topic in topics if topic.startswith(("pub.", "in.", "alliance.")))
        self._waited = {}
        shards: dict[tuple[str, ...], Lag] = {
            (work.name, str(shard)): await self._lag({topic: positions.get(topic, 0) for topic in owned}, ends)
            for work in self._works
            for shard, positions in sorted(work.committed.items())
            for owned in [[topic for topic in ends if work.shard_of(topic) == shard]]
        }
        self._metrics.shard_lag.tell(shards)
        if self._followed is not None:
            self._metrics.subscription_lag.tell(await self._of_subscriptions(self._followed, ends))

    async def _of_subscriptions(self, followed: Followed, ends: Mapping[str, int]) -> dict[tuple[str, ...], Lag]:
        book, now_us = await followed.books.recent(), self._clock.now_us()
        subscriptions: dict[tuple[str, ...], Lag] = {}
        readings = sorted((await followed.subscriptions.recent()).all(), key=lambda one: one.subscription.id)
        for one in readings[:SUBSCRIPTIONS_MAX]:
            about = one.subscription
            wanted = wanted_topics(about.types, about.alliances, [about.participant], book, now_us)
            positions = {topic: one.committed.positions.get(topic, 0) for topic in wanted if topic in ends}
            subscriptions[about.participant, about.id] = await self._lag(positions, ends)
        return subscriptions

    async def _lag(self, positions: Mapping[str, int], ends: Mapping[str, int]) -> Lag:
        events, seconds = 0, 0.0
        for topic, place in positions.items():
            if place < ends[topic]:
                waited_s = await self._waited_s(topic, place)
                if waited_s is not None:
                    events += ends[topic] - place
                    seconds = max(seconds, waited_s)
        return Lag(events, round(seconds, 3))

    async def _waited_s(self, topic: str, place: int) -> float | None:
        """Return how long the first record from a place on has waited; None where Kafka's own are all that follows."""
        if (topic, place) not in self._waited:
            if len(self._waited) >= PLACES_MAX:
                return 0.0
            self._waited[topic, place] = await self._read(topic, place)
        return self._waited[topic, place]

    async def _read(self, topic: str, place: int) -> float | None:
        try:
            first = max(place, await self._log.first(topic))
            async with self._log.reader({topic: first}) as reader:
                records = await reader.poll(records_max=1, bytes_max=1, timeout_s=READ_TIMEOUT_S)
        except LogError:
            return 0.0
        if not records:
            return None
        return max(0.0, self._clock.now_us() / 1e6 - records[0].recorded_at_ms / 1000)
