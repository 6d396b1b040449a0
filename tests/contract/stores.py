"""Where a test's log is kept, so that one suite runs on every adapter, and on broken ones."""

import asyncio
import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.embedded.database import DATABASE
from broker_adapters.log import Log, NewRecord, Reader, Record

PATIENCE_S = 20.0
"""How long a test waits for what must come; only a fault makes it wait that long."""


class Store(ABC):
    """One place where a log is kept. What is opened on it sees the same topics, and is closed after the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: list[Log] = []
        self._folders = 0

    @abstractmethod
    def unopened(self) -> Log:
        """Return a log on this place that is not open yet."""

    @abstractmethod
    async def second(self, log: Log) -> Log:
        """Return what a second instance would use while `log` is still open."""

    @abstractmethod
    async def after_crash(self, log: Log) -> Log:
        """Return a log opened on what would be found, had the process of `log` died at this instant."""

    async def open(self, *topics: str) -> Log:
        """Return an open log that has these topics."""
        log = await self._open(self.unopened())
        await log.create_topics(topics)
        return log

    async def reopened(self, log: Log) -> Log:
        """Close `log` and open its place again."""
        await log.close()
        return await self.open()

    async def close(self) -> None:
        """Close all that was opened."""
        for log in reversed(self._opened):
            with contextlib.suppress(Exception):  # a broken adapter may fail here too
                await log.close()

    async def _open(self, log: Log) -> Log:
        self._opened.append(log)
        await log.open()
        return log

    def _new_folder(self) -> Path:
        self._folders += 1
        return self._folder / str(self._folders)


class EmbeddedStore(Store):
    """The embedded log in a temporary folder; `adapter` is what to make of the folder."""

    def __init__(self, folder: Path, adapter: Callable[[Path], Log] = EmbeddedLog) -> None:
        super().__init__(folder)
        self._adapter = adapter
        self._kept_in = {0: self._new_folder()}

    def unopened(self) -> Log:
        return self._adapter(self._kept_in[0])

    async def second(self, log: Log) -> Log:
        return log  # the folder is one process's at a time

    async def after_crash(self, log: Log) -> Log:
        crashed = self._new_folder()
        crashed.mkdir()
        for name in (DATABASE, f"{DATABASE}-wal"):
            await asyncio.to_thread(shutil.copy, self._kept_in[0] / name, crashed / name)
        return await self._open(self._adapter(crashed))


class KafkaStore(Store):
    """A real Kafka, with a prefix that no other test uses."""

    def __init__(self, folder: Path, bootstrap: str, prefix: str) -> None:
        super().__init__(folder)
        self._bootstrap, self._prefix = bootstrap, prefix
        self._state_folder = self._new_folder()

    def unopened(self) -> Log:
        return self._log(self._state_folder)

    async def second(self, log: Log) -> Log:
        return await self._open(self._log(self._new_folder()))

    async def after_crash(self, log: Log) -> Log:
        return await self.second(log)

    def _log(self, state_folder: Path) -> Log:
        from broker_adapters.kafka import KafkaLog, KafkaSettings  # noqa: PLC0415  # only where Kafka is tested

        return KafkaLog(KafkaSettings(bootstrap=self._bootstrap, prefix=self._prefix, state_folder=state_folder))


def new(*values: bytes) -> list[NewRecord]:
    """Return records with these values, without keys."""
    return [NewRecord(value) for value in values]


def values(records: Sequence[Record]) -> list[bytes]:
    return [record.value for record in records]


async def read_to(reader: Reader, topic: str, end: int) -> list[Record]:
    """Return what a reader gives until it stands at `end` of `topic`."""
    records = []
    async with asyncio.timeout(PATIENCE_S):
        while reader.positions()[topic] < end:
            records += await reader.poll(timeout_s=0.2)
    return records


async def read_all(log: Log, topic: str) -> list[Record]:
    """Return all that a topic holds now."""
    async with log.reader({topic: await log.first(topic)}) as reader:
        return await read_to(reader, topic, await log.end(topic))


async def read_values(log: Log, topic: str) -> list[bytes]:
    """Return the values of all that a topic holds now."""
    return values(await read_all(log, topic))
