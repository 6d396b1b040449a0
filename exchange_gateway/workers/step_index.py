"""Which step of the forwarder decided on which event: an index of `audit.forwarding`, on disk, made from the log.

For each topic and step it holds where the step's share of the topic ended. The file can be thrown away at any time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw
import orjson

from broker_adapters.log import Log, LogUnavailable, OffsetOutOfRange, Record
from exchange_gateway.telemetry import log_event
from schemas.identifiers import FORWARDING_TOPIC

FILE_NAME = "forwarding-index.sqlite3"
FORMAT = 1

FRESH_S_MAX = 5.0
"""How long an answer waits for the index to catch up with the log."""

WAIT_S = 0.5
PAUSE_S = 0.02
"""After each batch: publishing goes first."""

DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)
T = TypeVar("T")

SCHEMA = f"""
CREATE TABLE about (instance TEXT NOT NULL, next INTEGER NOT NULL) STRICT;
CREATE TABLE topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE step (topic INTEGER NOT NULL, ends INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (topic, ends))
    STRICT, WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


class StepIndexBehind(Exception):
    """The index has not read all that was in the log when it was asked."""


class StepIndex:
    """See the module. `run` keeps it current; it may be stopped and started again."""

    def __init__(self, log: Log, folder: Path, instance: str) -> None:
        self._log, self._path, self._instance = log, folder / FILE_NAME, instance
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="step-index")
        self._connection: apsw.Connection | None = None
        self._next = 0
        self._stepped = asyncio.Condition()

    async def open(self) -> None:
        """Open the file; one that is damaged, another instance's or of another format is made anew."""
        self._next = await self._in_thread(self._open)

    def _open(self) -> int:
        try:
            connection = self._connect()
            if connection.pragma("user_version") == FORMAT:
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
            connection.execute(SCHEMA)
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
                async with self._log.reader({FORWARDING_TOPIC: self._next}) as reader:
                    while True:
                        records = await reader.poll(timeout_s=WAIT_S)
                        following = reader.positions()[FORWARDING_TOPIC]
                        if following != self._next:
                            await self._in_thread(self._take, records, following)
                            async with self._stepped:
                                self._next = following
                                self._stepped.notify_all()
                            await asyncio.sleep(PAUSE_S)
            except (OffsetOutOfRange, *DAMAGED) as error:
                # The log is an older copy of what it was, or another one.
                log_event("read_model_rebuilt", "warning", reason=str(error)[:300])
                self._next = await self._in_thread(self._begin_anew)

    def _take(self, records: list[Record], following: int) -> None:
        rows = [
            (taken["topic"], taken["to"], record.offset)
            for record in records
            for taken in orjson.loads(record.value)["inputs"]
        ]
        connection = self._opened()
        with connection:
            connection.executemany(
                "INSERT OR IGNORE INTO topic (name) VALUES (?)", {(name,): None for name, _, _ in rows}.keys()
            )
            connection.executemany("INSERT OR IGNORE INTO step SELECT number, ?2, ?3 FROM topic WHERE name = ?1", rows)
            connection.execute("UPDATE about SET next = ?", (following,))

    async def step_of(self, topic: str, offset: int) -> Record | None:
        """Return the record of the first step that went past an event; None when there is none yet.

        Raises `StepIndexBehind`, `LogError`.
        """
        end = await self._log.end(FORWARDING_TOPIC)
        try:
            async with asyncio.timeout(FRESH_S_MAX), self._stepped:
                await self._stepped.wait_for(lambda: self._next >= end)
        except TimeoutError:
            raise StepIndexBehind from None
        step = await self._in_thread(self._find, topic, offset)
        if step is None:
            return None
        async with self._log.reader({FORWARDING_TOPIC: step}) as reader:
            records = await reader.poll(records_max=1, timeout_s=FRESH_S_MAX)
        return records[0] if records else None

    def _find(self, topic: str, offset: int) -> int | None:
        row = (
            self._opened()
            .execute(
                "SELECT step FROM step WHERE topic = (SELECT number FROM topic WHERE name = ?) AND ends > ?"
                " ORDER BY ends LIMIT 1",
                (topic, offset),
            )
            .fetchone()
        )
        return None if row is None else int(row[0])

    def _opened(self) -> apsw.Connection:
        assert self._connection is not None  # noqa: S101  # open() came first
        return self._connection

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except DAMAGED:
            raise
        except (apsw.Error, OSError) as error:
            raise LogUnavailable(
                f"The index {self._path} could not be read or written ({error}). If the disk is full, free some "
                "space; the file can be deleted while the gateway is stopped, and is then made anew from the log."
            ) from error
