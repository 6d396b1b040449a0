"""Adapters that are broken on purpose: each breaks one promise, and the suite must notice.

All are the embedded log with one fault, the kind that a new adapter could have.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, cast
from weakref import WeakKeyDictionary

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.engine import Engine
from broker_adapters.embedded.processor import EmbeddedProcessor
from broker_adapters.embedded.reader import EmbeddedReader
from broker_adapters.embedded.requests import Append
from broker_adapters.log import (
    READ_BYTES,
    READ_RECORDS,
    RECORD_BYTES_MAX,
    LogError,
    LogUnavailable,
    NewRecord,
    OffsetOutOfRange,
    Processor,
    Reader,
    Record,
    RecordTooLarge,
    UnknownTopic,
)


class WithReader(EmbeddedLog):
    """An embedded log whose readers are of another kind."""

    def __init__(self, kind: type[EmbeddedReader], folder: Path) -> None:
        super().__init__(folder)
        self._kind = kind

    def reader(self, positions: Mapping[str, int]) -> Reader:
        return self._kind(self._opened, positions)


class WithProcessor(EmbeddedLog):
    """An embedded log whose processors are of another kind."""

    def __init__(self, kind: type[EmbeddedProcessor], folder: Path) -> None:
        super().__init__(folder)
        self._kind = kind

    def processor(self, name: str) -> Processor:
        return self._kind(self._opened, name)


class AcksBeforeDurable(EmbeddedLog):
    """Answers an append before it is written."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        first = await self.end(topic)
        self.late = [*getattr(self, "late", []), asyncio.create_task(self._append_late(topic, records))]
        return list(range(first, first + len(records)))

    async def _append_late(self, topic: str, records: Sequence[NewRecord]) -> None:
        await asyncio.sleep(0.05)
        with contextlib.suppress(LogError):
            await super().append(topic, records)


class SubmitsWithoutWaiting(EmbeddedLog):
    """Answers a submit with the offset that it will probably get."""

    def submit(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[list[int]]":
        begun, first = super().submit(topic, records), self._opened.topic(topic).end
        begun.add_done_callback(lambda done: done.cancelled() or done.exception())
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        answer.set_result(list(range(first, first + len(records))))
        return answer


class KeepsInMemory(EmbeddedLog):
    """Forgets, when it is closed, the last record of each append."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        offsets = await super().append(topic, records[:-1])
        return [*offsets, await self.end(topic)] if records else offsets


class ReusesOffsets(EmbeddedLog):
    """Counts offsets from nought each time it is opened."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        self.ends_at_open: dict[str, int] = getattr(self, "ends_at_open", {})
        begin = self.ends_at_open.setdefault(topic, await self.end(topic))
        return [offset - begin for offset in await super().append(topic, records)]


class TurnsBatches(EmbeddedLog):
    """Stores the records of a call in the wrong order."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        return await super().append(topic, list(reversed(records)))


class AnswersWrongOffsets(EmbeddedLog):
    """Guesses an append's offsets from the end before it: right until two append at once."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        end = await self.end(topic)
        await super().append(topic, records)
        return list(range(end, end + len(records)))


class DropsPastBytesLimit(EmbeddedReader):
    """Reads as many records as asked, and throws away those past the limit in bytes."""

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        records = await super().poll(records_max=records_max, timeout_s=timeout_s)
        kept: list[Record] = []
        size_bytes = 0
        for record in records:
            size_bytes += len(record.value)
            if size_bytes <= bytes_max or not kept:
                kept.append(record)
        return kept


class SkipsOutOfRange(EmbeddedReader):
    """Goes to the nearest place that there is, without a word, as some clients of Kafka do when left alone."""

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        try:
            return await super().poll(records_max=records_max, bytes_max=bytes_max, timeout_s=0)
        except OffsetOutOfRange as error:
            self.seek(error.topic, error.first if error.offset < error.first else error.end)
            return await super().poll(records_max=records_max, bytes_max=bytes_max, timeout_s=0)


class ReadingTakesAway(EmbeddedReader):
    """Gives each record to the first who reads it only, as a queue does."""

    taken: ClassVar[WeakKeyDictionary[Engine, dict[str, int]]] = WeakKeyDictionary()

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        taken = self.taken.setdefault(self._engine, {})
        for topic, position in self.positions().items():
            self.seek(topic, max(position, taken.get(topic, 0)))
        records = await super().poll(records_max=records_max, bytes_max=bytes_max, timeout_s=0)
        taken |= self.positions()
        return records


class TrimsValues(EmbeddedLog):
    """Stores values without the white space around them, as a log of lines might."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        return await super().append(topic, [record._replace(value=record.value.strip()) for record in records])


class TearsWhenCancelled(EmbeddedLog):
    """Writes what it had got to when an append is cancelled."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        try:
            await asyncio.sleep(0)
            return await super().append(topic, records)
        except asyncio.CancelledError:
            await super().append(topic, [record._replace(value=record.value[:100]) for record in records])
            raise


class CancelsNeighbours(EmbeddedLog):
    """Fails everyone who shares a group with an append that is cancelled."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        self.group: set[asyncio.Future[list[int]]] = getattr(self, "group", set())
        writing = asyncio.ensure_future(super().append(topic, records))
        self.group.add(writing)
        try:
            return await writing
        except asyncio.CancelledError:
            for neighbour in self.group:
                neighbour.cancel()
            raise
        finally:
            self.group.discard(writing)


class LosesWhatACancelledPollRead(EmbeddedReader):
    """Moves on before it has handed over what it read."""

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        records = await super().poll(records_max=records_max, bytes_max=bytes_max, timeout_s=timeout_s)
        await asyncio.sleep(0.001)
        return records


class CommitsInParts(EmbeddedProcessor):
    """Appends outputs one by one before it commits state and positions: at least once, not exactly once."""

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        for topic, record in outputs:
            topic_id = self._engine.topic(topic).id
            await self._engine.ask(Append(topic_id, [record], 0))
        await super().commit(state=state, positions=positions, visible=visible)


class PositionsFirst(EmbeddedProcessor):
    """Commits positions before the outputs: at most once, not exactly once."""

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        await super().commit(positions=positions)
        await super().commit(outputs=outputs, state=state, visible=visible)


class FencesNobody(EmbeddedProcessor):
    """Lets a processor go on though another of its name has started."""

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        known = self.positions()
        await self.__aenter__()
        await super().commit(outputs=outputs, state=state, positions={**known, **(positions or {})})


class ForgetsState(EmbeddedProcessor):
    """Keeps state in memory only."""

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        self.memory: dict[str, bytes | None] = {**getattr(self, "memory", {}), **(state or {})}
        await super().commit(outputs=outputs, positions=positions)

    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        memory = getattr(self, "memory", {})
        return {key: memory[key] for key in keys if memory.get(key) is not None}


class CommitsLater(EmbeddedProcessor):
    """Answers a commit before it is one."""

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        self.late = asyncio.create_task(self._commit_late(outputs, state, positions))

    async def _commit_late(
        self,
        outputs: Sequence[tuple[str, NewRecord]],
        state: Mapping[str, bytes | None] | None,
        positions: Mapping[str, int] | None,
    ) -> None:
        await asyncio.sleep(0.01)
        with contextlib.suppress(LogError):
            await super().commit(outputs=outputs, state=state, positions=positions)


class CreatesUnknownTopics(EmbeddedLog):
    """Makes a topic of whatever name comes, as a broker does that creates topics by itself."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        with contextlib.suppress(UnknownTopic):
            return await super().append(topic, records)
        await self.create_topics([topic])
        return await super().append(topic, records)


class CutsWhatIsTooLarge(EmbeddedLog):
    """Stores the beginning of a record that is too large."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        return await super().append(
            topic, [record._replace(value=record.value[:RECORD_BYTES_MAX]) for record in records]
        )


class NeverRecovers(EmbeddedLog):
    """Appends nothing more once an append was refused, as a poisoned producer does."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        if getattr(self, "poisoned", False):
            raise LogUnavailable("out of order sequence number")
        try:
            return await super().append(topic, records)
        except (RecordTooLarge, UnknownTopic):
            self.poisoned = True
            raise


class HangsOnClosing(EmbeddedLog):
    """Leaves who waits waiting when it is closed."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        appending = asyncio.ensure_future(super().append(topic, records))
        await asyncio.sleep(0.01)
        if self._engine is None or self._engine._closing is not None:
            await asyncio.Event().wait()
        return await appending


class IgnoresLimits(EmbeddedReader):
    """Reads all that there is into memory."""

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        return await super().poll(records_max=1_000_000, bytes_max=1 << 40, timeout_s=timeout_s)


class SleepsThrough(EmbeddedReader):
    """Looks once, and again only when its timeout is over."""

    async def poll(
        self, *, records_max: int = READ_RECORDS, bytes_max: int = READ_BYTES, timeout_s: float = 0.0
    ) -> list[Record]:
        if records := await super().poll(records_max=records_max, bytes_max=bytes_max):
            return records
        await asyncio.sleep(timeout_s)
        return await super().poll(records_max=records_max, bytes_max=bytes_max)


class FindsTimesOneLate(EmbeddedLog):
    """Gives the offset after the one asked for."""

    async def offset_at(self, topic: str, recorded_at_ms: int) -> int:
        return min(await super().offset_at(topic, recorded_at_ms) + 1, await self.end(topic))


PROMISE_BROKEN_BY: dict[type, str] = {
    AcksBeforeDurable: "append",
    KeepsInMemory: "append",
    SubmitsWithoutWaiting: "submit",
    ReusesOffsets: "order",
    TurnsBatches: "order",
    AnswersWrongOffsets: "order",
    DropsPastBytesLimit: "reading",
    SkipsOutOfRange: "reading",
    ReadingTakesAway: "reading",
    TrimsValues: "reading",
    TearsWhenCancelled: "cancelling",
    CancelsNeighbours: "cancelling",
    LosesWhatACancelledPollRead: "cancelling",
    CommitsInParts: "processing",
    PositionsFirst: "processing",
    FencesNobody: "processing",
    ForgetsState: "processing",
    CommitsLater: "processing",
    CreatesUnknownTopics: "errors",
    CutsWhatIsTooLarge: "errors",
    NeverRecovers: "errors",
    HangsOnClosing: "errors",
    IgnoresLimits: "limits",
    SleepsThrough: "waiting",
    FindsTimesOneLate: "waiting",
}
"""Each fault and the module, `test_<name>.py`, that must notice."""


def adapter_with(fault: type) -> Callable[[Path], EmbeddedLog]:
    """Return the embedded log with one of the faults above."""
    if issubclass(fault, EmbeddedReader):
        return partial(WithReader, fault)
    if issubclass(fault, EmbeddedProcessor):
        return partial(WithProcessor, fault)
    return cast("type[EmbeddedLog]", fault)
