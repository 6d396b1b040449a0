"""Server-Sent Events, read from pieces as they arrive (WHATWG HTML, section 9.2.6). Pure."""

from typing import NamedTuple

from kommunebro.core.lines import Lines
from kommunebro.errors import GatewayUnavailable

EVENT_BYTES_MAX = 64 * 1024 * 1024
"""An event without an end is given up; the gateway's are 256 KiB, unless its operator raised that."""

RETRY_MS_MAX = 60_000
"""The longest that a server's wish to be left alone is obeyed."""


class ServerSent(NamedTuple):
    """One event. id: the last that was named, by this event or an earlier one."""

    id: str
    event: str
    data: str


class Decoder:
    """Takes pieces, cut anywhere, and gives the events that they complete.

    last_id: where to go on from. retry_ms: how long the server wants a client to wait; None while it has not said.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._lines, self._after_cr, self._began = Lines(), False, False
        self._event, self._data, self._size, self._id = "", list[str](), 0, last_id

    def reconnect(self) -> None:
        """Forget what was half read: a new answer begins, behind the last event that was whole."""
        self._lines, self._after_cr, self._began = Lines(), False, False
        self._event, self._data, self._size, self._id = "", [], 0, self.last_id

    def feed(self, piece: bytes) -> list[ServerSent]:
        """Return the events that a piece completes. Raises `GatewayUnavailable` for one that is far too large."""
        if self._after_cr and piece.startswith(b"\n"):
            piece, self._after_cr = piece[1:], False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        lines = self._lines.feed(piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        if self._size + self._lines.size > EVENT_BYTES_MAX:
            raise GatewayUnavailable(f"The stream holds an event of more than {EVENT_BYTES_MAX} bytes.")
        events = []
        for line in lines:
            event = self._line(line)
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: bytes) -> ServerSent | None:
        if not self._began:
            self._began, line = True, line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        match name:
            case b"event":
                self._event = text
            case b"data":
                self._data.append(text)
                self._size += len(value)
            case b"id" if "\0" not in text:
                self._id = text
            case b"retry" if text.isascii() and text.isdigit():
                self.retry_ms = min(int(text[:12]), RETRY_MS_MAX)
        return None

    def _dispatch(self) -> ServerSent | None:
        self.last_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data, self._size = "", [], 0
        return ServerSent(self.last_id, event, "\n".join(data)) if data else None
