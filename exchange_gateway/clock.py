"""What time it is. Handed down, so that tests can turn the clock."""

import time


class Clock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Return UTC microseconds since 1970."""
        return time.time_ns() // 1000


class HandTurnedClock(Clock):
    """A clock for tests: it stands still until somebody turns it."""

    def __init__(self, now_us: int = 1_795_000_000_000_000) -> None:
        self.us = now_us

    def now_us(self) -> int:
        """Return what it was turned to."""
        return self.us
