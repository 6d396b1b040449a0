"""How long the disk alone takes meanwhile: what a figure in milliseconds is read beside.

On a machine that is shared a disk stands still for tenths of a second now and then, and with it whoever waits for it.
"""

import os
import threading
import time
from pathlib import Path
from typing import Self

from bench.figures import percentile

EVERY_S = 0.05
"""Seldom enough to be no load of its own."""

_BLOCK = bytes(4096)


class Disk:
    """Writes a block and syncs it, again and again, in a thread of its own, while the context lasts."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "disk"
        self._milliseconds: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="disk", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def p99_ms(self) -> float:
        """Return the 99th percentile of the syncs, in milliseconds."""
        return percentile(sorted(self._milliseconds), 99)

    def _write(self) -> None:
        file = os.open(self._file, os.O_CREAT | os.O_WRONLY)
        try:
            while not self._over.wait(EVERY_S):
                began = time.perf_counter()
                os.pwrite(file, _BLOCK, 0)
                os.fsync(file)
                self._milliseconds.append((time.perf_counter() - began) * 1000)
        finally:
            os.close(file)
