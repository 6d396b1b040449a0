"""The hot route's shortest way: an event that has come whole is taken in where its last byte was read.

uvicorn starts a task for each request, and the task awaits its way through a dozen coroutines: for one event a
request that costs more than all checks together. So a request that is usual in every way (one structured event that
came in one piece, on a connection with nothing else under way) is handed to `Direct.submit` before a task is started
for it. What that does not take goes the ordinary way from its beginning, so nothing is decided here: not who may
publish, not what is right, and not one word of an error.
"""

import asyncio
import re
import socket
import struct
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from exchange_gateway.api.connections import Connections, refusal

SEND, REPLY = "kommunebro.send", "kommunebro.reply"
"""In a request's scope: the way to its client that no framework wraps, and that of a whole answer (`Reply`)."""

HEAD_BYTES_MAX = 128 * 1024
"""A request's line and headers; a cursor of 64 KiB can stand in either."""

HELD_BYTES_MAX = 16 * 1024
"""What is held for a client beside what the system holds, before whoever writes has to wait."""

TAKEN_BYTES_MIN = 64 * 1024
"""What a client must take within `limits.slow_s_max`."""

Scope = dict[str, Any]
Application = Callable[..., Any]


_UPGRADE = re.compile(rb"^upgrade:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
_HEAD_ENDS = b"\r\n\r\n"


def without_http2(data: bytes) -> bytes:
    """Take the offer to go on in HTTP/2 (`Upgrade: h2c`) out of a request's head; `data` begins with one.

    A server may pass over it. Java's client makes it with each first request, and the parser would take the request's
    body for something in the other protocol.
    """
    head, ends, body = data.partition(_HEAD_ENDS)
    if not ends or b"h2c" not in head:
        return data
    return _UPGRADE.sub(b"", head + b"\r\n") + b"\r\n" + body


class Reply:
    """Where the answer to one request goes: it is called once, when there is one."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: "DirectProtocol", cycle: Any) -> None:
        self._protocol, self._cycle = protocol, cycle

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """Send an answer. headers: whole lines, without the body's length."""
        self._protocol.send_direct(self._cycle, status, headers, body)

    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return bool(self._cycle.disconnected)

    @property
    def waits(self) -> bool:
        """Whether more waits for the client already than is held for it."""
        return self._protocol.flow.write_paused

    def hand_over(self, application: Application) -> None:
        """Have an ASGI application answer: for what is not usual after all."""
        self._protocol.start(self._cycle, application)


class Direct(Protocol):
    """An ASGI application that can take some requests without a task."""

    connections: Connections

    @abstractmethod
    def is_direct(self, scope: Scope) -> bool:
        """Tell by a request's path and method whether it is worth trying."""

    @abstractmethod
    def submit(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Take a whole request, and send its answer when there is one; or return False and do nothing."""


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's protocol; a request that is whole when it is read is offered to the application first."""

    _held: Any = None
    """The request whose task is not started yet: between its last header and its last byte."""

    _head_bytes = 0
    """How much came since the last request's head was whole."""

    _cutting: asyncio.TimerHandle | None = None
    """Looks whether a client takes what waits for it; set while too much waits."""

    @property
    def _application(self) -> Direct:
        return cast("Direct", self.app)

    def connection_made(self, transport: Any) -> None:
        """Take a place, or answer that there is none."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=HELD_BYTES_MAX)
        refused = self._application.connections.opened(self)
        if refused is not None:
            transport.write(refusal(refused))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._application.connections.closed(self)
        self.resume_writing()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close an idle connection."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read on. What is not whole after one piece goes the ordinary way, with its limits in size and time."""
        self._head_bytes += len(data)
        # A substring is looked for in nanoseconds, and whoever means HTTP/2 begins with a request.
        if b"h2c" in data and (self.cycle is None or not self.cycle.more_body):
            data = without_http2(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES_MAX and self._is_between_requests:
            self.transport.abort()
        self._start_held()

    def _start_held(self) -> None:
        if self._held is not None:
            cycle, self._held = self._held, None
            self.start(cycle, self.app)

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def on_headers_complete(self) -> None:
        """Begin a request, which has a limit of its own for its body."""
        self._head_bytes = 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or be idle."""
        super().on_response_complete()
        # One that waited behind another and has not come whole: nothing may follow that would start it.
        self._start_held()
        # What came since the head was the request's body, which has its own limit.
        self._head_bytes = 0
        if self._is_between_requests:
            self._application.connections.idle(self)

    def pause_writing(self) -> None:
        """Give a client some time to take what waits for it."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Write on."""
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None
        super().resume_writing()

    def _watch(self, waiting_bytes: int) -> None:
        seconds = self._application.connections.slow_s_max
        self._cutting = self.loop.call_later(seconds, self._cut_off, waiting_bytes)

    def _cut_off(self, before_bytes: int) -> None:
        waiting_bytes = self.transport.get_write_buffer_size()
        if before_bytes - waiting_bytes >= TAKEN_BYTES_MIN:
            self._watch(waiting_bytes)
            return
        self._cutting = None
        self._application.connections.tell_cut_off(waiting_bytes)
        # Else the system would hold what it has for as long as the client goes on reading a byte a second.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _start_asgi_task(self, cycle: Any, app: Application) -> None:
        self._application.connections.busy(self)
        if (
            app is self.app
            and cycle.more_body
            and cycle.keep_alive
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
            and self._application.is_direct(cycle.scope)
        ):
            self._held = cycle
        else:
            self.start(cycle, app)

    def on_message_complete(self) -> None:
        """Offer a request that is whole to the application, or start its task."""
        super().on_message_complete()
        if self._held is not None:
            cycle, self._held = self._held, None
            if not self._application.submit(cycle.scope, bytes(cycle.body), Reply(self, cycle)):
                self.start(cycle, self.app)

    def start(self, cycle: Any, application: Application) -> None:
        """Start a request's task."""
        cycle.scope[REPLY] = Reply(self, cycle)
        super()._start_asgi_task(cycle, application)

    def send_direct(self, cycle: Any, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole answer at once, and go on as after any other."""
        # Also where nobody is there any more: who began the answer in a task would be told that it never did.
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += (name, b": ", value, b"\r\n")
        # A server that shuts down takes this away while the answer is awaited.
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        head += (headers, closing, b"content-length: %d\r\n\r\n" % len(body), body)
        self.transport.write(b"".join(head))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
