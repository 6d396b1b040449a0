"""Who listens while faults are made: hundreds of streams that connect again by themselves, and one who publishes.

What each stream brought is held against the topic itself, as an auditor reads it: nothing lost, nothing twice, and in
the topic's order, or it is not the same list.
"""

import asyncio
import json
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import httpx

from bench.events import Head, Template
from bench.ground import new_run
from bench.subscribers import Arrivals, Stream, Subscription, open_stream, subscribe
from tests.processes import Served, bearer, replayed

PUBLISHER, PARTNER = "0671", "0657"
SUBSCRIPTIONS = 20
AGAIN_S = 0.2
TOPIC = "alliance.vestalliancen.job-order"


def port_of(served: Served) -> int:
    """Return where a gateway listens."""
    return int(served.url.rpartition(":")[2])


def head_for(served: Served, participant: str = PARTNER, *roles: str) -> Head:
    """Return what a participant's requests begin with; a reader's unless told otherwise."""
    return Head(port_of(served), bearer(served.data, participant, *(roles or ("reader",)))["Authorization"][7:])


class Source:
    """One who publishes in batches, and sends again whatever was not acknowledged, to whichever gateway answers."""

    def __init__(self, data: Path, ports: Sequence[int], events: int) -> None:
        self.template, self.events = Template(new_run(), PUBLISHER), events
        self._ports = ports
        self._headers = {**bearer(data, PUBLISHER, "publisher"), "Content-Type": "application/x-ndjson"}
        self.statuses: list[int] = []
        self.without_retry_after = 0

    async def publish(
        self,
        per_s: float,
        batch: int = 10,
        *,
        begin: int = 0,
        events: int | None = None,
        due: "array[float] | None" = None,
    ) -> None:
        """Publish all events, or so many from one on, in their order, about so many a second.

        due: where to write when each was sent first.
        """
        async with httpx.AsyncClient(headers=self._headers, timeout=20) as client:
            for first in range(begin, begin + events if events else self.events, batch):
                began = time.monotonic()
                if due is not None:
                    due[first : first + batch] = array("d", [time.perf_counter()] * batch)
                body = b"\n".join(self.template.event(number) for number in range(first, first + batch))
                turn = first // batch
                while not await self._sent(client, self._ports[turn % len(self._ports)], body):
                    turn += 1
                    await asyncio.sleep(AGAIN_S)
                await asyncio.sleep(max(0.0, batch / per_s - (time.monotonic() - began)))

    async def _sent(self, client: httpx.AsyncClient, port: int, body: bytes) -> bool:
        try:
            answer = await client.post(f"http://127.0.0.1:{port}/v1/events", content=body)
        except httpx.HTTPError:
            return False
        self.statuses.append(answer.status_code)
        return answer.status_code == 200

    def number_of(self, ident: str) -> int:
        """Return an event's number by its id."""
        return int(ident[-12:])


class Listener:
    """One stream's client as the standard asks: it connects again by itself, and goes on from its last event."""

    def __init__(self, name: str, ports: Sequence[int], subscription: Subscription, arrivals: Arrivals) -> None:
        self.name, self.connections = name, 0
        self._ports, self._subscription, self._arrivals = ports, subscription, arrivals
        self._last_id = ""
        self.stream: Stream | None = None
        self.longest_silence_s = 0.0
        arrivals.expect(name)

    async def run(self) -> None:
        """Listen until cancelled."""
        turn = 0
        while True:
            port = self._ports[turn % len(self._ports)]
            turn += 1
            request = self._subscription.stream(self._last_id)
            self.stream = stream = await open_stream(port, self.name, request, self._arrivals)
            if stream is not None:
                self.connections += 1
                await stream.lost.wait()
                self._last_id = stream.last_id or self._last_id
            await asyncio.sleep(AGAIN_S)

    def close(self) -> None:
        """Let go of the socket."""
        if self.stream is not None:
            self.stream.close()


class Audience:
    """So many listeners, on a handful of subscriptions of one partner."""

    def __init__(self, ports: Sequence[int], source: Source) -> None:
        self._ports, self.source = ports, source
        self.arrivals = Arrivals(source.template, source.events)
        self.listeners: list[Listener] = []
        self.subscriptions: list[Subscription] = []
        self.first_id = ""
        """The cursor at which the first subscription begins."""
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, head: Head, listeners: int) -> None:
        """Subscribe, and return when each listener is connected."""
        self.subscriptions = await subscribe(head, min(SUBSCRIPTIONS, listeners))
        for number in range(listeners):
            subscription = self.subscriptions[number % len(self.subscriptions)]
            self.listeners.append(Listener(f"listener {number}", self._ports, subscription, self.arrivals))
        self.first_id = self.subscriptions[0].start
        self._tasks = [asyncio.create_task(listener.run()) for listener in self.listeners]
        while any(listener.stream is None for listener in self.listeners):  # noqa: ASYNC110  # no event for all
            await asyncio.sleep(0.05)

    async def has_all(self, timeout_s: float, events: int | None = None) -> None:
        """Return when every listener has every event, or the first ones, or after a while."""
        deadline = time.monotonic() + timeout_s
        while self.arrivals.missing(events) and time.monotonic() < deadline:  # noqa: ASYNC110  # no event for all
            await asyncio.sleep(0.1)
        # What came twice would come now.
        await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self.listeners:
            listener.close()
        # The event loop closes a socket in its next round.
        await asyncio.sleep(0.05)

    def wrong(self, served: Served) -> list[str]:
        """Return whose list is not the topic's, and how; empty when all are."""
        records = replayed(served, topic=TOPIC)
        topic = [self.source.number_of(record["event"]["id"]) for record in records]
        wrong = [] if sorted(topic) == list(range(self.source.events)) else [f"the topic holds {len(topic)} events"]
        for name, sequence in self.arrivals.sequences.items():
            if list(sequence) != topic:
                missing, twice = set(topic) - set(sequence), len(sequence) - len(set(sequence))
                wrong.append(f"{name}: {len(missing)} missing, {twice} twice, of {len(topic)}")
        return wrong


def log_lines(served: Served, *names: str) -> list[dict[str, object]]:
    """Return the lines that a gateway logged: those with the names, or all."""
    lines = (served.data / "serve.log").read_text("utf-8").splitlines()
    told = (json.loads(line) for line in lines if line.startswith("{"))
    return [line for line in told if not names or line["event"] in names]
