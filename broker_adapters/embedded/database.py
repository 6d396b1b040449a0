"""The data folder: its lock, the SQLite file in it, and what SQLite's errors mean to a caller.

SQLite comes with `apsw` rather than with Python, so that its version is ours to choose: all versions before
3.51.3 can lose committed pages when a checkpoint and a commit meet (https://sqlite.org/wal.html#walresetbug),
and the log checkpoints beside its writer.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import apsw

from broker_adapters.log import LogDamaged, LogError, LogFolderUnusable, LogFull, LogLocked, LogUnavailable

DATABASE = "log.sqlite3"
LOCK = "lock"

OFFSET_BITS = 40
"""A record's row id is its topic's id and its offset in one: a topic lies together, sorted, without an index."""
OFFSET_MASK = (1 << OFFSET_BITS) - 1

FORMAT = 1
"""The number of the file's layout, kept as SQLite's `user_version`."""

SCHEMA = f"""
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE record (id INTEGER PRIMARY KEY, recorded_at INTEGER NOT NULL, key BLOB, value BLOB NOT NULL) STRICT;
CREATE TABLE processor (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE position (processor TEXT NOT NULL, topic TEXT NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (processor, topic)) STRICT, WITHOUT ROWID;
CREATE TABLE state (processor TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (processor, key)) STRICT, WITHOUT ROWID;
CREATE TABLE mark (transactions INTEGER NOT NULL, reopenings INTEGER NOT NULL) STRICT;
INSERT INTO mark VALUES (0, 0);
CREATE VIEW log AS
    SELECT topic.name AS topic, record.id & {OFFSET_MASK} AS "offset", recorded_at, record.key, record.value
    FROM record JOIN topic ON topic.id = record.id >> {OFFSET_BITS};
PRAGMA user_version = {FORMAT};
"""  # noqa: S608  # the figures are our own

PAGE_BYTES = 8192
WRITER_CACHE_KIB = 16 * 1024
WAL_BYTES_KEPT_MAX = 64 * 1024 * 1024
"""A write-ahead log that grew beyond this is cut down to it; below, writing over it saves a journal commit."""

WAL_HEADER_BYTES = 32
WAL_FRAME_HEADER_BYTES = 24
"""https://sqlite.org/fileformat2.html#walformat"""

REWRITE_BYTES = 64 * 1024
"""SQLite writes fewer than 128 KiB in one call."""

BUSY_MS = 200
"""How long to wait for SQLite's own locks. Only a checkpoint meets any: a reader that is on its way out."""

CHECKPOINT_PAGES = 32 * 1024 * 1024 // PAGE_BYTES
"""From how many pages on the write-ahead log is copied back. More would amortise better, and stall longer."""

Synchronous = Literal["FULL", "NORMAL"]


class Storage(NamedTuple):
    """Where and how the file is kept.

    vfs: SQLite's name of the file system to run on, None for the usual one. synchronous: its word for syncing each
    commit; a test shows what less would lose. checkpoint_pages: how long the write-ahead log may get.
    """

    path: Path
    vfs: str | None = None
    synchronous: Synchronous = "FULL"
    checkpoint_pages: int = CHECKPOINT_PAGES


def lock_folder(folder: Path) -> IO[str]:
    """Make the data folder if need be and take its lock; closing what is returned lets go.

    Raises `LogFolderUnusable`, `LogLocked`.
    """
    try:
        make_folder(folder)
        lock = (folder / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise LogFolderUnusable(
            f"The data folder {folder} cannot be used ({error.strerror}). Choose another, or let this user write in it."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read(20).strip() or "unknown"
        lock.close()
        raise LogLocked(
            f"Process {holder} has the data folder {folder} open. Stop it first, or choose another folder."
        ) from error
    with contextlib.suppress(OSError):  # on a full disk the lock still holds, only its holder's number is missing
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    return lock


def make_folder(folder: Path) -> None:
    """Make a folder that is still there after a power cut: syncing what is in it does not sync its own name."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in missing or [folder]:  # who made it before us may not have synced it
        with contextlib.suppress(OSError):  # a folder that we may not read is not ours to sync
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def connect(storage: Storage) -> apsw.Connection:
    """Return a connection that can write, on which nothing happens by itself: no checkpoint, no retry."""
    connection = apsw.Connection(str(storage.path), vfs=storage.vfs)
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            f"synchronous = {storage.synchronous}",
            "fullfsync = ON",  # on macOS plain fsync does not reach the disk
            "checkpoint_fullfsync = ON",
            "wal_autocheckpoint = 0",
            f"journal_size_limit = {WAL_BYTES_KEPT_MAX}",
            f"cache_size = -{WRITER_CACHE_KIB}",
            "trusted_schema = OFF",
        ):
            fetch(connection, f"PRAGMA {pragma}")
    except BaseException:
        let_go(connection)
        raise
    return connection


def connect_reader(storage: Storage) -> apsw.Connection:
    """Return a connection that can only read."""
    connection = apsw.Connection(str(storage.path), flags=apsw.SQLITE_OPEN_READONLY, vfs=storage.vfs)
    connection.set_busy_timeout(BUSY_MS)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def prepare(connection: apsw.Connection, path: Path) -> None:
    """Lay out a new file; refuse one that is not ours or newer than this program."""
    found = connection.execute("PRAGMA user_version").get
    if found == 0:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(SCHEMA)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
    elif found != FORMAT:
        raise LogFolderUnusable(f"{path} has layout {found}; this version of Kommunebro knows layout {FORMAT} only.")


def fetch(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """Return all rows that a statement gives; no cursor stays open."""
    return connection.execute(sql, values).fetchall()


def write_ahead_log(path: Path) -> Path:
    """Return the file beside a database in which SQLite writes first."""
    return path.with_name(path.name + "-wal")


def rewrite_write_ahead_log(storage: Storage) -> None:
    """Write what is in the write-ahead log once more, and sync it, so that what is seen is what will last.

    After a sync that failed, an operating system may show what it never wrote, and call the next sync a success:
    copied into the database from there, half of it would be left by a power cut.
    """
    if not write_ahead_log(storage.path).exists():
        return
    with opened_write_ahead_log(storage) as file:
        for place in range(0, file.xFileSize(), REWRITE_BYTES):
            file.xWrite(file.xRead(REWRITE_BYTES, place), place)
        file.xSync(apsw.SQLITE_SYNC_FULL)


def cut_off_uncommitted(connection: apsw.Connection, storage: Storage) -> None:
    """Cut the write-ahead log off behind the last transaction that was committed.

    A commit that failed may have left itself there whole, for a later crash to find and count as committed.
    """
    _, pages, _ = fetch(connection, "PRAGMA wal_checkpoint(NOOP)")[0]
    with opened_write_ahead_log(storage) as file:
        file.xTruncate(WAL_HEADER_BYTES + pages * (WAL_FRAME_HEADER_BYTES + PAGE_BYTES) if pages else 0)
        file.xSync(apsw.SQLITE_SYNC_FULL)


@contextlib.contextmanager
def opened_write_ahead_log(storage: Storage) -> Iterator[apsw.VFSFile]:
    """Open the write-ahead log as a file, on the file system that SQLite uses."""
    path = str(write_ahead_log(storage.path).absolute())
    file = apsw.VFSFile(storage.vfs or "", path, [apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_WAL, 0])
    try:
        yield file
    finally:
        file.xClose()


def let_go(connection: apsw.Connection) -> None:
    """Close a connection. It may fail to tidy up behind it; what was committed is safe all the same."""
    with contextlib.suppress(apsw.Error):
        connection.close(True)


def roll_back(connection: apsw.Connection) -> None:
    """Leave the transaction, if SQLite has not left it by itself (it does after some errors)."""
    if connection.in_transaction:
        with contextlib.suppress(apsw.Error):
            connection.execute("ROLLBACK")


def as_log_error(error: apsw.Error | OSError, path: Path, *, outcome_unknown: bool = False) -> LogError:
    """Return what an error of SQLite or of the operating system means to a caller of the log."""
    if isinstance(error, apsw.FullError):
        written = "Whether this was written is not known" if outcome_unknown else "Nothing was written"
        return LogFull(
            f"The disk that holds {path} is full. {written}; free some space and it goes on.",
            outcome_unknown=outcome_unknown,
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return LogDamaged(f"{path} is damaged ({error}). Stop, and restore it from a backup.")
    if isinstance(error, (apsw.CantOpenError, apsw.PermissionsError, apsw.ReadOnlyError)):
        return LogFolderUnusable(f"{path} cannot be opened or written ({error}). Check its folder's permissions.")
    return LogUnavailable(f"{path} could not be read or written ({error}).", outcome_unknown=outcome_unknown)
