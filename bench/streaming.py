"""A client for one long streamed answer that counts records at memory speed, parsing nothing."""

import asyncio
import time
from typing import NamedTuple

MARKER = b'"recordedAt":'
"""Stands once in each line of a replay; within an event's texts its quotes would be escaped."""


class Streamed(NamedTuple):
    """What a streamed answer held. whole: whether it ended as HTTP says, not by a broken connection."""

    status: int
    records: int
    octets: int
    seconds: float
    whole: bool


class _Counter(asyncio.Protocol):
    def __init__(self, finished: "asyncio.Future[None]") -> None:
        self._finished = finished
        self._tail = b""
        self.head = b""
        self.records = self.octets = 0

    def data_received(self, data: bytes) -> None:
        if not self.head:
            self.head = data[:64]
        seen = self._tail + data
        self.records += seen.count(MARKER)
        self.octets += len(data)
        # One byte less than the marker: a whole one in the tail would be counted again.
        self._tail = seen[-(len(MARKER) - 1) :]
        if self._tail.endswith(b"\r\n0\r\n\r\n"):
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._finish()

    @property
    def whole(self) -> bool:
        return self._tail.endswith(b"0\r\n\r\n")

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)


async def stream(port: int, request: bytes, timeout_s: float = 600.0) -> Streamed:
    """Send `request` and count the records in its chunked answer."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    transport, counter = await loop.create_connection(lambda: _Counter(finished), "127.0.0.1", port)
    started = time.perf_counter()
    try:
        transport.write(request)
        await asyncio.wait_for(finished, timeout_s)
    finally:
        transport.close()
    seconds = time.perf_counter() - started
    status = int(counter.head[9:12] or b"0")
    return Streamed(status, counter.records, counter.octets, seconds, counter.whole)
