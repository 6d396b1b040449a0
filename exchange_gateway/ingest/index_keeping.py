"""Keeping the index of known events true to the log: at the start, beside other gateways, after a doubt."""

import asyncio
import itertools
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import orjson

from broker_adapters.log import Log, OffsetOutOfRange, Record
from exchange_gateway.known_events import Known, KnownEvents, known_key
from exchange_gateway.telemetry import log_event
from schemas.event import digest

LIST_EVERY_S = 1.0
"""How often topics that others made are looked for. On Kafka a list is told by a broker and long: thousands of topics
are some 20 ms of work."""


class IndexKeeper:
    """Reads into the index what the log holds beyond it.

    topics: those that can be appended to at once. being_made: those that are not yet among them, since appends wait
    in turn for them.
    """

    def __init__(self, log: Log, known: KnownEvents, digest_key: bytes) -> None:
        self._log, self._known, self._digest_key = log, known, digest_key
        self._catching_up = asyncio.Lock()
        self._list_due_s = float("-inf")
        self.topics: set[str] = set()
        self.being_made: set[str] = set()
        self._doubts: dict[str, int] = {}
        self._numbers = itertools.count()

    @property
    def uncertain(self) -> AbstractSet[str]:
        """The topics with an append whose outcome nobody knows."""
        return self._doubts.keys()

    def doubt(self, topic: str) -> None:
        """Take note that nobody knows what became of an append to `topic`."""
        self._doubts[topic] = next(self._numbers)

    async def find_out(self, topics: AbstractSet[str]) -> None:
        """Make certain what became of every append to `topics`. Raises `LogError`.

        Only this ends a doubt: to have read a topic to its end says nothing of an append that is still under way.
        """
        while doubts := {topic: self._doubts[topic] for topic in topics & self._doubts.keys()}:
            # What is still under way must be written, or never will be, before the end is looked at.
            await self._log.settle(doubts)
            await self.catch_up(doubts)
            for topic, number in doubts.items():
                # Another append may have been left in doubt meanwhile, and another caller may have found out already.
                if self._doubts.get(topic) == number:
                    del self._doubts[topic]

    async def catch_up(self, topics: Iterable[str] | None = None, *, grace_s: float = 0.0) -> int:
        """Read into the index what the log holds beyond it; all `pub` topics known unless some are named.

        grace_s: how long this gateway's own appends may still take to reach the index by themselves.
        Returns the number of events read. Raises `LogError`.
        """
        async with self._catching_up:
            if topics is None:
                await self._list()
                topics = frozenset(self.topics)
            ends = await self._log.ends(topics)
            behind = self._behind(ends)
            if behind and grace_s:
                # Under load some of our own are always on their way; reading them back is work for nothing.
                await asyncio.sleep(grace_s)
                behind = self._behind(ends)
            return await self._read_up_to(behind) if behind else 0

    async def _list(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._list_due_s:
            listed = {topic for topic in await self._log.topics() if topic.startswith("pub.")}
            self.topics |= listed - self.being_made
            self._list_due_s = now_s + LIST_EVERY_S

    async def make(self, topic: str) -> None:
        """Make a topic, or find out that another gateway made it, and what is in it. Raises `LogError`."""
        await self._log.create_topics([topic])
        await self.catch_up([topic])

    def _behind(self, ends: dict[str, int]) -> dict[str, int]:
        return {topic: end for topic, end in ends.items() if self._known.positions.get(topic, 0) < end}

    async def _read_up_to(self, ends: dict[str, int]) -> int:
        read = 0
        positions = {topic: max(self._known.positions.get(topic, 0), await self._log.first(topic)) for topic in ends}
        async with self._log.reader(positions) as reader:
            while any(position < ends.get(topic, 0) for topic, position in reader.positions().items()):
                records = await reader.poll(timeout_s=1.0)
                for record in records:
                    self._index(record)
                read += len(records)
                for topic, position in reader.positions().items():
                    self._known.advance(topic, 0, position)
                await asyncio.sleep(0)
        return read

    def _index(self, record: Record) -> None:
        attributes = orjson.loads(record.value)
        key = known_key(attributes["source"], attributes["id"], self._digest_key)
        self._known.add(key, Known(record.topic, record.offset, digest(attributes, self._digest_key)))

    async def start(self) -> None:
        """Make the index true before the first append; one that does not fit the log is built anew."""
        try:
            topics = [topic for topic in await self._log.topics() if topic.startswith("pub.")]
            ends = await self._log.ends(topics)
            if any(ends.get(topic, 0) < position for topic, position in self._known.positions.items()):
                log_event("known_events_rebuilt", "warning")
                self._known.forget()
            read = await self.catch_up()
        except OffsetOutOfRange:
            log_event("known_events_rebuilt", "warning")
            self._known.forget()
            read = await self.catch_up()
        log_event("known_events_caught_up", events=read)
