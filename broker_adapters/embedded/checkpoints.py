"""Copying the write-ahead log back into the database file, beside the writer, so that it stays small."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import apsw

from broker_adapters.embedded.database import BUSY_MS, PAGE_BYTES, Storage, connect, fetch, let_go

ROUND_PAGES_ENOUGH = 1024 * 1024 // PAGE_BYTES
"""How little a round has copied when the next is left to the writer: a few milliseconds."""

ROUNDS_MAX = 5
RETRY_S = 0.5

FINISH_WAIT_MS = 20
"""How long appends may be held up for a reader to get out of the way: ours take a few milliseconds a page. Another
program's may stay for ever; then the write-ahead log grows, and it is tried again as much later.
"""


class Checkpointer:
    """Copies in a thread of its own while the writer goes on, then has the writer copy what came meanwhile.

    Copying beside the writer alone never catches up under load, and the write-ahead log then only grows. Copying
    in the writer alone stalls appends for as long as it takes.
    """

    def __init__(self, storage: Storage, ask_writer: Callable[[], None]) -> None:
        self._storage, self._ask_writer = storage, ask_writer
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._copying = threading.Lock()
        self._under_way = False
        self._sound = True
        self._pages = 0
        self._due_at_pages = storage.checkpoint_pages
        self._thread = threading.Thread(target=self._run, name="log-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def notice(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        """Take note, after each commit, of how long the write-ahead log is."""
        self._pages = pages
        if pages >= self._due_at_pages and not self._under_way:
            self._under_way = True
            self._due.set()
        return apsw.SQLITE_OK

    def finish(self, connection: apsw.Connection) -> bool:
        """Copy the little that is left, from the writer's thread, so that it begins to write at the front again.

        Tell whether the disk did what it was asked. A full one, or a reader in the way, is for next time.
        """
        sound, self._sound = self._sound, True
        in_the_way, self._under_way = True, False
        connection.set_busy_timeout(FINISH_WAIT_MS)
        try:
            in_the_way = bool(fetch(connection, "PRAGMA wal_checkpoint(RESTART)")[0][0])
        except apsw.FullError:
            pass
        except apsw.Error:
            sound = False
        connection.set_busy_timeout(BUSY_MS)
        self._due_at_pages = self._storage.checkpoint_pages + (self._pages if in_the_way else 0)
        return sound

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keep off the file meanwhile."""
        with self._copying:
            yield

    def stop(self) -> None:
        """End the thread; copies nothing more."""
        self._stopping.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while self._due.wait() and not self._stopping.is_set():
            self._due.clear()
            try:
                with self._copying:
                    self._copy()
            except apsw.FullError:
                self._stopping.wait(RETRY_S)
            except apsw.Error:
                self._sound = False
            self._ask_writer()

    def _copy(self) -> None:
        connection = connect(self._storage)
        try:
            before = 0
            for _ in range(ROUNDS_MAX):
                _, _, copied = fetch(connection, "PRAGMA wal_checkpoint(PASSIVE)")[0]
                if copied - before <= ROUND_PAGES_ENOUGH:
                    break
                before = copied
        finally:
            let_go(connection)
