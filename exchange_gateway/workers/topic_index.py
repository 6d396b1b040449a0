"""An index of one topic of the log, on disk, made from it: for what would take too long to look for in the log itself.

The file can be thrown away at any time.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, TypeVar

import apsw

from broker_adapters.log import Log, LogUnavailable, OffsetOutOfRange, Record
from exchange_gateway.telemetry import log_event

FRESH_S_MAX = 5.0
"""How long an answer waits for an index to catch up with the log."""

WAIT_S = 0.5
PAUSE_S = 0.02
"""After each batch: publishing goes first."""

DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)
T = TypeVar("T")

ABOUT = "CREATE TABLE about (instance TEXT NOT NULL, next INTEGER NOT NULL) STRICT;"


class IndexBehind(Exception):
    """The index has not read all that was in the log when it was asked."""


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
        self._log, self._path, self._instance = log, folder / self.file_name, instance
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._path.stem)
        self._connection: apsw.Connection | None = None
        self._next = 0
        self._stepped = asyncio.Condition()

    @abstractmethod
    def take(self, connection: apsw.Connection, records: Sequence[Record]) -> None:
        """Add records to the tables, inside the transaction that also moves the position on."""

    async def open(self) -> None:
        """Open the file; one that is damaged, another instance's or of another format is made anew."""
        self._next = await self.in_thread(self._open)

    def _open(self) -> int:
        try:
            connection = self._connect()
            if connection.pragma("user_version") == self.format:
                row = connection.execute("SELECT instance, next FROM about").fetchone()
                if row is not None and row[0] == self._instance:
                    return int(row[1])
        except DAMAGED:
            pass
        return self._begin_anew()

    def _begin_anew(self) -> int:
        if self._connection is not None:
            self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        connection = self._connect()
        with connection:
            connection.execute(f"{ABOUT}{self.tables}; PRAGMA user_version = {self.format}")
            connection.execute("INSERT INTO about VALUES (?, 0)", (self._instance,))
        return 0

    def _connect(self) -> apsw.Connection:
        self._connection = connection = apsw.Connection(str(self._path))
        # The log is the truth: what a crash takes away is read again.
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2048")
        return connection

    async def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def run(self) -> None:
        """Follow the log until cancelled. Raises `LogError`."""
        while True:
            try:
                async with self._log.reader({self.topic: self._next}) as reader:
                    while True:
                        records = await reader.poll(timeout_s=WAIT_S)
                        following = reader.positions()[self.topic]
                        if following != self._next:
                            await self.in_thread(self._take, records, following)
                            async with self._stepped:
                                self._next = following
                                self._stepped.notify_all()
                            await asyncio.sleep(PAUSE_S)
            except (OffsetOutOfRange, *DAMAGED) as error:
                # The log is an older copy of what it was, or another one.
                log_event("read_model_rebuilt", "warning", reason=str(error)[:300])
                self._next = await self.in_thread(self._begin_anew)

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
        assert self._connection is not None  # noqa: S101  # open() came first
        return self._connection

    async def in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Run what uses the file in the one thread that may. Raises `LogUnavailable`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except DAMAGED:
            raise
        except (apsw.Error, OSError) as error:
            raise LogUnavailable(
                f"The index {self._path} could not be read or written ({error}). If the disk is full, free some "
                "space; the file can be deleted while the gateway is stopped, and is then made anew from the log."
            ) from error
