"""Clients that read one byte a second, of streams and of pulls with megabytes to answer.

Each is cut off when it has not taken what it must within `limits.slow_s_max`; until then it holds little memory, and
a listener beside them has every event, and soon. With hundreds of pulls the later ones get answers so small that the
system has taken all of them before the client has: those have nothing to be cut off from.

    python -m tests.faults.gateway.slow_readers --clients 200
"""

import argparse
import asyncio
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import percentile
from tests.faults.gateway.audience import Audience, Source, head_for, log_lines, port_of
from tests.processes import Served, load_alliances, serving

WAITING_EVENTS = 2_000
"""Published before: 4 MB, more than the system keeps for a client."""

PER_S = 50
SECONDS = 6.0
RECEIVE_BYTES = 4096
ESTABLISHED = 1
"""A connection's state for TCP_INFO; what the client has not read yet hides from it that the connection is cut."""


@dataclass
class Findings:
    """What came of it. streams_cut, pulls_cut: how many were; late_s: when all were, or nobody waited any longer.

    grown_mb: the gateway's growth. p99_ms: from publishing to arrival beside them.
    """

    streams: int
    streams_cut: int
    pulls: int
    pulls_cut: int
    late_s: float
    grown_mb: float
    p99_ms: float
    wrong: list[str]
    told: int


def campaign(folder: Path, clients: int, slow_s_max: float) -> Findings:
    """Have half of the clients read streams, and half pulls, each a byte a second."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "settings.toml"
    config.write_text(f"[limits]\nslow_s_max = {slow_s_max}\n")
    with serving(folder / "data", "--config", str(config)) as served:
        load_alliances(served)
        return asyncio.run(_listen(served, clients, slow_s_max))


async def _listen(served: Served, clients: int, slow_s_max: float) -> Findings:
    source = Source(served.data, [port_of(served)], WAITING_EVENTS + int(PER_S * SECONDS))
    audience = Audience([port_of(served)], source)
    await audience.open(await asyncio.to_thread(head_for, served), 2)
    await source.publish(1e6, WAITING_EVENTS, events=WAITING_EVENTS)
    await audience.has_all(10, WAITING_EVENTS)
    audience.arrivals.forget_times()
    before_mb = _rss_mb(served)
    began = time.monotonic()
    one = audience.subscriptions[0]
    requests = [one.stream(audience.first_id), one.pull(audience.first_id)]
    slow = [asyncio.create_task(_read_slowly(served, requests[number % 2])) for number in range(clients)]
    publishing = asyncio.create_task(source.publish(PER_S, begin=WAITING_EVENTS, due=audience.arrivals.due))
    grown_mb = 0.0
    while not all(task.done() for task in slow[::2]) and time.monotonic() - began < 3 * slow_s_max + 10:
        await asyncio.sleep(0.1)
        grown_mb = max(grown_mb, _rss_mb(served) - before_mb)
    late_s = time.monotonic() - began
    await publishing
    await audience.has_all(10)
    await audience.close()
    cut = [task.done() and task.result() for task in slow]
    for task in slow:
        task.cancel()
    return Findings(
        streams=len(cut[::2]),
        streams_cut=sum(cut[::2]),
        pulls=len(cut[1::2]),
        pulls_cut=sum(cut[1::2]),
        late_s=late_s,
        grown_mb=grown_mb,
        p99_ms=percentile(sorted(audience.arrivals.seconds), 99) * 1000,
        wrong=await asyncio.to_thread(audience.wrong, served),
        told=len(log_lines(served, "client_cut_off")),
    )


async def _read_slowly(served: Served, request: bytes) -> bool:
    """Read a byte a second; return True when the connection was cut by the other side."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port_of(served)))
        await loop.sock_sendall(client, request)
        try:
            while client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED:
                await loop.sock_recv(client, 1)
                await asyncio.sleep(1.0)
        except ConnectionResetError:
            return True
    return True


def _rss_mb(served: Served) -> float:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def main() -> None:
    """Run the campaign with the usual limit, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--slow-s-max", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), options.clients, options.slow_s_max)
    print(found)  # noqa: T201  # a campaign's report
    raise SystemExit(bool(found.wrong) or found.streams_cut < found.streams)


if __name__ == "__main__":
    main()
