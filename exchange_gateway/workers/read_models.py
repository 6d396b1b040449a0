"""Keep the job orders' read model current, and answer from it.

Whoever asks sees everything that was in the log when they asked: the answer waits until the model has
read that far. Beside that the model is kept current in small steps, which take little from publishing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from broker_adapters.log import Log, LogUnavailable, OffsetOutOfRange, Reader, Record
from exchange_gateway.core.job_orders import Filters, JobOrder, Place, Sight
from exchange_gateway.core.things import is_of, sighting_of
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.fresh_topics import FreshTopics
from exchange_gateway.workers.job_order_store import JobOrderReading, JobOrderStore
from schemas.identifiers import EventName

FRESH_S_MAX = 5.0
"""How long an answer waits for the model to catch up with the log, before it says to try again."""

BATCH_RECORDS, BUSY_BATCH_RECORDS = 500, 50
"""How many records are written at once. While publishing is busy they are few, since whoever publishes
waits for the interpreter as long as a batch takes: some 4 ms."""

WAIT_S = 0.2
"""How long one wait for records takes at most: a topic that has just been made is noticed after it."""

LIST_EVERY_S = 1.0
PAUSE_S = 0.005
"""Between two steps at least: what comes meanwhile is written in one transaction."""

CALM_SHARE, BUSY_SHARE, BUSY_LONG_SHARE = 0.5, 0.05, 0.25
BUSY_PER_S = 300
BUSY_LONG_S = 60.0
"""The share of one processor that catching up may take while nobody waits for it: publishing shares the
interpreter, so from this rate of new records on it is small, unless that goes on for long: then the model
would fall so far behind that the next answer is minutes away."""

READ_THREADS = 3
DAMAGED = (apsw.CorruptError, apsw.NotADBError)
T = TypeVar("T")


class ReadModelBehind(Exception):
    """The model has not read all that was in the log when it was asked."""


class Pace:
    """How fast the model is kept current: at once when somebody waits, else with pauses."""

    def __init__(self) -> None:
        self._share = CALM_SHARE
        self._hurry = asyncio.Event()
        self._waiting = 0
        self._end: int | None = None
        self._at_s = 0.0
        self._calm_s = 0.0

    def observe(self, end: int, at_s: float) -> None:
        """Note the sum of all topics' ends: an idea of how much is being recorded, no count."""
        if self._end is None:
            self._calm_s = at_s
        elif at_s > self._at_s:
            if (end - self._end) / (at_s - self._at_s) <= BUSY_PER_S:
                self._share, self._calm_s = CALM_SHARE, at_s
            else:
                self._share = BUSY_SHARE if at_s - self._calm_s < BUSY_LONG_S else BUSY_LONG_SHARE
        self._end, self._at_s = end, at_s

    @property
    def records_max(self) -> int:
        """How many records to take at once."""
        return BATCH_RECORDS if self._waiting or self._share != BUSY_SHARE else BUSY_BATCH_RECORDS

    def wait(self) -> None:
        """Note that somebody waits."""
        self._waiting += 1
        self._hurry.set()

    def waited(self) -> None:
        """Note that somebody waits no more."""
        self._waiting -= 1
        if not self._waiting:
            self._hurry.clear()

    async def pause(self, took_s: float) -> None:
        """Pause after a step that took so long, unless somebody waits or comes to wait."""
        pause_s = max(PAUSE_S, took_s / self._share - took_s)
        try:
            async with asyncio.timeout(pause_s):
                await self._hurry.wait()
                await asyncio.sleep(0)
        except TimeoutError:
            return


class JobOrders:
    """The job orders, as any reader may see them. `run` keeps them current; it may be stopped and started again."""

    def __init__(self, log: Log, folder: Path, instance: str) -> None:
        self._log = log
        self._store = JobOrderStore(folder, instance)
        self._positions: dict[str, int] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="read-model-writer")
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read-model-reader")
        self._idle: list[JobOrderReading] = []
        self._edition = 0
        self._topics = FreshTopics(log)
        self._stepped = asyncio.Condition()
        self._pace = Pace()
        self._list_due_s = 0.0

    async def open(self) -> None:
        """Open the file. Raises `LogUnavailable` when it cannot be had."""
        self._positions = await self._write(self._store.open)

    async def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        while self._idle:
            self._idle.pop().close()
        self._store.close()

    async def page(
        self, sight: Sight, filters: Filters, after: Place | None, limit: int
    ) -> tuple[list[JobOrder], bool]:
        """Return up to `limit` orders after a place, newest first recorded first, and whether there are more.

        Raises `ReadModelBehind`, `LogError`.
        """
        await self._catch_up(sight)
        return await self._read(lambda reading: reading.page(sight, filters, after, limit))

    async def one(self, subject: str, owner: str | None, sight: Sight) -> list[JobOrder]:
        """Return the orders with an id that the reader may see: one for each owner. Raises as `page` does."""
        await self._catch_up(sight)
        return await self._read(lambda reading: reading.one(subject, owner, sight))

    async def _catch_up(self, sight: Sight) -> None:
        """Wait until all that the reader may see and that is in the log now is in the model."""
        wanted = {f"{space}.{EventName.JOB_ORDER}" for space in sight.spaces}
        if not wanted <= self._positions.keys():
            # Most often nothing was ever published there; but a topic may have been made just now.
            wanted &= await self._topics.get()
        ends = await self._log.ends(sorted(wanted))
        if self._reaches(ends):
            return
        self._pace.wait()
        try:
            async with asyncio.timeout(FRESH_S_MAX), self._stepped:
                while not self._reaches(ends):
                    if not ends.keys() <= self._positions.keys():
                        self._list_due_s = 0.0
                    await self._stepped.wait()
        except TimeoutError:
            raise ReadModelBehind from None
        finally:
            self._pace.waited()

    def _reaches(self, ends: Mapping[str, int]) -> bool:
        return all(self._positions.get(topic, 0) >= end for topic, end in ends.items())

    async def run(self) -> None:
        """Follow the log until cancelled. Raises `LogError`."""
        while True:
            try:
                async with self._log.reader(self._positions) as reader:
                    self._list_due_s = 0.0
                    while True:
                        await self._step(reader)
            except OffsetOutOfRange as error:
                # The log is an older copy of what it was, or another one.
                await self._begin_anew(str(error))
            except DAMAGED as error:
                await self._begin_anew(str(error))

    async def _step(self, reader: Reader) -> None:
        """Read once, and write what was read."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._list_due_s:
            await self._find_topics(reader)
        records = await reader.poll(records_max=self._pace.records_max, timeout_s=WAIT_S)
        positions = reader.positions()
        began_s = loop.time()
        if records:
            moved = dict(positions.items() - self._positions.items())
            await self._write(lambda: self._take(records, moved))
        self._positions = positions
        async with self._stepped:
            self._stepped.notify_all()
        if records:
            await self._pace.pause(loop.time() - began_s)

    def _take(self, records: Sequence[Record], moved: Mapping[str, int]) -> None:
        sightings = [sighting for sighting in map(sighting_of, records) if sighting is not None]
        self._store.take(sightings, moved)

    async def _find_topics(self, reader: Reader) -> None:
        """Add the topics that are new to the reader."""
        now_s = asyncio.get_running_loop().time()
        self._list_due_s = now_s + LIST_EVERY_S
        topics = [topic for topic in await self._log.topics() if is_of(topic, EventName.JOB_ORDER)]
        for topic in topics:
            if topic not in self._positions:
                first = await self._log.first(topic)
                reader.seek(topic, first)
                self._positions[topic] = first
        self._pace.observe(sum((await self._log.ends(topics)).values()), now_s)

    async def _begin_anew(self, reason: str) -> None:
        log_event("read_model_rebuilt", "warning", reason=reason[:300])
        # From here on whoever asks waits, and whoever is reading reads a file that is no more.
        self._positions = {}
        self._edition += 1
        await self._write(self._store.begin_anew)
        while self._idle:
            self._idle.pop().close()

    async def _write(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except DAMAGED:
            raise
        except (apsw.Error, OSError) as error:
            raise self._unavailable(error) from error

    async def _read(self, question: Callable[[JobOrderReading], T]) -> T:
        edition = self._edition
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, question)
        except apsw.Error as error:
            if edition != self._edition or isinstance(error, apsw.CantOpenError):
                raise ReadModelBehind from None
            raise self._unavailable(error) from error

    def _ask(self, question: Callable[[JobOrderReading], T]) -> T:
        edition = self._edition
        reading = self._idle.pop() if self._idle else JobOrderReading(self._store.path)
        try:
            answer = question(reading)
        except BaseException:
            reading.close()
            raise
        if edition == self._edition:
            self._idle.append(reading)
        else:
            reading.close()
        return answer

    def _unavailable(self, error: Exception) -> LogUnavailable:
        return LogUnavailable(
            f"The read model {self._store.path} could not be read or written ({error}). If the disk is full, free "
            "some space; the file can be deleted while the gateway is stopped, and is then made anew from the log."
        )
