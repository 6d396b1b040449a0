"""Read the log as it was recorded, from a place in each topic that is fixed before the first record is sent.

A replay holds a bounded amount of records, however many topics it merges: the more there are, the less
is read ahead in each.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, TypeVar

from broker_adapters.log import READ_BYTES, Log, LogUnavailable, Page, Reader
from exchange_gateway.clock import Clock
from exchange_gateway.core.replay import (
    Buffer,
    Chunks,
    ReplayRequest,
    Run,
    Selection,
    WrongParameter,
    parse_request,
    take_ready,
)
from exchange_gateway.core.replay_bounds import FILTERS, Bounds

CLOCK_SKEW_S = 1.0
"""How far the clock that stamps records may be behind ours."""

READ_TIMEOUT_S = 10.0
"""How long a log may be away while it is replayed, before the replay is given up."""

AHEAD_BYTES_MAX = 16 * 1024 * 1024
AHEAD_BYTES_MIN = 32 * 1024
"""What is read ahead of all topics together, and of one at least."""

READERS_KEPT_MAX = 16
"""Up to so many topics each keeps a reader that reads on while records are sent; others are opened for each read."""

AT_ONCE = 8
T = TypeVar("T")


class Span(NamedTuple):
    """What to replay of a topic: from one offset up to, not including, another."""

    topic: str
    start: int
    end: int


async def find_spans(log: Log, request: ReplayRequest, clock: Clock) -> list[Span]:
    """Fix where the replay begins and ends in each topic. Raises `WrongParameter`, `LogError`."""
    everything = await log.topics()
    topics = [topic for topic in everything if request.wants(topic)]
    for name, bound in (("from", request.begin), ("to", request.end)):
        if bound is not None and bound.offset is not None and not request.has_one_topic(everything):
            raise WrongParameter(name, f"An offset has a meaning in one topic only, and {len(topics)} are asked for.")
    if request.as_of_us is not None:
        await _settled(log, topics, request.as_of_us, clock)
    ends = await log.ends(topics)
    spans = await _several(topics, lambda topic: _span(log, request, topic, ends[topic]))
    return [span for span in spans if span.start < span.end]


async def resolve(
    log: Log, given: Mapping[str, str], instance: str, clock: Clock
) -> tuple[ReplayRequest, list[Span], Bounds]:
    """Fix what a replay with these parameters gives, and write it down. Raises `WrongParameter`, `LogError`."""
    asked = parse_request(given, clock.now_us())
    spans = await find_spans(log, asked, clock)
    filters = {name: value for name, value in given.items() if name in FILTERS}
    return asked, spans, Bounds(instance, {span.topic: (span.start, span.end) for span in spans}, filters)


async def spans_within(log: Log, bounds: Bounds) -> list[Span]:
    """Return what was written down, as it can still be given. Raises `WrongParameter`, `LogError`."""
    there = set(await log.topics())
    for topic in bounds.spans:
        if topic not in there:
            raise WrongParameter("topics", f"The log has no topic {topic[:64]}.")
    ends = await log.ends(sorted(bounds.spans))
    firsts = dict(zip(ends, await _several(list(ends), log.first), strict=True))
    for topic, (start, end) in bounds.spans.items():
        if start < end and not firsts[topic] <= start < end <= ends[topic]:
            held = f"{topic} holds the offsets from {firsts[topic]} up to, not including, {ends[topic]}."
            raise WrongParameter("topics", held)
    return [Span(topic, *span) for topic, span in sorted(bounds.spans.items()) if span[0] < span[1]]


async def _settled(log: Log, topics: Sequence[str], as_of_us: int, clock: Clock) -> None:
    """Wait until nothing at or before the instant can still appear."""
    wait_s = as_of_us / 1e6 + CLOCK_SKEW_S - clock.now_us() / 1e6
    await asyncio.sleep(max(0.0, wait_s))
    await log.settle(topics)


async def _span(log: Log, request: ReplayRequest, topic: str, end: int) -> Span:
    start = await log.first(topic)
    if request.begin is not None:
        if request.begin.offset is not None:
            if not start <= request.begin.offset <= end:
                raise WrongParameter("from", f"{topic} holds the offsets from {start} up to, not including, {end}.")
            start = request.begin.offset
        elif request.begin.at_ms is not None:
            start = await log.offset_at(topic, request.begin.at_ms)
    if request.end is not None:
        if request.end.offset is not None:
            end = min(end, request.end.offset)
        elif request.end.at_ms is not None:
            end = min(end, await log.offset_at(topic, request.end.at_ms))
    if request.as_of_us is not None:
        end = min(end, await log.offset_at(topic, request.as_of_us // 1000 + 1))
    return Span(topic, start, end)


async def _several(items: Sequence[str], ask: Callable[[str], Awaitable[T]]) -> list[T]:
    """Ask for each, a few at a time."""
    answers: list[T] = []
    for begin in range(0, len(items), AT_ONCE):
        answers += await asyncio.gather(*map(ask, items[begin : begin + AT_ONCE]))
    return answers


async def replay(log: Log, request: ReplayRequest, spans: Sequence[Span]) -> AsyncGenerator[bytes, None]:
    """Give the records in `spans` that the request selects, as NDJSON in chunks. Raises `LogError`."""
    chunks = Chunks(Selection(request))
    async with aclosing(_merged(log, spans)) as runs:
        async for run in runs:
            for chunk in chunks.add(run):
                yield chunk
                # Whoever takes the chunks may never have to wait; others are to have their turn all the same.
                await asyncio.sleep(0)
    if rest := chunks.rest():
        yield rest


async def _merged(log: Log, spans: Sequence[Span]) -> AsyncGenerator[Run, None]:
    # Beside what is being merged a log that is away has its next answer here: as it came, and taken apart.
    shares = max(1, len(spans)) * (3 if log.remote else 1)
    bytes_max = min(READ_BYTES, max(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX // shares))
    sources = [_Source(log, span, bytes_max, keep=len(spans) <= READERS_KEPT_MAX) for span in spans]
    try:
        active = sources
        while active:
            await _fill(active)
            run = take_ready(source.buffer for source in active)
            active = [source for source in active if len(source.buffer) or not source.buffer.complete]
            if run:
                yield run
    finally:
        for source in sources:
            await source.close()


async def _fill(sources: Sequence["_Source"]) -> None:
    """Read until each topic that goes on has a record ahead; those that will soon need more are read along."""
    while any(source.is_empty for source in sources):
        low = [source for source in sources if source.is_low]
        low.sort(key=lambda source: not source.is_empty)
        await asyncio.gather(*(source.fill() for source in low[:AT_ONCE]))


class _Source:
    """One topic being replayed."""

    def __init__(self, log: Log, span: Span, bytes_max: int, *, keep: bool) -> None:
        self._log, self._span, self._bytes_max, self._keep = log, span, bytes_max, keep
        self._position = span.start
        self._reader: Reader | None = None
        self._ahead: asyncio.Task[Page | None] | None = None
        self._usual = 1
        self.buffer = Buffer(span.topic)

    @property
    def is_empty(self) -> bool:
        return not self.buffer.complete and not len(self.buffer)

    @property
    def is_low(self) -> bool:
        return not self.buffer.complete and len(self.buffer) <= self._usual // 2

    async def fill(self) -> None:
        """Read once."""
        reader = self._reader = self._reader or self._log.reader({self._span.topic: self._position})
        self._ahead = self._ahead or asyncio.create_task(self._poll(reader))
        page = await self._ahead
        self._ahead = None
        before, self._position = self._position, reader.positions()[self._span.topic]
        self.buffer.complete = self._position >= self._span.end
        if not self.buffer.complete and self._position == before:
            raise LogUnavailable(f"{self._span.topic} could not be read on from offset {before}.")
        if page is not None:
            self.buffer.add(page)
            self._usual = len(page.offsets)
        if self.buffer.complete:
            self.buffer.cut(self._span.end)
        if self.buffer.complete or not self._keep:
            await self.close()
        elif self._log.remote:
            self._ahead = asyncio.create_task(self._poll(reader))

    async def _poll(self, reader: Reader) -> Page | None:
        return await reader.poll_page(bytes_max=self._bytes_max, timeout_s=READ_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the reader."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
