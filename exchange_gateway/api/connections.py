"""How many connections there are, and what becomes of those on which nothing happens.

A connection is idle from when it is opened, or its last answer is sent, until a request's head is here whole. Idle
ones are closed after a while, whatever trickles in on them, and make room when a newcomer finds no place: first those
on which nothing was asked for a second, the oldest first. So whoever opens thousands and leaves them keeps nobody out.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import orjson

from exchange_gateway.problems import Problem
from exchange_gateway.settings import Limits
from exchange_gateway.telemetry import Seldom, log_event

SWEEP_S = 1.0
RESERVED_FILES = 200
"""Files that a gateway needs beside its connections: the log's, its read models', Kafka's."""

YOUNG_S = 1.0
"""A client that asked nothing for so long leaves before those that did."""

LAST_TURNS = 3
"""Turns of the loop that a connection still has when it makes room. In a rush hundreds are taken in one turn, and what
lies there for the first of them is read in the next; more turns would keep more files open than there may be."""

RETRY_AFTER_S = 5
CALM = 0.8
"""Below this part of what it takes the gateway is no longer full, and the next time is told again."""

ANSWERS_BYTES_MAX = 48 * 1024 * 1024
ANSWER_BYTES_MIN = 64 * 1024

_FULL = "More connections are open than are taken, and each has a request under way."


class Connection(Protocol):
    """What can be closed."""

    @abstractmethod
    def give_up(self) -> None:
        """Close it; nothing is under way on it."""


class Connections:
    """All connections of a gateway. open_files: how many files its process may have open; None for any number."""

    def __init__(self, limits: Limits, open_files: int | None = None) -> None:
        self._limits = limits
        self._max = limits.connections_max
        if open_files is not None and open_files - RESERVED_FILES < self._max:
            self._max = max(1, open_files - RESERVED_FILES)
            log_event(
                "open_files_limited", "warning", open_files=open_files, connections=self._max,
                detail=f"Fewer connections are taken than limits.connections_max says ({limits.connections_max}); "
                "raise the process's limit of open files (ulimit -n, LimitNOFILE).",
            )  # fmt: skip
        self._open: set[Connection] = set()
        self._unproven: dict[Connection, float] = {}
        self._idle: dict[Connection, float] = {}
        self._leaving: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_full = False
        self._long = 0
        self._refusals, self._cuts = Seldom("places_taken"), Seldom("client_cut_off")
        self.slow_s_max = limits.slow_s_max
        self.answers = AnswerRoom()

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def opened(self, connection: Connection) -> Problem | None:
        """Take in a new connection, in the place of the oldest idle one if there is no other; or say why not."""
        if not self._has_room():
            return Problem("too-many-connections", _FULL, headers={"Retry-After": str(RETRY_AFTER_S)})
        self._open.add(connection)
        self._rests(connection, self._unproven)
        return None

    def _has_room(self) -> bool:
        """Return whether there is a place, after the oldest idle connection was told to leave if there was none."""
        if len(self._open) < self._max:
            return True
        self._tell_full()
        oldest = self._oldest()
        if oldest is None:
            return False
        self.closed(oldest)
        self._leaving.add(oldest)
        self._leave(oldest, LAST_TURNS)
        return True

    def _oldest(self) -> Connection | None:
        """Return who leaves first: who never asked, for a second or longer; else who rests the longest."""
        unproven, idle = (next(iter(among.items()), None) for among in (self._unproven, self._idle))
        if unproven is None or idle is None:
            only = unproven or idle
            return only and only[0]
        grown_s = asyncio.get_running_loop().time() - YOUNG_S
        return unproven[0] if unproven[1] <= max(grown_s, idle[1]) else idle[0]

    def _leave(self, connection: Connection, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._leave, connection, turns - 1)
        elif connection in self._leaving:
            self._leaving.discard(connection)
            connection.give_up()

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            log_event(
                "connections_exhausted", "warning", open=len(self._open), idle=len(self._unproven) + len(self._idle),
                detail="All places are taken: idle connections are closed for new ones, and where each has a request "
                "under way new ones get 503. Find out who opens them and leaves them, or raise limits.connections_max.",
            )  # fmt: skip

    def idle(self, connection: Connection) -> None:
        """Take note that an answer was sent and nothing is under way on a connection."""
        if connection in self._open:
            self._rests(connection, self._idle)

    def _rests(self, connection: Connection, among: dict[Connection, float]) -> None:
        loop = asyncio.get_running_loop()
        among[connection] = loop.time()
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_S, self._close_the_oldest)

    def busy(self, connection: Connection) -> None:
        """Take note of a request. One that was leaving stays if another can leave in its place."""
        self._unproven.pop(connection, None)
        self._idle.pop(connection, None)
        if connection in self._leaving and self._has_room():
            self._leaving.discard(connection)
            self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        for among in (self._unproven, self._idle):
            among.pop(connection, None)
        self._leaving.discard(connection)
        self._open.discard(connection)
        if self._is_full and len(self._open) < self._max * CALM:
            self._is_full = False

    def _close_the_oldest(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() - self._limits.idle_s_max
        for among in (self._unproven, self._idle):
            while among:
                connection, since_s = next(iter(among.items()))
                if since_s > due_s:
                    break
                self.closed(connection)
                connection.give_up()
        some = self._unproven or self._idle
        self._sweep = loop.call_later(SWEEP_S, self._close_the_oldest) if some else None

    def tell_cut_off(self, waiting_bytes: int) -> None:
        """Take note of a client that did not take its answer."""
        self._cuts.tell(
            waiting_bytes=waiting_bytes,
            detail=f"A client took less than 64 KiB of its answer in {self.slow_s_max:g} s (limits.slow_s_max), and "
            "its connection was cut. Nothing is lost: a subscriber goes on from its last event or cursor.",
        )

    def require_place(self) -> None:
        """Raise `Problem` where as many streams and long polls are open as there may be."""
        if self._long >= self._limits.open_max:
            self._refusals.tell(
                open=self._long,
                detail="All places of streams and long polls are taken, and more get 503. Find out who opens them and "
                "leaves them, add a gateway, or raise limits.open_max.",
            )
            detail = f"{self._long} streams and long polls are open at this gateway, which are all that it takes."
            raise Problem("too-many-connections", detail, headers={"Retry-After": str(RETRY_AFTER_S)})

    @contextmanager
    def long_request(self) -> Iterator[None]:
        """Count a stream or a long poll while it is open."""
        self._long += 1
        try:
            yield
        finally:
            self._long -= 1


class AnswerRoom:
    """How much of large answers may wait for their clients at once: the fuller it is, the smaller is the next."""

    def __init__(self, bytes_max: int = ANSWERS_BYTES_MAX) -> None:
        self._bytes_max, self._held = bytes_max, 0

    @contextmanager
    def reserved(self, most: int) -> Iterator[int]:
        """Give the size that an answer may have, at most `most`, and hold it while it is made."""
        size = min(most, max(ANSWER_BYTES_MIN, (self._bytes_max - self._held) // 8))
        # One of few sizes: hundreds who ask for the same at once are then given the same.
        size = 1 << size.bit_length() - 1
        with self.held(size):
            yield size

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count an answer while it is sent."""
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def refusal(problem: Problem) -> bytes:
    """Return a whole answer that ends a connection before anything was asked."""
    body = orjson.dumps(problem.body())
    headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    head = (
        f"HTTP/1.1 {problem.type.status} {problem.type.title}\r\ncontent-type: application/problem+json\r\n{headers}"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
