"""An index of the log in a local SQLite file: opened or made anew, and used in a thread of its own.

The file can be thrown away at any time: it is made anew from the log.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from broker_adapters.log import LogUnavailable

ABOUT = "CREATE TABLE about (instance TEXT NOT NULL, next INTEGER NOT NULL) STRICT;"
"""Whose file it is, and for an index of one topic where it goes on."""

DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)

FRESH_S_MAX = 5.0
"""How long an answer waits for an index to catch up with the log."""

T = TypeVar("T")


class IndexBehind(Exception):
    """The index has not read all that was in the log when it was asked."""


class LocalIndex:
    """The file. number: of the format. schema: SQL that makes its tables. cache_kib: what SQLite holds in memory.

    Of another instance, of another format or damaged, it is made anew.
    """

    def __init__(self, path: Path, instance: str, *, number: int, schema: str, cache_kib: int = 2048) -> None:
        self._path, self._instance = path, instance
        self._number, self._schema, self._cache_kib = number, schema, cache_kib
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        self._connection: apsw.Connection | None = None

    async def open(self) -> None:
        """Open the file. Raises `LogUnavailable` when it cannot be had."""
        await self.use(self._open)

    def _open(self) -> None:
        try:
            connection = self._connect()
            if connection.pragma("user_version") == self._number:
                row = connection.execute("SELECT instance, next FROM about").fetchone()
                if row is not None and row[0] == self._instance:
                    return
        except DAMAGED:
            pass
        self._begin_anew()

    async def begin_anew(self) -> None:
        """Throw everything away."""
        await self.use(self._begin_anew)

    def _begin_anew(self) -> None:
        if self._connection is not None:
            self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        connection = self._connect()
        with connection:
            connection.execute(f"{ABOUT}{self._schema}; PRAGMA user_version = {self._number}")
            connection.execute("INSERT INTO about VALUES (?, 0)", (self._instance,))

    def _connect(self) -> apsw.Connection:
        self._connection = connection = apsw.Connection(str(self._path))
        # The log is the truth: what a crash takes away is read again.
        connection.execute(
            f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{self._cache_kib}"
        )
        return connection

    async def close(self) -> None:
        """Let go of the file. Closing twice is fine."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> apsw.Connection:
        """The connection, for what runs in `use`."""
        assert self._connection is not None  # noqa: S101  # open() came first
        return self._connection

    async def use(self, work: Callable[..., T], *arguments: object) -> T:
        """Run `work` in the file's thread. Raises `LogUnavailable`, or one of `DAMAGED`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except DAMAGED:
            raise
        except (apsw.Error, OSError) as error:
            raise LogUnavailable(
                f"The index {self._path} could not be read or written ({error}). If the disk is full, free some "
                "space; the file can be deleted while the gateway is stopped, and is then made anew from the log."
            ) from error
