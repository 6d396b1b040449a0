"""The one thread that writes: it takes all that waits, commits it with one sync, and answers all at once."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import apsw

from broker_adapters.embedded.database import Storage, as_log_error
from broker_adapters.embedded.file import LogFile, PauseReaders
from broker_adapters.embedded.requests import Draft, Request, Stored, Tail
from broker_adapters.log import LogError

GROUP_BYTES_MAX = 8 * 1024 * 1024
"""Where a group ends, unless one request alone is larger: it stays in SQLite's cache until it is committed."""

WRONG_TYPE = (apsw.SQLITE_CONSTRAINT_DATATYPE, apsw.SQLITE_CONSTRAINT_NOTNULL)

STOP = None
CHECKPOINT = object()

Deliver = Callable[[Sequence[Request], dict[str, int], dict[int, int]], None]
"""Takes answered requests, the new topics (name to id) and the new ends (topic id to offset)."""


class Writer:
    """Owns the file, and what is known of it in memory (`Stored`), from its own thread."""

    def __init__(
        self, storage: Storage, *, clock_ms: Callable[[], int], deliver: Deliver, pause_readers: PauseReaders
    ) -> None:
        self._path = storage.path
        self._clock_ms, self._deliver = clock_ms, deliver
        self._queue: SimpleQueue[Request | object | None] = SimpleQueue()
        self._file = LogFile(storage, pause_readers, lambda: self._queue.put(CHECKPOINT))
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._stored: Stored

    def start(self) -> Stored:
        """Open the file and begin; return what it holds. Blocks; raises a `LogError`."""
        stored = self._stored = self._file.open()
        self._thread.start()
        return stored

    def put(self, request: Request) -> None:
        """Hand in a request; its future is set in the event loop."""
        self._queue.put(request)

    def stop(self) -> None:
        """Finish what was handed in. Blocks; the answers come before it returns."""
        self._queue.put(STOP)
        self._thread.join()
        self._file.stop()

    def close(self) -> None:
        """Close the file, after all readers: the last to leave empties the write-ahead log. Blocks."""
        self._file.close()

    def _run(self) -> None:
        while (group := self._take()) is not None:
            if group:
                self._answer(group)

    def _take(self) -> list[Request] | None:
        """Return all that waits, up to the limit; None when it is time to stop."""
        group: list[Request] = []
        size_bytes = 0
        while size_bytes < GROUP_BYTES_MAX and not (group and self._queue.empty()):
            item = self._queue.get()
            if isinstance(item, Request):
                group.append(item)
                size_bytes += item.size_bytes
            elif item is CHECKPOINT:
                self._finish_checkpoint()
            elif group:
                self._queue.put(STOP)
                break
            else:
                return None
        return group

    def _finish_checkpoint(self) -> None:
        with contextlib.suppress(Exception):  # nobody waits for this; the next group tries again, and is told
            self._file.finish_checkpoint()
            if not self._file.sound:
                self._reopen()

    def _answer(self, group: list[Request]) -> None:
        """Write a group and answer it, whatever happens: a caller left waiting would wait for ever."""
        draft = Draft(self._stored, 0)
        try:
            draft = self._write(group)
        except Exception as error:  # noqa: BLE001  # a fault in this thread must reach the callers
            for request in group:
                request.error = request.error or error
        self._tell(group, draft.topics, draft.tails)

    def _tell(self, answered: list[Request], topics: dict[str, int], tails: dict[int, Tail]) -> None:
        """Let the event loop know, in one call for all."""
        ends = {topic_id: tail.end for topic_id, tail in tails.items()}
        try:
            self._loop.call_soon_threadsafe(self._deliver, answered, topics, ends)
        except RuntimeError:  # the event loop is gone, and the callers with it
            self._queue.put(STOP)

    def _write(self, group: list[Request]) -> Draft:
        """Write a group in one transaction; return what became of it. Errors stand on the requests."""
        if not self._file.sound:
            self._reopen()
        draft = Draft(self._stored, self._clock_ms())
        accepted = [request for request in group if is_accepted(request, draft)]
        if not accepted:
            return Draft(self._stored, 0)
        try:
            self._file.commit(draft)
        except apsw.FullError as error:
            return self._refuse(accepted, error, outcome_unknown=not self._file.forget_failed())
        except (TypeError, ValueError, OverflowError) as error:
            return self._write_apart(accepted, error)
        except apsw.Error as error:
            if getattr(error, "extendedresult", 0) in WRONG_TYPE:
                return self._write_apart(accepted, error)
            if not self._is_committed(draft, error):
                return self._refuse(accepted, error)
        draft.merge()
        return draft

    def _refuse(self, requests: list[Request], error: apsw.Error, *, outcome_unknown: bool = False) -> Draft:
        for request in requests:
            request.error = as_log_error(error, self._path, outcome_unknown=outcome_unknown)
        return Draft(self._stored, 0)

    def _write_apart(self, requests: list[Request], error: Exception) -> Draft:
        """Write each by itself after one of them could not be stored: it must not harm its neighbours."""
        together = Draft(self._stored, 0)
        if len(requests) == 1:
            requests[0].error = TypeError(f"What was to be stored has the wrong type: {error}")
            return together
        for request in requests:
            try:
                alone = self._write([request])
            except LogError as fault:
                request.error = fault
            else:
                together.tails |= alone.tails
                together.topics |= alone.topics
        return together

    def _is_committed(self, draft: Draft, error: apsw.Error) -> bool:
        """Tell whether a transaction that ended in an error is in the file all the same: open it anew and look."""
        try:
            self._reopen()
        except LogError:
            raise as_log_error(error, self._path, outcome_unknown=True) from error
        return draft.is_in(self._stored)

    def _reopen(self) -> None:
        self._stored = self._file.reopen()
        self._tell([], self._stored.topics, self._stored.tails)


def is_accepted(request: Request, draft: Draft) -> bool:
    """Add a request to the transaction, unless it is refused."""
    try:
        request.add_to(draft)
    except LogError as error:
        request.error = error
        return False
    return True
