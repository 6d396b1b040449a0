"""Lines of a body that arrives in pieces. Pure."""

from kommunebro.errors import GatewayUnavailable

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A line without an end is given up; the gateway's are 256 KiB and a little, unless its operator raised that."""


class Lines:
    """Takes pieces, cut anywhere, and gives the lines that they complete.

    size: bytes that are kept of a line whose end has not come. They are put together once, when it does, so that a long
    line costs no more than its length.
    """

    def __init__(self) -> None:
        self.size = 0
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in a piece, without their ends. Raises `GatewayUnavailable` for one without end."""
        first, *more = piece.split(b"\n")
        self._rest.append(first)
        if more:
            lines = [b"".join(self._rest), *more[:-1]]
            self._rest, self.size = [more[-1]], len(more[-1])
        else:
            lines = []
            self.size += len(first)
        if self.size > LINE_BYTES_MAX:
            raise GatewayUnavailable(f"The answer holds a line of more than {LINE_BYTES_MAX} bytes.")
        return lines

    @property
    def whole(self) -> bool:
        """Whether nothing is left of a line that did not end."""
        return self.size == 0
