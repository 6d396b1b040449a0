"""Lines of a body that arrives in pieces. Pure."""


class Lines:
    """Takes pieces, cut anywhere, and gives the lines that they complete."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in a piece, without their ends."""
        first, *more = piece.split(b"\n")
        self._rest.append(first)
        if not more:
            return []
        lines = [b"".join(self._rest), *more[:-1]]
        self._rest = [more[-1]]
        return lines

    @property
    def whole(self) -> bool:
        """Whether nothing is left of a line that did not end."""
        return not any(self._rest)
