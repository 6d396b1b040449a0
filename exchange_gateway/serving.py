"""Listening on an address, and serving HTTP there."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn

from exchange_gateway.settings import Settings

SHUTDOWN_S = 10
UNSENT_BYTES_MAX = 256 * 1024
"""What the system holds for a client beside what is on its way."""


class PortInUse(Exception):
    """The address to listen on cannot be had."""


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a listening socket. option: how another port is chosen. Raises `PortInUse`."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise PortInUse(
            f"Cannot listen on {host} port {port}: {error.strerror}. Another program may be using it; "
            f"stop that one, or choose another with {option}."
        ) from None
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Else the system keeps megabytes for each client that does not read, and we never hear that it does not.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
    return listening


def address_of(listening: socket.socket) -> str:
    """Return where a socket listens, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn without its own handling of signals, which ends the process by the signal and not with status 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    def stop(self) -> None:
        """Finish what is under way, then return from `serve`; asked twice, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def server_config(
    app: Callable[..., Awaitable[None]], protocol: type[asyncio.Protocol], settings: Settings
) -> uvicorn.Config:
    """Return how uvicorn is to serve `app`. protocol: what speaks HTTP on a connection."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.limits.idle_s_max,  # type: ignore[arg-type]  # it is handed to the loop as it is
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=1024,
    )
