"""An index of one topic of the log, on disk, made from it: for what would take too long to look for in the log itself.

The file can be thrown away at any time.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import apsw

from broker_adapters.log import Log, OffsetOutOfRange, Record
from exchange_gateway.telemetry import log_event
from exchange_gateway.workers.local_index import DAMAGED, FRESH_S_MAX, IndexBehind, LocalIndex

WAIT_S = 0.5
PAUSE_S = 0.02
"""After each batch: publishing goes first."""

T = TypeVar("T")


def of_participants(participants: Iterable[str] | None) -> tuple[str, list[str]]:
    """Return an SQL condition on the column `participant`, and its values. None: everybody's."""
    if participants is None:
        return "TRUE", []
    whose = sorted(participants)
    return f"participant IN ({', '.join('?' * len(whose))})", whose


class TopicIndex(ABC):
    """See the module. `run` keeps it current; it may be stopped and started again.

    topic: the one that is indexed. file_name: in the data folder. tables: SQL that makes them. format: raised with
    every change of the tables, so that an older file is made anew.
    """

    topic: ClassVar[str]
    file_name: ClassVar[str]
    tables: ClassVar[str]
    format: ClassVar[int] = 1

    def __init__(self, log: Log, folder: Path, instance: str) -> None:
        self._log = log
        self._file = LocalIndex(folder / self.file_name, instance, number=self.format, schema=self.tables)
        self._next = 0
        self._stepped = asyncio.Condition()

    @abstractmethod
    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Add records to the tables, inside the transaction that also moves the position on."""

    async def prepare(self, records: Sequence[Record]) -> None:  # noqa: B027  # most need nothing more
        """Read from the log what `take` will need for these records. Raises `LogError`."""

    async def open(self) -> None:
        """Open the file; one that is damaged, another instance's or of another format is made anew."""
        await self._file.open()
        self._next = await self.in_thread(self._reached)

    def _reached(self) -> int:
        following: Any = self.opened().execute("SELECT next FROM about").get
        return int(following)

    async def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        await self._file.close()

    async def run(self) -> None:
        """Follow the log until cancelled. Raises `LogError`."""
        while True:
            try:
                async with self._log.reader({self.topic: self._next}) as reader:
                    while True:
                        records = await reader.poll(timeout_s=WAIT_S)
                        following = reader.positions()[self.topic]
                        if following != self._next:
                            await self.prepare(records)
                            await self.in_thread(self._take, records, following)
                            async with self._stepped:
                                self._next = following
                                self._stepped.notify_all()
                            await asyncio.sleep(PAUSE_S)
            except (OffsetOutOfRange, *DAMAGED) as error:
                # The log is an older copy of what it was, or another one.
                log_event("read_model_rebuilt", "warning", reason=str(error)[:300])
                await self._file.begin_anew()
                self._next = 0

    def _take(self, records: list[Record], following: int) -> None:
        connection = self.opened()
        with connection:
            self.take(connection, records)
            connection.execute("UPDATE about SET next = ?", (following,))

    async def fresh(self) -> None:
        """Wait until the index has what was in the log when this was called. Raises `IndexBehind`, `LogError`."""
        end = await self._log.end(self.topic)
        try:
            async with asyncio.timeout(FRESH_S_MAX), self._stepped:
                await self._stepped.wait_for(lambda: self._next >= end)
        except TimeoutError:
            raise IndexBehind from None

    def opened(self) -> apsw.Connection:
        """Return the file's connection; for use in the index's thread."""
        return self._file.connection

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Run what uses the file in the one thread that may. Raises `LogUnavailable`."""
        return await self._file.use(work, *arguments)
