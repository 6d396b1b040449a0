"""Disks that fail: file systems for SQLite whose writes, syncs and truncates go wrong as they are told to."""

import random
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
_names = count(1)


class Disk(apsw.VFS):
    """The usual file system, with a say in everything that changes a file. Use `name` as SQLite's `vfs`.

    Who holds `still` keeps all files as they are.
    """

    def __init__(self) -> None:
        self.name = f"disk-{next(_names)}"
        self.still = threading.Lock()
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        with self.still:
            self.change(filename, "delete", 0, bool(syncdir))
            super().xDelete(filename, syncdir)

    def change(self, path: str, kind: str, place: int, data: Any) -> None:
        """Take note of a change before it is made; raise an error of `apsw` and it is not made."""
        raise NotImplementedError

    def opened(self, path: str) -> None:
        """Take note that a file was opened."""

    def read(self, path: str) -> None:
        """Take note of a read before it is made, or raise an error of `apsw`."""


class DiskFile(apsw.VFSFile):
    """A file on such a disk."""

    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        disk.opened(self._path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.read(self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with self._disk.still:
            try:
                self._disk.change(self._path, "write", offset, data)
            except apsw.Error:
                super().xWrite(data[: len(data) // 2], offset)  # a write that fails may have begun
                raise
            super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        with self._disk.still:
            self._disk.change(self._path, "sync", 0, None)
            super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with self._disk.still:
            self._disk.change(self._path, "truncate", newsize, None)
            super().xTruncate(newsize)


class FailingDisk(Disk):
    """Fails at the n-th change, once or from then on, until it is healed.

    Only a write fails with `FullError`: SQLite answers a sync or a truncate on a full disk with an I/O error.
    """

    def __init__(self, fail_at: int, error: type[apsw.Error], *, for_good: bool) -> None:
        super().__init__()
        self.changes = 0
        self.failed = 0
        self._fail_at, self._error, self._for_good = fail_at, error, for_good

    def change(self, path: str, kind: str, place: int, data: Any) -> None:
        self.changes += 1
        if self.changes == self._fail_at or (self._for_good and 0 < self._fail_at < self.changes):
            self.failed += 1
            error = self._error if kind == "write" else apsw.IOError
            raise error(f"{kind}, change {self.changes}")

    def heal(self) -> None:
        """Fail no more."""
        self._fail_at = 0


class Contents:
    """What a file would hold after a power cut: all that was synced, and any part of what was not."""

    def __init__(self, synced: bytes | None) -> None:
        self.synced = None if synced is None else bytearray(synced)
        self.pending: list[tuple[str, int, Any]] = []

    def sync(self) -> None:
        """Make all that was written last."""
        self.synced = self.synced if self.synced is not None else bytearray()
        for kind, place, data in self.pending:
            apply(self.synced, kind, place, data)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytes | None:
        """Return what is found when power returns; None when the file is not there at all."""
        kept = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        if self.synced is None and (not self.pending or chance.random() >= kept):
            return None
        found = bytearray(self.synced or b"")
        for kind, place, data in self.pending:
            if kind == "write":
                for start in range(0, len(data), SECTOR_BYTES):
                    if chance.random() < kept:
                        apply(found, kind, place + start, data[start : start + SECTOR_BYTES])
            elif chance.random() < kept:
                apply(found, kind, place, data)
        return bytes(found)


def apply(contents: bytearray, kind: str, place: int, data: bytes) -> None:
    """Make a change to a file's contents."""
    if kind == "truncate":
        del contents[place:]
        return
    contents.extend(bytes(max(0, place - len(contents))))
    contents[place : place + len(data)] = data


class PowerDisk(Disk):
    """Keeps account of what was synced, so that power can be cut at any instant. Syncs may fail and lie.

    A sync that fails drops what it should have written, and the next one answers well all the same, as Linux does.
    """

    def __init__(self, before_change: Callable[[int], None], fail_sync_at: int = 0) -> None:
        super().__init__()
        self.changes = 0
        self._syncs, self._fail_sync_at = 0, fail_sync_at
        self._before_change = before_change
        self._files: dict[str, Contents] = {}

    def opened(self, path: str) -> None:
        with self.still:
            if path not in self._files:
                there = Path(path)
                synced = there.read_bytes() if there.exists() and there.stat().st_size else None
                self._files[path] = Contents(synced)

    def change(self, path: str, kind: str, place: int, data: Any) -> None:
        self.changes += 1
        self._before_change(self.changes)
        if kind == "delete":
            self._files.pop(path, None)
        elif kind == "sync":
            self._sync(self._files[path])
        else:
            self._files[path].pending.append((kind, place, data))

    def _sync(self, contents: Contents) -> None:
        self._syncs += 1
        if self._syncs == self._fail_sync_at:
            contents.pending.clear()
            raise apsw.IOError("the sync failed, and what it should have written is dropped")
        contents.sync()

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what would be found, by file name, had power been cut now. To be called within `before_change`."""
        found = {Path(path).name: contents.after_cut(chance) for path, contents in self._files.items()}
        return {name: contents for name, contents in found.items() if contents is not None}
