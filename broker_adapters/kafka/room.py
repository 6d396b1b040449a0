"""The limit to what may wait to be written: who comes when it is full, waits in turn."""

import asyncio
import time
from collections import deque


class Room:
    """So many bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._used_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def fits(self, size_bytes: int) -> bool:
        """Tell whether `size_bytes` more fit now. Anything fits an empty room."""
        return not self._used_bytes or self._used_bytes + size_bytes <= self._bytes_max

    def enter_at_once(self, size_bytes: int) -> bool:
        """Take the bytes if they fit and nobody waits; tell whether they were taken."""
        if self._waiting or not self.fits(size_bytes):
            return False
        self._used_bytes += size_bytes
        return True

    async def enter(self, size_bytes: int, deadline: float) -> None:
        """Take the bytes, waiting until they fit. Raises `TimeoutError` at `deadline` (monotonic)."""
        while self._waiting or not self.fits(size_bytes):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await turn
            except BaseException:
                self._skip(turn)
                raise
            if self.fits(size_bytes):
                break
        self._used_bytes += size_bytes
        self._wake()

    def _skip(self, turn: "asyncio.Future[None]") -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        else:
            self._wake()

    def leave(self, size_bytes: int) -> None:
        """Give the bytes back."""
        self._used_bytes -= size_bytes
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._used_bytes < self._bytes_max:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
