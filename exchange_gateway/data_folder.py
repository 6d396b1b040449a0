"""The data folder: made at first start, and held by one process at a time."""

import fcntl
import os
from pathlib import Path
from typing import IO

from broker_adapters.log import LogFolderUnusable, LogLocked

FORWARDER_FOLDERS_MAX = 64
"""Forwarders alone that can share one data folder, each in a folder of its own below it."""


def make_folder(folder: Path) -> None:
    """Make the folder, readable by its owner only. Raises `LogFolderUnusable`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LogFolderUnusable(f"The data folder {folder} cannot be made: {error.strerror}.") from None
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise LogFolderUnusable(f"The data folder {folder} cannot be written. Check its owner and permissions.")


class FolderLock:
    """Held from `acquire` to `release`, or to the end of the process, whatever ends it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raise `LogLocked` when another process has it."""
        # A process that dies lets go of a flock, so no lock is ever left behind.
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            file.close()
            raise LogLocked(
                f"Another process (pid {holder}) uses the data folder {self._path.parent}. "
                "Stop it, or name another folder with --data."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go; doing so twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None


def forwarder_folder(data: Path) -> tuple[Path, FolderLock]:
    """Return a folder below `data` that no other forwarder uses, and the lock that keeps it so."""
    for number in range(FORWARDER_FOLDERS_MAX):
        folder = data / f"forwarder-{number}"
        make_folder(folder)
        lock = FolderLock(folder / "forwarder.lock")
        try:
            lock.acquire()
        except LogLocked:
            continue
        return folder, lock
    raise LogLocked(f"{FORWARDER_FOLDERS_MAX} forwarders use {data} already; name another folder with --data.")
