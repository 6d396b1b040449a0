"""Subscribers that cost far less than the gateway: hundreds of streams and long polls in one process, each checked.

They do not parse events: they look for this run's ids in what comes, about 2 µs an event.
"""

import asyncio
import re
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from bench.connection import Answer, Connection, Pool
from bench.events import Head, Template
from bench.tally import CountsWrong

OPEN_TIMEOUT_S = 60.0
OPENING_AT_ONCE = 50
POLL_WAIT_S = 30
POLL_EVENTS = 1000
PATH = "/v1/subscriptions"
_CURSOR = re.compile(rb'"cursor":"([^"]*)"')


class Arrivals:
    """When each of a run's events came to each subscriber, and in which order.

    due: when each was to be published, by `perf_counter`. sequences: the events' numbers as they came.
    """

    def __init__(self, template: Template, events: int) -> None:
        self.due = array("d", bytes(8 * events))
        self.seconds = array("d")
        self._find = re.compile(b'"id":"%b([0-9]{12})"' % template.ident(0)[:-12]).findall
        self._counts: dict[str, bytearray] = {}
        self.sequences: dict[str, array[int]] = {}

    def expect(self, subscriber: str) -> None:
        """Count on a subscriber, who shall have each event once."""
        self._counts[subscriber] = bytearray(len(self.due))
        self.sequences[subscriber] = array("I")

    def came(self, subscriber: str, received: bytes) -> None:
        """Take note of the events in what a subscriber received."""
        now, counts = time.perf_counter(), self._counts[subscriber]
        numbers = [int(found) for found in self._find(received)]
        self.sequences[subscriber].extend(numbers)
        for number in numbers:
            counts[number] += 1
            self.seconds.append(now - self.due[number])

    def forget_times(self) -> None:
        """Leave out of the times what came until now; it still counts."""
        self.seconds = array("d")

    def missing(self, events: int | None = None) -> int:
        """Return how many arrivals are still to come of all events, or of the first ones."""
        return sum(counts[:events].count(0) for counts in self._counts.values())

    def check(self) -> None:
        """Raise `CountsWrong` unless each subscriber had each event exactly once."""
        expected = len(self._counts) * len(self.due)
        once = sum(counts.count(1) for counts in self._counts.values())
        if once != expected:
            missing = self.missing()
            raise CountsWrong(
                f"Of {expected} arrivals {missing} are missing, and {expected - once - missing} came more than once."
            )


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, what its subscriber's requests begin with, and the cursor that it began with."""

    ident: str
    head: Head
    start: str = ""

    def stream(self, last_id: str = "") -> bytes:
        """Return the request for its stream."""
        return self.head.get(f"{PATH}/{self.ident}/stream", f"Last-Event-ID: {last_id}\r\n" if last_id else "")

    def pull(self, after: str = "", *, limit: int = POLL_EVENTS, wait_s: float = POLL_WAIT_S) -> bytes:
        """Return the request for what comes next."""
        more = f"&after={after}" if after else ""
        return self.head.get(f"{PATH}/{self.ident}/events?limit={limit}&wait={wait_s:g}{more}")

    def commit(self, cursor: str) -> bytes:
        """Return the request that commits a cursor."""
        return self.head.post_json(f"{PATH}/{self.ident}/cursor", {"cursor": cursor})


async def subscribe(head: Head, count: int, **wishes: object) -> list[Subscription]:
    """Make subscriptions. Raises `CountsWrong` when one is refused."""
    request = head.post_json(PATH, {"name": "Bench", "start": "latest", **wishes})
    async with Pool(head.port, 8) as pool:
        answers = await asyncio.gather(*(pool.ask(request) for _ in range(count)))
    for answer in answers:
        if answer.status != 201:
            raise CountsWrong(f"A subscription was refused: {answer.status} {answer.body[:300]!r}")
    made = [orjson.loads(answer.body) for answer in answers]
    return [Subscription(one["id"], head, one["cursor"]) for one in made]


class Stream(asyncio.Protocol):
    """One open stream. opened: done when its first bytes are here, with False where it was refused or closed."""

    def __init__(self, name: str, request: bytes, arrivals: Arrivals) -> None:
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self.last_id = ""
        self.heard_s = time.perf_counter()
        self._name, self._request, self._arrivals = name, request, arrivals
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take note of every event that is whole; an answer's frames lie between them."""
        self.heard_s = time.perf_counter()
        received = self._rest + data if self._rest else data
        # The last line break is kept, so that the next event's first line has one before it.
        end = received.rfind(b"\n\n") + 1
        if not end:
            self._rest = received
            return
        whole, self._rest = received[:end], received[end:]
        if not self.opened.done():
            self.opened.set_result(whole.startswith(b"HTTP/1.1 200 "))
        begin = whole.rfind(b"\nid: ") + 5
        if begin >= 5:
            self.last_id = whole[begin : whole.index(b"\n", begin)].decode()
            self._arrivals.came(self._name, whole)

    def connection_lost(self, error: Exception | None) -> None:
        """Say so."""
        del error
        self.lost.set()
        if not self.opened.done():
            self.opened.set_result(False)

    def close(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.close()


async def open_stream(port: int, name: str, request: bytes, arrivals: Arrivals) -> Stream | None:
    """Open a stream and return it when its first bytes are here; None where there is no server, or it refuses."""
    try:
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: Stream(name, request, arrivals), "127.0.0.1", port
        )
    except OSError:
        return None
    is_open = False
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            is_open = await stream.opened
    finally:
        if not is_open:
            stream.close()
    return stream if is_open else None


async def open_streams(subscriptions: Sequence[Subscription], arrivals: Arrivals) -> list[Stream]:
    """Open a stream for each subscription. Raises `CountsWrong` when one cannot be had."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(number: int, subscription: Subscription) -> Stream:
        name = f"stream {number}"
        arrivals.expect(name)
        async with gate:
            stream = await open_stream(subscription.head.port, name, subscription.stream(), arrivals)
        if stream is None:
            raise CountsWrong(f"The {number}th stream was refused.")
        return stream

    return list(await asyncio.gather(*(one(*each) for each in enumerate(subscriptions))))


class Poller:
    """One who pulls with a long poll, and again from where the answer ended."""

    def __init__(self, name: str, subscription: Subscription, arrivals: Arrivals) -> None:
        self._name, self._subscription, self._arrivals = name, subscription, arrivals
        self._connection: Connection | None = None
        self.refused: Answer | None = None
        self.answers = 0
        arrivals.expect(name)

    async def open(self) -> None:
        """Connect, and ask."""
        loop = asyncio.get_running_loop()
        port = self._subscription.head.port
        _, self._connection = await loop.create_connection(
            lambda: Connection(self._answered, lambda: None), "127.0.0.1", port
        )
        self._connection.send(self._subscription.pull())

    def _answered(self, connection: Connection, answer: Answer) -> None:
        cursor = _CURSOR.search(answer.body)
        if answer.status != 200 or cursor is None:
            self.refused = answer
            return
        self.answers += 1
        connection.send(self._subscription.pull(cursor[1].decode()))
        self._arrivals.came(self._name, answer.body)

    def close(self) -> None:
        """Let go of the socket."""
        if self._connection is not None:
            self._connection.close()


async def open_pollers(subscriptions: Sequence[Subscription], arrivals: Arrivals) -> list[Poller]:
    """Have somebody pull for each subscription."""
    pollers = [Poller(f"poll {number}", one, arrivals) for number, one in enumerate(subscriptions)]
    for begin in range(0, len(pollers), OPENING_AT_ONCE):
        await asyncio.gather(*(poller.open() for poller in pollers[begin : begin + OPENING_AT_ONCE]))
    return pollers
