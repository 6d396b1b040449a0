"""A few threads with read-only connections."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from broker_adapters.embedded.database import Storage, as_log_error, connect_reader, let_go

READ_THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")


class ReadThreads:
    """Runs short reads, each in a thread and on a connection that nothing else uses meanwhile."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="log-reader")
        self._idle: list[apsw.Connection] = []
        self._changed = threading.Condition()
        self._under_way = 0
        self._paused = False

    async def run(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `job(connection, …)` returns. A cancelled caller leaves the job to end by itself."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self._run(job, *args, **kwargs))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have no connection open meanwhile; reads wait. From any thread, and blocks until those under way end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused)
            self._paused = True
            self._changed.wait_for(lambda: self._under_way == 0)
            self._let_all_go()
        try:
            yield
        finally:
            with self._changed:
                self._paused = False
                self._changed.notify_all()

    def close(self) -> None:
        """Let the reads that are under way end. Blocks."""
        self._threads.shutdown(wait=True)
        self._let_all_go()

    def _let_all_go(self) -> None:
        while self._idle:
            let_go(self._idle.pop())

    def _run(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._changed:
            self._changed.wait_for(lambda: not self._paused)
            self._under_way += 1
        try:
            return self._read(job, *args, **kwargs)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _read(self, job: Callable[Concatenate[apsw.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        connection = None
        try:
            connection = self._idle.pop() if self._idle else connect_reader(self._storage)
            answer = job(connection, *args, **kwargs)
        except apsw.Error as error:
            if connection is not None:
                let_go(connection)
            raise as_log_error(error, self._storage.path) from error
        self._idle.append(connection)
        return answer
