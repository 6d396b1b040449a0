"""The log port: what a log must promise, whatever keeps it.

A log is a set of topics. A topic is one total order of records that are only ever appended. Both
adapters pass one suite, `tests/contract/`; what one cannot promise stands in `README.md` beside this
file. The promises, each a test:

1. `append` **must** return only when the records are durable, and **must not** return success for
   a record that a crash can take back.
2. A topic **must** be one total order. Offsets grow and **must not** be reused; they may have gaps, so
   a caller **must not** count with them.
3. Reading **must** give the bytes that were appended, for ever, and **must not** have a side effect.
   Outside of what the topic holds it **must** raise `OffsetOutOfRange`, and a limit in bytes or records
   **must not** drop what was not returned.
4. A cancelled append **must** leave each of its records whole or absent, and **must not** harm another.
5. What a `Processor` commits (outputs, state, positions) **must** become durable together or not at
   all; a processor that another has replaced **must** fail with `Fenced`; readers **must not** see what
   was not committed.
6. Each fault **must** be its own error that says whether trying again helps, and after it the log
   **must** go on correctly.
7. A reader **must not** hold more than was asked for, and appends **must** push back.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

RECORD_BYTES_MAX = 1024 * 1024
"""The largest value a log takes. Kafka brokers refuse batches over about 1 MB unless told otherwise."""

RECORD_OVERHEAD_BYTES = 200
"""What a waiting record costs beside its bytes; without it many tiny ones would count as nothing."""

READ_RECORDS = 500
PAGE_RECORDS = 1_000
READ_BYTES = 4 * 1024 * 1024
"""How much one `poll` returns unless told otherwise, and one `poll_page`; 4 MB fetches made replay fastest on Kafka."""


class NewRecord(NamedTuple):
    """A record to append. `headers` stand beside the value where the log has them (Kafka)."""

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Record(NamedTuple):
    """A record as the log holds it. `recorded_at_ms`: UTC milliseconds, never decreasing in a topic."""

    topic: str
    offset: int
    recorded_at_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Page(NamedTuple):
    """Records of one topic in columns, without keys and headers: a third of what `Record`s cost whoever copies many."""

    topic: str
    offsets: list[int]
    times_ms: list[int]
    values: list[bytes]


class LogError(Exception):
    """The base of all that can go wrong with a log.

    retryable: whether the same call can succeed later without anybody's doing.
    outcome_unknown: whether the records may have been written all the same.
    """

    retryable = False
    outcome_unknown = False


class UnknownTopic(LogError):
    """The topic was never created."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"The log has no topic {topic!r}.")
        self.topic = topic


class OffsetOutOfRange(LogError):
    """The place lies before the first record kept, or beyond the end."""

    def __init__(self, topic: str, offset: int, first: int, end: int) -> None:
        super().__init__(f"Offset {offset} of {topic} is out of range: it holds {first} up to (not including) {end}.")
        self.topic, self.offset, self.first, self.end = topic, offset, first, end


class RecordTooLarge(LogError):
    """A record is larger than the log takes."""

    def __init__(self, topic: str, size_bytes: int, limit_bytes: int = RECORD_BYTES_MAX) -> None:
        super().__init__(f"A record of {size_bytes} bytes for {topic} is over the limit of {limit_bytes}.")
        self.topic, self.size_bytes, self.limit_bytes = topic, size_bytes, limit_bytes


class LogClosed(LogError):
    """The log was closed, or not opened yet."""


class Fenced(LogError):
    """Another processor of the same name has started; this one must stop."""


class LogUnavailable(LogError):
    """The log cannot be reached or does not answer now."""

    retryable = True

    def __init__(self, detail: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(detail)
        self.outcome_unknown = outcome_unknown


class LogFull(LogUnavailable):
    """The log's disk is full. Nothing was written; free some space and go on."""


class LogLocked(LogError):
    """Another process holds the data folder."""


class LogFolderUnusable(LogError):
    """The data folder cannot be made, read or written."""


class LogDamaged(LogError):
    """What is stored is not what was written. Nothing is guessed: restore it from a backup."""


def waiting_bytes(topic: str, records: Sequence[NewRecord]) -> int:
    """Return how many bytes `records` take while they wait to be written. Raises `RecordTooLarge`."""
    size_bytes = len(records) * RECORD_OVERHEAD_BYTES
    for value, key, _ in records:
        if len(value) > RECORD_BYTES_MAX:
            raise RecordTooLarge(topic, len(value))
        size_bytes += len(value) + (len(key) if key else 0)
    return size_bytes


class Reader(ABC):
    """A place in each of some topics, and what comes after it. Use as an async context manager.

    A reader sees committed records only. It belongs to one task.
    """

    @abstractmethod
    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        """Return what comes next, in order within each topic, and move on past it.

        Waits up to `timeout_s` for a first record and returns an empty list when none comes. Gives at
        least one record where there is one, however small `bytes_max` is. Raises `OffsetOutOfRange`,
        `UnknownTopic`, `LogUnavailable`.
        """

    @abstractmethod
    async def poll_page(self, *, bytes_max: int = READ_BYTES, timeout_s: float = 0.0) -> Page | None:
        """Return what comes next in one of the topics, as `poll` does; None when nothing comes in time.

        At most some `PAGE_RECORDS`. What `poll` and this return together is each record once.
        """

    @abstractmethod
    def positions(self) -> dict[str, int]:
        """Return, for each topic, the offset from which the next poll reads."""

    @abstractmethod
    def seek(self, topic: str, offset: int) -> None:
        """Read `topic` from `offset` on; a topic that is new to the reader is added."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what the reader holds. Closing twice is fine."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Processor(ABC):
    """The one way to process exactly once: read, decide, then commit everything together.

    A processor is known by its name. Entering it as an async context manager fences whichever of the
    same name ran before and settles what that left open; only then are `positions` read. After any
    error but `Fenced` from `commit` the caller leaves the context and enters a new one; it never goes
    on with this one.
    """

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Start, fence the predecessor, and read positions and state as last committed."""

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go. What was not committed never happened."""

    @abstractmethod
    def positions(self) -> dict[str, int]:
        """Return, for each topic processed so far, the offset to go on from, as last committed."""

    @abstractmethod
    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the state last committed under each of `keys`; a key without state is left out.

        It may be asked while a `commit` is under way; it then gives what was there before it, or after.
        """

    @abstractmethod
    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        """Append `outputs` in order, set `state` (None removes a key) and move `positions` on, all or nothing.

        With `visible` it returns only when a reader can see the outputs: needed where somebody is told.
        Raises `Fenced` when another has taken over, `LogUnavailable` when the outcome is unknown.
        """


class Log(ABC):
    """A set of topics; see the module for what it promises.

    remote: whether a read waits for others more than for this process, so that asking beforehand saves time. Where it
    does not, two things at once only take the interpreter from one another.
    """

    remote = False

    @abstractmethod
    async def open(self) -> None:
        """Make ready. Raises `LogLocked`, `LogFolderUnusable` or `LogUnavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was taken in, then let go. Closing twice is fine; later calls raise `LogClosed`."""

    @abstractmethod
    async def create_topics(self, topics: Iterable[str]) -> None:
        """Create those that are not there yet; return when all can be appended to and read."""

    @abstractmethod
    async def topics(self) -> list[str]:
        """Return all topics' names, sorted. `state.*` is the adapters' own and is left out."""

    @abstractmethod
    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        """Append `records` in order and return their offsets when all are durable.

        Records of one call stand in their order, others may stand between them. On `LogUnavailable`
        with `outcome_unknown` each of them may or may not have been written.
        """

    def submit(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[list[int]]":
        """Begin an `append` without waiting, and return what will hold its answer or its error.

        For callers to whom a coroutine and a task for each of many small appends would cost too much.
        """
        return asyncio.ensure_future(self.append(topic, records))

    @abstractmethod
    async def first(self, topic: str) -> int:
        """Return the offset of the first record kept; equal to `end` when there is none."""

    @abstractmethod
    async def end(self, topic: str) -> int:
        """Return the offset that a reader who has read everything committed stands at."""

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        """Return `end` for each of `topics`; an adapter that can asks once for all."""
        return {topic: await self.end(topic) for topic in topics}

    @abstractmethod
    async def offset_at(self, topic: str, recorded_at_ms: int) -> int:
        """Return the first offset recorded at or after `recorded_at_ms`; the end where there is none."""

    @abstractmethod
    def reader(self, positions: Mapping[str, int]) -> Reader:
        """Return a reader that begins at `positions` (topic to offset)."""

    @abstractmethod
    def processor(self, name: str) -> Processor:
        """Return the processor called `name` (`[a-z0-9-]+`); it starts when it is entered."""

    async def settle(self, topics: Iterable[str]) -> None:  # noqa: ARG002  # for adapters that need to know
        """Return when whatever was being appended to `topics` at this call is visible, or never will be.

        For those who must know that nothing older can still appear. Here: for logs that answer `check`
        in turn with appends; an adapter whose transactions stay open beside it waits for their end.
        """
        await self.check()

    @abstractmethod
    async def check(self) -> None:
        """Raise a `LogError` unless an append could succeed now. For readiness; appends nothing."""
