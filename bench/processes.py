"""Servers under test as processes of their own: started, awaited, measured through /proc, stopped."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_PORTS = range(20_000, 32_000)
"""Below 32768, where an outgoing connection could take the port first."""


class ServerFailed(Exception):
    """A server did not start, or ended by itself. Its own output says why."""

    def __init__(self, name: str, output: str) -> None:
        super().__init__(f"{name} did not come up. Its last output:\n{output}")
        self.name, self.output = name, output


def free_port() -> int:
    """Return a port that nobody listens on now."""
    start = os.getpid() * 37 % len(_PORTS)
    for step in range(len(_PORTS)):
        port = _PORTS[(start + step * 7) % len(_PORTS)]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise ServerFailed("A server", "No port between 20000 and 32000 is free.")


class Server:
    """One process, alive between entering and leaving. port: where it says on /readyz that it is ready, or None."""

    def __init__(self, name: str, command: Sequence[str], output: Path, port: int | None = None) -> None:
        self.name, self._command, self._output, self.port = name, list(command), output, port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, start_new_session=True)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        if self._process is None:
            raise ServerFailed(self.name, "It was not started.")
        return self._process.pid

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.port is not None and not _answers(self.port):
            if time.monotonic() > deadline or self.ended():
                raise ServerFailed(self.name, self.last_output())
            time.sleep(0.05)

    def ended(self) -> bool:
        """Whether it isn't running any more."""
        return self._process is None or self._process.poll() is not None

    def last_output(self) -> str:
        """Return the end of what it printed."""
        return self._output.read_bytes()[-2000:].decode(errors="replace")

    def stop(self) -> None:
        """End it, politely first."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def rss_bytes(self) -> int:
        """Return its resident memory now."""
        return _status_kib(self.pid, "VmRSS") * 1024

    def peak_rss_bytes(self) -> int:
        """Return the most resident memory that it ever had."""
        return _status_kib(self.pid, "VmHWM") * 1024

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
