"""The newest records of all alliances' topics, read once for everybody who waits for them.

Five hundred streams that each asked the log would be five hundred readers of the same records. So one reader follows
the topics to their ends, keeps the newest records for a while, and wakes those who wait for their topic. Whoever is
further behind reads from the log.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping

from broker_adapters.log import Log, OffsetOutOfRange, Reader, Record
from exchange_gateway.workers.loop import TopicList
from exchange_gateway.workers.waking import Waking
from schemas.identifiers import parse_data_topic

KEPT_BYTES = 16 * 1024 * 1024
KEPT_OVERHEAD_BYTES = 400
"""What a record costs in memory beside its value."""

WAKE_S = 0.001
"""Between two who are woken, where many wait. Several times what serving one takes, so that hundreds who wait for the
same topics leave time for everything else; meanwhile more events come together for each of them. The same for streams
and pulls, which stand in lines of their own: on a busy gateway those who are woken less often would be last with each
event, and many of the one must not hold up the others."""

WAIT_S = 0.2
"""How long one wait for records takes at most: a topic that has just been made is followed after it."""


class _Topic:
    """The end of one topic. complete_from: everything from this offset up to `end` is in `records`, behind `gone`.

    What is let go of stays in front of the list for a while, as None: cutting a list's front off moves all of it.
    """

    __slots__ = ("complete_from", "end", "gone", "records")

    def __init__(self, begin: int) -> None:
        self.complete_from = self.end = begin
        self.gone = 0
        self.records: list[Record | None] = []

    def let_go(self) -> None:
        """Let go of the oldest record."""
        oldest = self.records[self.gone]
        assert oldest is not None  # noqa: S101  # only what stands before it is gone
        self.complete_from = oldest.offset + 1
        self.records[self.gone] = None
        self.gone += 1
        if self.gone * 2 > len(self.records):
            del self.records[: self.gone]
            self.gone = 0

    def after(self, offset: int, records_max: int) -> tuple[list[Record], int]:
        """Return the records from an offset on, and the offset to go on from."""
        begin = bisect_left(self.records, offset, lo=self.gone, key=_offset)
        taken: list[Record] = self.records[begin : begin + records_max]  # type: ignore[assignment]  # none is gone
        return taken, self.end if begin + records_max >= len(self.records) else taken[-1].offset + 1


def _offset(record: Record | None) -> int:
    assert record is not None  # noqa: S101  # it is searched behind what is gone
    return record.offset


class Tail:
    """See the module. `run` follows the log; it may be stopped and started again."""

    def __init__(self, log: Log, kept_bytes: int = KEPT_BYTES) -> None:
        self._log, self._kept_bytes = log, kept_bytes
        self._topics: dict[str, _Topic] = {}
        self._order: deque[tuple[str, int]] = deque()
        self._used_bytes = 0
        self.streams, self.pulls = Waking(WAKE_S), Waking(WAKE_S)
        self.moved = 0
        """How often a topic went on, or began anew."""

    def ends(self, topics: Iterable[str]) -> dict[str, int]:
        """Return where each of the topics ends as far as it was followed; those that are not followed are left out."""
        return {topic: found.end for topic in topics if (found := self._topics.get(topic)) is not None}

    def end(self, topic: str) -> int:
        """Return where a topic ends that is followed."""
        return self._topics[topic].end

    def covers(self, topic: str, offset: int) -> bool:
        """Whether everything from an offset on is here."""
        found = self._topics.get(topic)
        return found is not None and found.complete_from <= offset <= found.end

    def take(self, topic: str, offset: int, records_max: int) -> tuple[list[Record], int]:
        """Return the next records of a topic that `covers` the offset, and the offset to go on from."""
        return self._topics[topic].after(offset, records_max)

    async def wait(self, positions: Mapping[str, int], waking: Waking, timeout_s: float) -> None:
        """Return when one of the topics goes on from its position, or is new, or after a while; in turn with others.

        waking: `streams` or `pulls`, who are woken each in their own line.
        """
        ahead = any(
            found.end > positions[topic] for topic in positions if (found := self._topics.get(topic)) is not None
        )
        await waking.wait(positions, timeout_s, at_once=ahead)

    async def run(self) -> None:
        """Follow the log until cancelled. Raises `LogError`."""
        topics = TopicList(self._log)
        listed: list[str] | None = None
        first = not self._topics
        async with self._log.reader(self.ends(self._topics)) as reader:
            while True:
                now_listed = await topics.get()
                if now_listed is not listed:
                    listed = now_listed
                    await self._find(reader, listed, at_end=first)
                    first = False
                try:
                    records = await reader.poll(timeout_s=WAIT_S)
                except OffsetOutOfRange as error:
                    self._forget(error.topic, error.end)
                    reader.seek(error.topic, error.end)
                    continue
                self._keep(records, reader.positions())

    async def _find(self, reader: Reader, listed: list[str], *, at_end: bool) -> None:
        """Follow the topics that are new: at the start from their ends, later from their first records."""
        new = [topic for topic in listed if topic not in self._topics and topic.startswith("alliance.")]
        new = [topic for topic in new if parse_data_topic(topic) is not None]
        if not new:
            return
        begins = await self._log.ends(new) if at_end else {topic: await self._log.first(topic) for topic in new}
        for topic, begin in begins.items():
            self._topics[topic] = _Topic(begin)
            reader.seek(topic, begin)
            self._wake(topic)

    def _keep(self, records: list[Record], positions: Mapping[str, int]) -> None:
        for record in records:
            self._topics[record.topic].records.append(record)
            size = len(record.value) + KEPT_OVERHEAD_BYTES
            self._order.append((record.topic, size))
            self._used_bytes += size
        for topic, position in positions.items():
            found = self._topics[topic]
            if position != found.end:
                found.end = position
                self._wake(topic)
        while self._used_bytes > self._kept_bytes:
            topic, size = self._order.popleft()
            self._used_bytes -= size
            found = self._topics[topic]
            found.let_go()

    def _forget(self, topic: str, end: int) -> None:
        """Begin anew with a topic that is shorter than it was: the log is an older copy, or another one."""
        found = self._topics[topic]
        self._used_bytes -= sum(size for name, size in self._order if name == topic)
        self._order = deque((name, size) for name, size in self._order if name != topic)
        found.records, found.gone = [], 0
        found.complete_from = found.end = end
        self._wake(topic)

    def _wake(self, topic: str) -> None:
        self.moved += 1
        self.streams.goes_on(topic)
        self.pulls.goes_on(topic)
