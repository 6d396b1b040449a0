"""Real processes for tests: a gateway as an operator runs it, and its tokens."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.cli.agreements import put
from exchange_gateway.cli.running import make_token
from exchange_gateway.core.access import Role
from kommunebro import Client

START_TIMEOUT_S = 40.0
KOMMUNEBRO = str(Path(sys.executable).with_name("kommunebro"))
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KOMMUNEBRO_")}


def run(*arguments: str | Path, timeout_s: float = 120.0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `kommunebro` with arguments to its end, and return what it said."""
    command = [KOMMUNEBRO, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, env=ENVIRONMENT, cwd=cwd
    )


_PORTS_OF_A_WORKER = 3_000
_FIRST_PORT = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw3")[2:]) % 4 * _PORTS_OF_A_WORKER
_steps = itertools.count(os.getpid())


def free_port() -> int:
    """Return a port below the range from which outgoing connections take theirs.

    Whoever asked before may not listen yet, so none is given twice, and each process of the suite has its own range.
    """
    for step in itertools.islice(_steps, _PORTS_OF_A_WORKER):
        port = _FIRST_PORT + step % _PORTS_OF_A_WORKER
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


@dataclass
class Served:
    """A gateway's process, where it listens, and its data folder."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator does, and return its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=30)


def start(data: Path, *arguments: str, port: int | None = None) -> Served:
    """Start `kommunebro serve`, and return when it is ready."""
    port = port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    with (data / "serve.log").open("ab") as output:
        process = subprocess.Popen(
            [KOMMUNEBRO, "serve", "--data", str(data), "--port", str(port), *arguments],
            stdout=output, stderr=output, env=ENVIRONMENT,
        )  # fmt: skip
    served = Served(process, f"http://127.0.0.1:{port}", data)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{served.url}/readyz", timeout=5).status_code == 200:
                return served
        except httpx.HTTPError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"The gateway did not start:\n{(data / 'serve.log').read_text()[-3000:]}")


@contextmanager
def serving(data: Path, *arguments: str, port: int | None = None) -> Iterator[Served]:
    """Run a gateway, and end it."""
    served = start(data, *arguments, port=port)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.terminate()
            try:
                served.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                served.kill()


def bearer(data: Path, participant: str, *roles: str) -> dict[str, str]:
    """Return the headers of a client, with a token as the command makes it; a process for each would take a second."""
    token = make_token(data / "instance.keys", participant=participant, roles=list(map(Role, roles)), ttl_s=86_400)
    return {"Authorization": f"Bearer {token}"}


def replayed(served: Served, **filters: str) -> list[dict[str, Any]]:
    """Return the log's records, as an auditor gets them."""
    headers = bearer(served.data, "auditor", "auditor")
    answer = httpx.get(f"{served.url}/v1/audit/records", params=filters, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def load_alliances(served: Served) -> None:
    """Give a gateway the agreements that ship with it, as the command does; a process for it would take a second."""
    operator = bearer(served.data, "drift", "operator")["Authorization"].removeprefix("Bearer ")
    with Client(served.url, operator) as client:
        for agreement in packaged_agreements():
            put(client, agreement)
