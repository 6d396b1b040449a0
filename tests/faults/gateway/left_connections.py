"""Thousands of connections are opened and left, in three ways: silent, with half a request, and with a whole request
for a stream that nobody ever reads.

Meanwhile somebody else publishes and pulls, and is served each time; the gateway's memory and open files stay within
their limits, its log tells of it a few times, and afterwards it is as before.

    python -m tests.faults.gateway.left_connections --connections 10000
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.events import Head
from bench.subscribers import subscribe
from tests.faults.gateway.audience import PUBLISHER, head_for, log_lines, port_of
from tests.processes import Served, bearer, load_alliances, serving
from tests.support import an_event

MANNERS = ("silent", "half", "stream")
PAUSE_S = 0.1
ANSWER_WITHIN_S = 10.0
ROUNDS = 50
"""Rounds in which the connections are opened, each of them all at once.

They and somebody else share this process: whoever opens as many at once as the gateway takes leaves nobody the time to
send what was connected for.
"""
TOLD = ("connections_exhausted", "places_taken", "client_cut_off")


@dataclass
class Findings:
    """What came of one manner. opened: connections that were made. longest_s: of somebody else's requests."""

    manner: str
    opened: int = 0
    served: int = 0
    failed: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    peak_mb: float = 0.0
    files: int = 0
    told: int = 0

    def __str__(self) -> str:
        """Say it in a line of a report."""
        return (
            f"{self.manner}: {self.opened} opened; {self.served} requests of others served, {len(self.failed)} not "
            f"{self.failed[:2]}, the longest {self.longest_s:.2f} s; {self.peak_mb:.0f} MB and {self.files} files at "
            f"most, {self.told} lines in the log"
        )


def campaign(folder: Path, connections: int, seconds: float, limits: str = "") -> list[Findings]:
    """Open so many connections in each manner, keep them for so long, and see who else is served."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "settings.toml"
    config.write_text(f"[limits]\n{limits}\n")
    with serving(folder / "data", "--config", str(config)) as served:
        load_alliances(served)
        return asyncio.run(_each(served, connections, seconds))


async def _each(served: Served, connections: int, seconds: float) -> list[Findings]:
    head = await asyncio.to_thread(head_for, served)
    stream = (await subscribe(head, 1))[0].stream()
    requests = {"silent": b"", "half": stream[: len(stream) // 2], "stream": stream}
    publisher = await asyncio.to_thread(bearer, served.data, PUBLISHER, "publisher")
    found = []
    for manner in MANNERS:
        told = len(log_lines(served, *TOLD))
        one = await _left(served, manner, requests[manner], connections, seconds, head, publisher)
        one.told = len(log_lines(served, *TOLD)) - told
        found.append(one)
    return found


async def _left(
    served: Served, manner: str, request: bytes, connections: int, seconds: float, head: Head, publisher: dict[str, str]
) -> Findings:
    found = Findings(manner)
    left: list[asyncio.StreamWriter] = []
    enough = asyncio.Event()
    others = asyncio.create_task(_others(served, found, head, publisher, enough))
    at_once = max(1, connections // ROUNDS)
    for begin in range(0, connections, at_once):
        left += await _opened(port_of(served), request, min(at_once, connections - begin))
    found.opened = len(left)
    await asyncio.sleep(seconds)
    # Whoever waits for an answer gets it, or fails by its own time limit, while the connections are still there.
    enough.set()
    await others
    for writer in left:
        writer.transport.abort()
    return found


async def _opened(port: int, request: bytes, number: int) -> Sequence[asyncio.StreamWriter]:
    async def one() -> asyncio.StreamWriter | None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(request)
            # What is never read: the client's own buffer is full at once, and then its window.
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # no other way to it
            return writer
        return None

    return [writer for writer in await asyncio.gather(*(one() for _ in range(number))) if writer is not None]


async def _others(
    served: Served, found: Findings, head: Head, publisher: dict[str, str], enough: asyncio.Event
) -> None:
    """Publish and list, each time on a connection of its own, and look at the gateway's memory and files.

    A connection that rests may be closed for a newcomer: whoever keeps one has to be ready to open it anew.
    """
    process = Path(f"/proc/{served.process.pid}")
    reader = {"Authorization": head.get("/").decode().split("Authorization: ")[1].split("\r\n")[0]}
    while not enough.is_set():
        began = time.monotonic()
        try:
            once = httpx.Limits(max_keepalive_connections=0)
            async with httpx.AsyncClient(base_url=served.url, timeout=ANSWER_WITHIN_S, limits=once) as client:
                sent = await client.post("/v1/events", json=an_event(PUBLISHER), headers={**publisher, **_STRUCTURED})
                seen = await client.get("/v1/job-orders?limit=1", headers=reader)
            if (sent.status_code, seen.status_code) == (201, 200):
                found.served += 1
            else:
                found.failed.append(f"{sent.status_code} {seen.status_code}")
        except httpx.HTTPError as error:
            found.failed.append(repr(error))
        found.longest_s = max(found.longest_s, time.monotonic() - began)
        status = (process / "status").read_text().partition("VmRSS:")[2].split()
        found.peak_mb = max(found.peak_mb, int(status[0]) / 1000)
        found.files = max(found.files, sum(1 for _ in (process / "fd").iterdir()))
        await asyncio.sleep(PAUSE_S)


_STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def main() -> None:
    """Run the campaign with the usual limits, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), options.connections, options.seconds)
    for one in found:
        print(one)  # noqa: T201  # a campaign's report
    raise SystemExit(any(one.failed for one in found))


if __name__ == "__main__":
    main()
