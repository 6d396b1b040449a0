"""The file as the writer has it open: committing, copying back, and opening anew after an error."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import apsw

from broker_adapters.embedded.checkpoints import Checkpointer
from broker_adapters.embedded.database import (
    Storage,
    as_log_error,
    connect,
    cut_off_uncommitted,
    fetch,
    let_go,
    prepare,
    rewrite_write_ahead_log,
    roll_back,
)
from broker_adapters.embedded.requests import Draft, Stored
from broker_adapters.log import LogUnavailable

PauseReaders = Callable[[], AbstractContextManager[None]]


class LogFile:
    """Owns the connection that writes. `sound` is False from an error on until the file was opened anew."""

    def __init__(self, storage: Storage, pause_readers: PauseReaders, ask_for_checkpoint: Callable[[], None]) -> None:
        self._storage, self._pause_readers = storage, pause_readers
        self._checkpointer = Checkpointer(storage, ask_for_checkpoint)
        self._connection: apsw.Connection
        self.sound = True

    def open(self) -> Stored:
        """Open the file, and return what it holds. Raises a `LogError`."""
        try:
            stored = self._open()
        except (apsw.Error, OSError) as error:
            raise as_log_error(error, self._storage.path) from error
        self._checkpointer.start()
        return stored

    def _open(self) -> Stored:
        rewrite_write_ahead_log(self._storage)
        self._connection = connect(self._storage)
        try:
            prepare(self._connection, self._storage.path)
            # Whatever is found is made durable before anyone reads it: what the process before wrote and died
            # before syncing is found too, and a reader must not see what a power cut could still take back.
            self._copy_all_back()
            stored = Stored(self._connection)
        except BaseException:
            let_go(self._connection)
            raise
        self._connection.set_wal_hook(self._checkpointer.notice)
        return stored

    def _copy_all_back(self) -> None:
        _, pages, copied = fetch(self._connection, "PRAGMA wal_checkpoint(TRUNCATE)")[0]
        if copied < pages:
            raise LogUnavailable(f"Another program reads {self._storage.path} and does not let go of it.")

    def reopen(self) -> Stored:
        """Open the file anew, so that what an error left open is settled, and no later crash can settle it otherwise.

        All connections are closed first, so that SQLite forgets how much it has copied: a sync that failed may
        have dropped any page written since the one before it, and the next one answers well all the same. So the
        whole write-ahead log is copied again. Then a mark is written over what was not found.
        """
        self.sound = False
        with self._checkpointer.paused(), self._pause_readers():
            let_go(self._connection)
            try:
                stored = self._open()
                self._connection.execute("UPDATE mark SET reopenings = reopenings + 1")
            except (apsw.Error, OSError) as error:
                raise as_log_error(error, self._storage.path) from error
        self.sound = True
        return stored

    def commit(self, draft: Draft) -> None:
        """Write a transaction and sync it. Raises an error of `apsw`."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            draft.write(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            roll_back(self._connection)
            raise

    def forget_failed(self) -> bool:
        """See to it that a commit that failed for want of space stays so; tell whether that is certain."""
        try:
            cut_off_uncommitted(self._connection, self._storage)
        except apsw.Error:
            self.sound = False
        return self.sound

    def finish_checkpoint(self) -> None:
        """Copy back what came while the checkpointer was at it; `sound` tells whether that went well."""
        try:
            self.sound = self._checkpointer.finish(self._connection) and self.sound
        except apsw.Error:  # an attempt to open the file anew has failed, and left it closed
            self.sound = False

    def stop(self) -> None:
        """End the checkpoints."""
        self._checkpointer.stop()

    def close(self) -> None:
        """Close the file, after all readers: the last to leave empties the write-ahead log and removes it."""
        if self.sound:
            with contextlib.suppress(apsw.Error):
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        let_go(self._connection)
