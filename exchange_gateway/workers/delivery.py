"""Read what is next for a subscriber: from memory where it is new, from the log where the subscriber is behind."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from broker_adapters.log import READ_RECORDS, Log, OffsetOutOfRange, Record
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal
from exchange_gateway.core.subscriptions import (
    EARLIEST,
    LATEST,
    Cursor,
    Subscription,
    is_of,
    owner_prefix,
    wanted_topics,
)
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.fresh_topics import FreshTopics
from exchange_gateway.workers.tail import Tail
from exchange_gateway.workers.taken_in import TakenIn

PAGE_BYTES = 4 * 1024 * 1024
READ_TIMEOUT_S = 5.0
FETCH_BYTES_MIN = 64 * 1024
RECORD_BYTES = 2_500
"""What a record takes, rather too much than too little."""

WISHES_MAX = 1_024
"""So many answers to which topics somebody may read are kept, while no other agreement comes into force."""

ALIKE_RECORDS_MAX = 200
"""A stretch with more is read by somebody who was away, and by nobody else."""

ALIKE_MAX, ALIKE_BYTES_MAX = 256, 16 * 1024 * 1024
"""Stretches that are kept, and bytes of their events; what is made of those is twice as much."""

PASSED_OVER_MAX = 20_000
"""Records that one page looks at, at most: with a filter that lets nothing through it would else never end."""


Made = TypeVar("Made")


class CursorExpired(Exception):
    """The place was read past by what the log keeps. oldest: the oldest place to go on from."""

    def __init__(self, topic: str, oldest: Cursor) -> None:
        super().__init__(f"The log does not keep what stands there in {topic} any more.")
        self.topic, self.oldest = topic, oldest


class CursorAhead(Exception):
    """The place lies beyond what the log holds."""

    def __init__(self, topic: str, offset: int, end: int) -> None:
        super().__init__(f"It lies at offset {offset} of {topic}, which ends at {end}.")


class Handed(tuple[Record, ...]):  # noqa: SLOT001  # what is made once needs a place
    """Records that are handed to a subscriber, and often to hundreds alike."""

    @cached_property
    def _made(self) -> dict[object, Any]:
        return {}

    def once(self, make: Callable[["Handed"], Made]) -> Made:
        """Return what `make` makes of these records: made for the first of those who are handed them."""
        found: Made | None = self._made.get(make)
        if found is None:
            found = self._made[make] = make(self)
        return found


@dataclass(slots=True)
class Page:
    """Some records, and the place behind them, by topic.

    lag_events: how many records of its topics follow, at most: the filter and Kafka's own records are not taken off.
    looked_at: how many records were read for it.
    newest_ms: when the last record that was looked at was recorded; None where there was none.
    """

    records: Handed
    positions: dict[str, int]
    lag_events: int = 0
    looked_at: int = 0
    newest_ms: int | None = None


_Stretch = tuple[tuple[str, int, int], ...]
"""What is to be read: topics, each with the offset to begin at and the one to end before."""


class _Alike(NamedTuple):
    """What a stretch holds for all who want the same of it. places: where to go on."""

    records: Handed
    places: Mapping[str, int]
    looked_at: int
    newest_ms: int | None


class Delivery:
    """Reads for all subscribers of a gateway."""

    def __init__(self, log: Log, books: BookKeeper, tail: Tail, clock: Clock) -> None:
        self._log, self._books, self._tail, self._clock = log, books, tail, clock
        self.taken_in = TakenIn()
        self._fresh_topics = FreshTopics(log)
        self._there: frozenset[str] = frozenset()
        self._wishes: dict[tuple[object, ...], frozenset[str]] = {}
        self._wishes_by: tuple[int, int] = (0, 0)
        self._alike: dict[tuple[object, ...], _Alike] = {}
        self._alike_moved = self._alike_bytes = 0

    async def wanted(self, subscription: Subscription, reader: Principal, *, fresh: bool = True) -> frozenset[str]:
        """Return the topics that the subscriber may read now, there already or not. Raises `LogError`.

        fresh: by the agreements in the log at this moment; else they may be a second old.
        """
        book = await (self._books.fresh() if fresh else self._books.recent())
        now_us = self._clock.now_us()
        # Hundreds ask with the same wishes, and until another version of an agreement holds the answer is the same.
        by = (book.up_to_offset, book.in_force(now_us).from_us)
        if by != self._wishes_by or len(self._wishes) >= WISHES_MAX:
            self._wishes, self._wishes_by = {}, by
        wishes = (subscription.types, subscription.alliances, reader.participants)
        found = self._wishes.get(wishes)
        if found is None:
            found = self._wishes[wishes] = wanted_topics(*wishes, book, now_us)
        return found

    async def places(self, wanted: frozenset[str], start: str | int) -> dict[str, int]:
        """Return where a start stands in each topic: `earliest`, `latest`, or a time (UTC milliseconds).

        A topic that is not there yet is left out, and so read from its first record.
        """
        if start == EARLIEST:
            return {}
        topics = await self._existing(wanted)
        if start == LATEST:
            return await self._log.ends(topics)
        return {topic: await self._log.offset_at(topic, int(start)) for topic in topics}

    async def _existing(self, wanted: frozenset[str]) -> list[str]:
        if not wanted <= self._there:
            self._there = await self._fresh_topics.get()
        return sorted(wanted & self._there)

    async def page(
        self,
        subscription: Subscription,
        reader: Principal,
        wanted: frozenset[str],
        cursor: Cursor,
        *,
        limit: int,
        bytes_max: int = PAGE_BYTES,
        fresh: bool = True,
        patient: bool = False,
        alone: bool = False,
    ) -> Page:
        """Return what comes next after a cursor, without waiting.

        wanted: the topics that the subscriber may read. fresh: everything that is in the log now is looked at; else
        what the tail has come to. patient: where the tail has something, the rest may come later. alone: nobody
        else will come for the same. Raises `LogError`,
        `CursorExpired`, `CursorAhead`.
        """
        ends = await self._log.ends(await self._existing(wanted)) if fresh else self._tail.ends(wanted)
        # How far it is read; the lag is told by where the topics end.
        until = dict(ends)
        page = Page(Handed(), dict(cursor.positions))
        behind: dict[str, int] = {}
        # Shuffled, so that a page that is filled by one topic does not always leave out the same others.
        for topic in random.sample(sorted(ends), len(ends)) if len(ends) > 1 else ends:
            place = cursor.positions.get(topic, 0)
            if fresh and place > ends[topic]:
                raise CursorAhead(topic, place, ends[topic])
            if place < ends[topic]:
                behind[topic] = place
                if patient and self._tail.covers(topic, place) and self._may_wait(topic, place):
                    until[topic] = self._tail.end(topic)
        reading = _Reading(subscription, reader, page, limit, bytes_max)
        near = [topic for topic, place in behind.items() if self._covers(topic, place, until[topic])]
        stretch = tuple((topic, behind.pop(topic), until[topic]) for topic in near)
        if behind or alone:
            self._from_tail(reading, stretch)
            if behind and not reading.is_full:
                await self._from_log(reading, behind, until, cursor)
            page.records = Handed(reading.kept)
        elif stretch:
            self._alike_from_tail(reading, stretch)
        page.lag_events = sum(max(0, end - page.positions.get(topic, 0)) for topic, end in ends.items())
        return page

    def _may_wait(self, topic: str, place: int) -> bool:
        """Whether whoever has a moment is better served by what the tail has, or will have very soon.

        A fetch over a connection for a single event costs more than to be woken in turn; a look at a file does not.
        """
        return self._log.remote or self._tail.end(topic) > place

    def _covers(self, topic: str, place: int, end: int) -> bool:
        return self._tail.covers(topic, place) and self._tail.end(topic) >= end

    def _from_tail(self, reading: "_Reading", stretch: _Stretch) -> None:
        for topic, begin, end in stretch:
            place = begin
            while place < end and not reading.is_full:
                records, place = self._tail.take(topic, place, READ_RECORDS)
                reading.take(records, {topic: place})

    def _alike_from_tail(self, reading: "_Reading", stretch: _Stretch) -> None:
        """Read a stretch, or take what was found when somebody else who wants the same of it read it.

        Hundreds who follow the same alliance are woken in turn, always in the same order, so those who come soon after
        one another go on from the same place.
        """
        if self._alike_moved != self._tail.moved:
            self._alike, self._alike_moved, self._alike_bytes = {}, self._tail.moved, 0
        page, bytes_max = reading.page, reading.bytes_left
        key = (*sorted(stretch), reading.wants, reading.limit, bytes_max)
        found = self._alike.get(key)
        if found is None:
            self._from_tail(reading, stretch)
            page.records = Handed(reading.kept)
            size = self._alike_bytes + bytes_max - reading.bytes_left
            if page.looked_at <= ALIKE_RECORDS_MAX and size <= ALIKE_BYTES_MAX and len(self._alike) < ALIKE_MAX:
                self._alike_bytes = size
                # Only where it went on: where it did not, another reader's cursor may not name the topic at all.
                read = ((topic, begin, page.positions.get(topic, begin)) for topic, begin, _ in stretch)
                places = {topic: place for topic, begin, place in read if place != begin}
                self._alike[key] = _Alike(page.records, places, page.looked_at, page.newest_ms)
        else:
            page.records, page.looked_at, page.newest_ms = found.records, found.looked_at, found.newest_ms
            page.positions.update(found.places)

    async def _from_log(
        self, reading: "_Reading", behind: Mapping[str, int], ends: Mapping[str, int], cursor: Cursor
    ) -> None:
        async with self._log.reader(behind) as reader:
            while not reading.is_full and any(place < ends[topic] for topic, place in reader.positions().items()):
                try:
                    records = await reader.poll(bytes_max=reading.fetch_bytes, timeout_s=READ_TIMEOUT_S)
                except OffsetOutOfRange as error:
                    if error.topic in cursor.positions:
                        raise CursorExpired(error.topic, await self._oldest(cursor)) from None
                    # A topic that was never read is read from the first record that is kept.
                    reader.seek(error.topic, error.first)
                    continue
                reading.take(records, reader.positions())
                if not records:
                    break

    async def _oldest(self, cursor: Cursor) -> Cursor:
        """Return the cursor moved forward to what is kept."""
        firsts = {topic: await self._log.first(topic) for topic in cursor.positions}
        return Cursor(cursor.epoch, {topic: max(place, firsts[topic]) for topic, place in cursor.positions.items()})

    async def turn(self, timeout_s: float) -> None:
        """Return when it is a pull's turn: at once, unless hundreds pull."""
        await self._tail.pulls.turn(timeout_s)

    async def wait(
        self, positions: Mapping[str, int], wanted: frozenset[str], timeout_s: float, *, streams: bool = False
    ) -> None:
        """Return when one of the topics goes on or is made, or after a while; in turn with others who wait.

        streams: in line with other streams; else with those who pull.
        """
        waking = self._tail.streams if streams else self._tail.pulls
        await self._tail.wait({topic: positions.get(topic, 0) for topic in wanted}, waking, timeout_s)


class _Reading:
    """A page while it is filled."""

    def __init__(self, subscription: Subscription, reader: Principal, page: Page, limit: int, bytes_max: int) -> None:
        self.page, self.limit, self.bytes_left = page, limit, bytes_max
        self.kept: list[Record] = []
        self.wants = subscription.wanted, reader.participants
        """What decides which records are kept: the filter, and whose events are its own."""

    @property
    def _room(self) -> int:
        return self.limit - len(self.kept)

    @property
    def is_full(self) -> bool:
        """Whether no more records fit."""
        return self._room <= 0 or self.bytes_left <= 0 or self.page.looked_at >= PASSED_OVER_MAX

    @property
    def fetch_bytes(self) -> int:
        """How much to read next: what is read beyond the page is thrown away, and read again for the next one."""
        return min(self.bytes_left, max(FETCH_BYTES_MIN, self._room * RECORD_BYTES))

    def take(self, records: Sequence[Record], following: Mapping[str, int]) -> None:
        """Take in records until the page is full. following: where to go on in each topic when all are taken."""
        page, places = self.page, dict(following)
        wanted, participants = self.wants
        own = tuple(map(owner_prefix, participants))
        lets_through, kept, room = wanted.lets_through, self.kept, self._room
        taken = min(len(records), PASSED_OVER_MAX - page.looked_at)
        for index, record in enumerate(records):
            if index >= taken or room <= 0 or self.bytes_left <= 0:
                # What does not fit any more comes again.
                places |= {left.topic: left.offset for left in reversed(records[index:])}
                taken = index
                break
            if not is_of(record, own) and lets_through(record):
                kept.append(record)
                room -= 1
                self.bytes_left -= len(record.value)
        if taken:
            page.newest_ms = records[taken - 1].recorded_at_ms
        page.looked_at += taken
        page.positions.update(places)
