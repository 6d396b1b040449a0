"""Reading: one fetch at a time of what was asked for, and nothing in the background.

aiokafka's consumer is built for groups: it goes on fetching ahead of its caller, over 500 topics up to
500 MB, and without waiting it cannot tell "nothing there" from "not fetched yet". A reader here asks the
brokers for what a poll may return, over connections of its own.
"""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiokafka import errors
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.protocol.fetch import FetchRequest

from broker_adapters.kafka.faults import MOVED, REFUSED, translate
from broker_adapters.kafka.link import EARLIEST, LATEST, NO_LEADER, Link
from broker_adapters.kafka.records import Fetched
from broker_adapters.log import (
    READ_BYTES,
    READ_RECORDS,
    LogClosed,
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Page,
    Reader,
    Record,
)

WAIT_S_MAX = 0.5
"""The longest that a broker holds back an answer: as long, a seek to elsewhere can take."""

RETRY_S = 0.05
DEFAULT_RACK = ""

T = TypeVar("T")


class Links:
    """Links that readers borrow: connecting takes some milliseconds, so a link is used again."""

    SPARE_MAX = 8

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make
        self._spare: list[Link] = []
        self._lent: set[Link] = set()
        self.closed = False

    async def borrow(self) -> Link:
        """Return a link that nobody else uses."""
        if self.closed:
            raise LogClosed("The log is closed.")
        link = self._spare.pop() if self._spare else self._make()
        self._lent.add(link)
        if not link.is_open:
            try:
                await link.open()
            except BaseException:
                self._lent.discard(link)
                raise
        return link

    async def give_back(self, link: Link, *, busy: bool) -> None:
        """Keep a link for the next reader, unless an answer is still on its way over it."""
        self._lent.discard(link)
        if busy or self.closed or len(self._spare) >= self.SPARE_MAX:
            await link.close()
        else:
            self._spare.append(link)

    async def close(self) -> None:
        """Close all, also what is lent: who waits there hears of it."""
        self.closed = True
        links, self._spare = [*self._spare, *self._lent], []
        await asyncio.gather(*(link.close() for link in links))


class KafkaReader(Reader):
    """A place in each of some topics of the cluster."""

    def __init__(
        self,
        links: Links,
        positions: Mapping[str, int],
        bounds: Callable[[str], Awaitable[tuple[int, int]]],
    ) -> None:
        self._links, self._bounds = links, bounds
        self._positions = dict(positions)
        self._fetched: deque[Fetched] = deque()
        self._asked: dict[asyncio.Task[Any], tuple[int, dict[str, int]]] = {}
        self._link: Link | None = None
        self._failing_since: float | None = None
        self._closed = False

    def positions(self) -> dict[str, int]:
        return dict(self._positions)

    def seek(self, topic: str, offset: int) -> None:
        self._positions[topic] = offset
        self._fetched = deque(one for one in self._fetched if one.topic != topic)

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        return await self._poll(lambda: self._take(records_max, bytes_max), bytes_max, timeout_s) or []

    async def poll_page(self, *, bytes_max: int = READ_BYTES, timeout_s: float = 0.0) -> Page | None:
        return await self._poll(self._take_page, bytes_max, timeout_s)

    async def _poll(self, take: Callable[[], T], bytes_max: int, timeout_s: float) -> T | None:
        """Return what `take` finds, fetching until it finds something."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._closed:
                raise LogClosed("The reader is closed.")
            found = take()
            remaining = max(0.0, deadline - time.monotonic())
            if found:
                return found
            if not await self._fetch(remaining, max(1, bytes_max)) and remaining == 0:
                return None

    def _take_page(self) -> Page | None:
        while self._fetched:
            part = self._fetched.popleft()
            try:
                page = part.page()
            except (errors.KafkaError, OSError) as damage:
                # It is fetched again from where it stands.
                raise translate(damage, f"reading {part.topic}") from damage
            self._positions[part.topic] = part.position
            if page is not None:
                self._fetched.append(part)
                return page
        return None

    def _take(self, records_max: int, bytes_max: int) -> list[Record]:
        records: list[Record] = []
        room = bytes_max
        while self._fetched:
            part = self._fetched.popleft()
            damage: Exception | None = None
            try:
                room -= part.take(records, records_max, room)
                spent = part.spent
            except (errors.KafkaError, OSError) as error:
                # It is fetched again from where it stands; what was taken before is handed out first.
                damage, spent = error, True
            self._positions[part.topic] = part.position
            if damage is not None and not records:
                raise translate(damage, f"reading {part.topic}") from damage
            if not spent:
                # Next time another topic comes first: a long one does not starve the others.
                self._fetched.append(part)
            if damage is not None or not spent:
                break
        return records

    async def _fetch(self, wait_s: float, bytes_max: int) -> bool:
        """Ask every broker that is not asked yet; return whether to look again at once."""
        if not self._positions:
            await asyncio.sleep(min(wait_s, WAIT_S_MAX))
            return False
        try:
            if self._link is None:
                self._link = await self._links.borrow()
            orphans = await self._ask(self._link, min(wait_s, WAIT_S_MAX), bytes_max)
            # Without time to wait, "nothing there" has to be every broker's answer.
            until = asyncio.FIRST_COMPLETED if wait_s else asyncio.ALL_COMPLETED
            done = (await asyncio.wait(self._asked, return_when=until))[0] if self._asked else set()
            came = [await self._accept(self._link, task) for task in done]
        except (errors.KafkaError, LogUnavailable, OSError, TimeoutError) as error:
            await self._bear(error, wait_s)
            return True
        if orphans and not any(came):
            await self._bear(LogUnavailable(f"No broker leads {orphans[0]} just now."), wait_s)
            return True
        self._failing_since = None
        return any(came)

    async def _ask(self, link: Link, wait_s: float, bytes_max: int) -> list[str]:
        """Ask the brokers that are not asked yet; return the topics that have no leader."""
        orphans = []
        busy = {node for node, _ in self._asked.values()}
        by_node: dict[int, dict[str, int]] = defaultdict(dict)
        # Shuffled, since a broker fills its answer from the first topic on.
        for topic in random.sample(list(self._positions), len(self._positions)):
            node = await link.require(topic)
            if node == NO_LEADER:
                orphans.append(topic)
            elif node not in busy:
                by_node[node][topic] = self._positions[topic]
        share = max(1, bytes_max // max(1, len(by_node)))
        for node, places in by_node.items():
            wanted = [(link.name(topic), [(0, offset, share)]) for topic, offset in places.items()]
            request = FetchRequest(int(wait_s * 1000), 1, share, READ_COMMITTED, wanted, DEFAULT_RACK)
            self._asked[asyncio.create_task(link.ask(node, request))] = (node, places)
        return orphans

    async def _accept(self, link: Link, task: asyncio.Task[Any]) -> bool:
        _, places = self._asked.pop(task)
        came = False
        for name, partitions in task.result().topics:
            topic = link.topic(name)
            if self._positions.get(topic) != places[topic]:
                # The reader was sent elsewhere meanwhile.
                continue
            _, code, _, *rest = partitions[0]
            if code:
                await self._refuse(topic, errors.for_code(code))
            elif rest[-1]:
                self._fetched.append(Fetched(topic, places[topic], rest[-1], rest[2]))
                came = True
        return came

    async def _refuse(self, topic: str, error: type[errors.KafkaError]) -> None:
        if error is errors.OffsetOutOfRangeError:
            first, end = await self._bounds(topic)
            raise OffsetOutOfRange(topic, self._positions[topic], first, end)
        raise error(topic)

    async def _bear(self, error: Exception, wait_s: float) -> None:
        """Look again at who leads what, and wait a moment; raise when that has been in vain."""
        if self._links.closed:
            raise LogClosed("The log was closed.") from error
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if isinstance(error, REFUSED) or (wait_s == 0 and now - self._failing_since > WAIT_S_MAX):
            self._failing_since = None
            raise translate(error, "reading") from error
        if self._link is not None and isinstance(error, (*MOVED, LogUnavailable)):
            try:
                await self._link.refresh()
            except LogError as refused:
                raise translate(refused, "reading") from error
        await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        busy = bool(self._asked)
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        self._fetched.clear()
        if self._link is not None:
            await self._links.give_back(self._link, busy=busy)


async def bounds_of(link: Link, topic: str) -> tuple[int, int]:
    """Return the first offset kept of a topic, and its end."""
    first = await link.offsets({topic: EARLIEST})
    end = await link.offsets({topic: LATEST})
    return first[topic], end[topic]
