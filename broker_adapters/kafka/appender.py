"""Appending: one line of calls per topic, written in batches by one idempotent producer.

While a batch is under way, the next calls gather; when it is answered they leave together. So there is one
batch per topic at a time, its records stand in the order of the calls, and the more callers there are the
fuller the batches get. An append that is not answered by its deadline is reported as undecided, but never
let go: until Kafka says what became of it, nothing else is written to its topic. So a caller that waits
with `settle` and then looks at the topic's end sees whatever was written.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka import errors

from broker_adapters.kafka.faults import translate
from broker_adapters.kafka.room import Room
from broker_adapters.kafka.settings import KafkaSettings
from broker_adapters.kafka.shared_producer import Lease, SharedProducer
from broker_adapters.log import LogError, LogUnavailable, NewRecord, RecordTooLarge, waiting_bytes

GATHER_S = 0.002
"""How long a batch waits at most for those who were just answered, where others wait for it already."""


class Call:
    """One call of `append`: what of it is in batches already, what room it takes, and what to answer."""

    __slots__ = ("answer", "deadline", "held_bytes", "offsets", "records", "size_bytes", "taken")

    def __init__(
        self, records: Sequence[NewRecord], size_bytes: int, deadline: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.records, self.size_bytes, self.deadline = records, size_bytes, deadline
        self.taken = self.held_bytes = 0
        self.offsets: list[int] = []
        self.answer: asyncio.Future[list[int]] = loop.create_future()

    def fail(self, error: LogError) -> None:
        """Answer with `error`, unless the caller has gone or has an answer."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Batch:
    """One Kafka batch, and which calls have how many records in it."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.parts: list[tuple[Call, int]] = []

    def fill(self, calls: deque[Call]) -> None:
        """Take records from the front of `calls` until the batch is full."""
        now_ms = int(time.time() * 1000)
        # Past the builder's own `append`, which checks again for each record what is certain here.
        add, position = self.builder._builder.append, self.builder._relative_offset  # noqa: SLF001
        while calls:
            call = calls[0]
            # Its caller went away, or an earlier batch with a part of it failed: nothing more of it is written.
            if not call.answer.done():
                before = call.taken
                for value, key, headers in call.records[before:]:
                    if add(position, now_ms, key, value, list(headers)) is None:
                        break
                    position += 1
                call.taken += position - self.builder._relative_offset  # noqa: SLF001
                self.builder._relative_offset = position  # noqa: SLF001
                if call.taken > before:
                    self.parts.append((call, call.taken - before))
                if call.taken < len(call.records):
                    return
            calls.popleft()

    def done(self, base_offset: int) -> None:
        """Give each call its offsets; answer those that are written whole."""
        for call, count in self.parts:
            call.offsets.extend(range(base_offset, base_offset + count))
            base_offset += count
            if len(call.offsets) == len(call.records) and not call.answer.done():
                call.answer.set_result(call.offsets)

    def fail(self, error: LogError) -> None:
        """Answer every call that has a record here."""
        for call, _ in self.parts:
            call.fail(error)


class Line:
    """The calls for one topic."""

    def __init__(self, settings: KafkaSettings, shared: SharedProducer, topic: str) -> None:
        self._settings, self._shared, self._topic = settings, shared, topic
        # Kept: to ask for it costs a system call, which for each of many small calls is a part of their cost.
        self.loop = asyncio.get_running_loop()
        self._calls: deque[Call] = deque()
        self.unanswered: set[asyncio.Future[list[int]]] = set()
        self._running: asyncio.Task[None] | None = None
        self._gathered: asyncio.Future[None] | None = None
        self._missing_calls = self._missing_bytes = 0
        self._decided = asyncio.Event()
        self._decided.set()

    @property
    def undecided(self) -> bool:
        """Whether a caller was told that its outcome is unknown, and it still is."""
        return not self._decided.is_set()

    async def decided(self) -> None:
        """Return when every call so far is answered, and no outcome is unknown any more."""
        if self.unanswered:
            await asyncio.wait(list(self.unanswered))
        await self._decided.wait()

    def put(self, call: Call) -> None:
        """Take a call in; it leaves with the next batch."""
        self._calls.append(call)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        elif self._gathered is not None:
            self._missing_calls -= 1
            self._missing_bytes -= call.size_bytes
            if self._missing_calls <= 0 or self._missing_bytes <= 0:
                _release(self._gathered)

    async def _gather(self, answered: int) -> None:
        """Wait a moment for those who were just answered to call again: they leave with those who wait already.

        Else there would be two groups of callers that wait for one another's batches, each half as full. Whoever
        calls by turns never waits here, since nobody else does.
        """
        self._missing_calls = answered
        self._missing_bytes = self._settings.batch_bytes_max - sum(call.size_bytes for call in self._calls)
        if answered and self._missing_bytes > 0:
            gathered = self._gathered = self.loop.create_future()
            timer = self.loop.call_later(GATHER_S, _release, gathered)
            try:
                await gathered
            finally:
                timer.cancel()
                self._gathered = None

    async def finished(self) -> None:
        """Return when nothing is under way."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def abandon(self) -> None:
        """Wait no longer."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._calls:
                answered = await self._write_one()
                if self._calls:
                    await self._gather(answered)
        except BaseException as error:
            while self._calls:
                self._calls.popleft().fail(translate(error, f"appending to {self._topic}", outcome_unknown=True))
            raise
        finally:
            self._running = None

    async def _write_one(self) -> int:
        """Write one batch, and return how many calls have a part in it."""
        try:
            lease = await self._shared.lease(self._calls[0].deadline)
        except LogError as error:
            # Those behind it would wait for the same in vain.
            while self._calls:
                self._calls.popleft().fail(error)
            return 0
        batch = Batch(lease.producer.create_batch())
        batch.fill(self._calls)
        spoiled = True
        try:
            spoiled = bool(batch.parts) and not await self._write(lease, batch)
        finally:
            self._decided.set()
            self._shared.give_back(lease, spoiled=spoiled)
        return len(batch.parts)

    async def _write(self, lease: Lease, batch: Batch) -> bool:
        """Write a batch and answer its calls; return whether the producer is as good as before."""
        deadline = min(call.deadline for call, _ in batch.parts)
        sent: asyncio.Future[Any] | None = None
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                sent = await lease.producer.send_batch(batch.builder, self._settings.prefix + self._topic, partition=0)
            await self._follow(sent, batch, deadline, lease)
            self._answer(batch, sent.result().offset)
        except (errors.KafkaError, LogUnavailable, OSError, TimeoutError, AssertionError) as error:
            # If it was handed over, its sequence numbers are used up, and what follows would be refused.
            batch.fail(self._failure(error, batch, outcome_unknown=sent is not None))
            return False
        except BaseException:
            batch.fail(late(self._settings, self._topic, outcome_unknown=sent is not None))
            raise
        finally:
            if sent is not None:
                # An answer that comes after all is nobody's, and not to be complained of.
                sent.cancel()
        return True

    def _answer(self, batch: Batch, base_offset: int) -> None:
        if base_offset < 0:
            # The broker knows the batch as written before, but no longer where.
            batch.fail(LogUnavailable(f"The records are in {self._topic}, at offsets unknown.", outcome_unknown=True))
        else:
            batch.done(base_offset)

    def _failure(self, error: BaseException, batch: Batch, *, outcome_unknown: bool) -> LogError:
        if isinstance(error, errors.MessageSizeTooLargeError):
            return RecordTooLarge(self._topic, batch.parts[0][0].size_bytes, self._settings.batch_bytes_max)
        return translate(error, f"appending to {self._topic}", outcome_unknown=outcome_unknown)

    async def _follow(self, sent: asyncio.Future[Any], batch: Batch, deadline: float, lease: Lease) -> None:
        """Wait for a batch's answer, however long; answer the callers whose deadlines pass meanwhile."""
        given_up = time.monotonic() + self._settings.undecided_s_max
        while not sent.done():
            waiting = [self._calls[0].deadline] if self._calls else []
            await asyncio.wait([sent], timeout=max(0.0, min([deadline, given_up, *waiting]) - time.monotonic()))
            now = time.monotonic()
            if not sent.done() and now >= given_up:
                await self._shared.cut(lease)
                raise LogUnavailable("Kafka never said what became of the records.", outcome_unknown=True)
            if not sent.done() and now >= deadline:
                self._decided.clear()
                batch.fail(late(self._settings, self._topic, outcome_unknown=True))
                deadline = given_up
            while self._calls and (self._calls[0].answer.done() or self._calls[0].deadline <= now):
                self._calls.popleft().fail(late(self._settings, self._topic, outcome_unknown=False))


def _release(gathered: "asyncio.Future[None]") -> None:
    if not gathered.done():
        gathered.set_result(None)


def late(settings: KafkaSettings, topic: str, *, outcome_unknown: bool) -> LogUnavailable:
    """Return the error for a deadline that passed."""
    return LogUnavailable(
        f"Kafka did not confirm an append to {topic} within {settings.append_deadline_s:g} s.",
        outcome_unknown=outcome_unknown,
    )


class Appender:
    """All topics' lines, and the limit to what waits in them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._shared = SharedProducer(settings)
        self._lines: dict[str, Line] = {}
        self._room = Room(settings.in_flight_bytes_max)

    def has(self, topic: str) -> bool:
        """Tell whether `topic` was appended to before."""
        return topic in self._lines

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        """Append to a topic that is known to exist."""
        line = self._lines.get(topic)
        if line is None:
            line = self._lines[topic] = Line(self._settings, self._shared, topic)
        if line.undecided:
            raise LogUnavailable(f"Kafka has yet to say what became of earlier records for {topic}.")
        size_bytes = waiting_bytes(topic, records)
        if not records:
            return []
        call = self._expect(line, records, size_bytes)
        try:
            await self._room.enter(size_bytes, call.deadline)
        except BaseException as error:
            call.answer.cancel()
            if not isinstance(error, TimeoutError):
                raise
            raise late(self._settings, topic, outcome_unknown=False) from None
        call.held_bytes = size_bytes
        line.put(call)
        return await call.answer

    def submit(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[list[int]] | None":
        """Begin an append at once; None where something must be waited for, looked up or refused first."""
        line = self._lines.get(topic)
        size_bytes = waiting_bytes(topic, records)
        if line is None or line.undecided or not records or not self._room.enter_at_once(size_bytes):
            return None
        call = self._expect(line, records, size_bytes)
        call.held_bytes = size_bytes
        line.put(call)
        return call.answer

    def _expect(self, line: Line, records: Sequence[NewRecord], size_bytes: int) -> Call:
        """Take note of a call that comes in, until it is answered."""
        call = Call(records, size_bytes, time.monotonic() + self._settings.append_deadline_s, line.loop)
        line.unanswered.add(call.answer)
        call.answer.add_done_callback(partial(self._answered, line, call))
        return call

    def _answered(self, line: Line, call: Call, answer: "asyncio.Future[list[int]]") -> None:
        line.unanswered.discard(answer)
        if call.held_bytes:
            self._room.leave(call.held_bytes)

    async def settle(self, topic: str) -> None:
        """Return when it is decided what became of every append to `topic` so far. Raises `LogUnavailable`."""
        line = self._lines.get(topic)
        if line is None:
            return
        try:
            async with asyncio.timeout(self._settings.append_deadline_s):
                await line.decided()
        except TimeoutError:
            raise late(self._settings, topic, outcome_unknown=True) from None

    async def close(self) -> None:
        """Finish what was taken in, for as long as its callers wait, and stop."""
        async with asyncio.TaskGroup() as group:
            for line in self._lines.values():
                group.create_task(self._finish(line))
        await self._shared.close()

    async def _finish(self, line: Line) -> None:
        try:
            async with asyncio.timeout(self._settings.append_deadline_s):
                await line.finished()
        except TimeoutError:
            await line.abandon()
