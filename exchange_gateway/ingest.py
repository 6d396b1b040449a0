"""The one door in, for HTTP and later the native door: access, schema, duplicate, append.

A batch is handled in two halves: `examine` decides, without waiting for anything, what each event is;
`publish` then appends the new ones and waits until they are durable.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from broker_adapters.codec import encode_published
from broker_adapters.log import Log, LogError, NewRecord, OffsetOutOfRange, Record
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal, may_publish
from exchange_gateway.known_events import Known, KnownEvents, known_key
from exchange_gateway.log_problems import problem_of_log
from exchange_gateway.problems import Problem
from exchange_gateway.settings import Limits
from exchange_gateway.telemetry import Metrics, log_event
from schemas import strict_json
from schemas.event import Event, InvalidEvent, digest, format_time
from schemas.identifiers import pub_topic
from schemas.registry import Registry


class Accepted(NamedTuple):
    """The event is durable at this place; `duplicate`: it was there before."""

    event_id: str
    source: str
    topic: str
    offset: int
    duplicate: bool


class Refused(NamedTuple):
    """The event was not taken, or nobody knows (`log-unavailable`)."""

    event_id: str | None
    problem: Problem


Outcome = Accepted | Refused
Appended = dict[str, Problem | dict[int, int]]
"""What became of each topic's append: the offset of each key, or why not."""


class Checked(NamedTuple):
    """An event that may be published, as it will be stored, and what tells whether it is new.

    The parsed event is let go of here: thousands wait for the log at once, and while they keep their parsed
    data each new one is read into memory that no cache holds, which made it twice as slow.
    """

    event_id: str
    source: str
    name: str
    topic: str
    key: int
    digest: int
    record: NewRecord


class Arrival(NamedTuple):
    """One event as it came: its JSON text, or what was parsed from a batch or from headers."""

    raw: bytes | None = None
    parsed: Event | Problem | None = None
    event_id: str | None = None


class Now(NamedTuple):
    """The instant of a request: as it is recorded, and the latest `time` (UTC µs) that an event may have then."""

    recorded_time: str
    latest_us: int


@dataclass(slots=True)
class _Creation:
    """A topic that is being created, and how many appends wait for it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    done: bool = False


class Ingest:
    """Takes events in. One instance a gateway; its methods belong to the event loop's thread."""

    def __init__(
        self,
        log: Log,
        registry: Registry,
        known: KnownEvents,
        *,
        digest_key: bytes,
        limits: Limits,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._log, self._registry, self._known = log, registry, known
        self._digest_key, self._limits, self._clock, self._metrics = digest_key, limits, clock, metrics
        self._under_way: dict[int, asyncio.Future[Known | Problem]] = {}
        self._topics: set[str] = set()
        self._uncertain: set[str] = set()
        self._catching_up = asyncio.Lock()
        self._creating: dict[str, _Creation] = {}

    # --- deciding -------------------------------------------------------------------------------

    def examine(self, principal: Principal, arrival: Arrival, now: Now) -> Checked | Refused:
        """Decide whether an event may be published; waits for nothing."""
        event_id = arrival.event_id
        try:
            event = self._read(arrival)
            event_id = event.id
            denied = may_publish(principal, event.participant)
            if denied is not None:
                return Refused(event_id, Problem(denied.problem, denied.detail))
            if event.time_us > now.latest_us:
                raise self._in_future(event)
            self._registry.check(event)
        except strict_json.UnreadableJson as error:
            return Refused(None, Problem("unreadable", error.detail))
        except InvalidEvent as error:
            problem = Problem(error.problem, error.detail, violations=error.violations)
            return Refused(event_id or error.event_id, problem)
        except Problem as problem:
            return Refused(event_id, problem)
        source: str = event.attributes["source"]
        return Checked(
            event_id,
            source,
            event.name,
            pub_topic(event.participant, event.name),
            known_key(source, event_id, self._digest_key),
            digest(event.attributes, self._digest_key),
            encode_published(event, arrival.raw, now.recorded_time, principal.client_id),
        )

    def _read(self, arrival: Arrival) -> Event:
        if isinstance(arrival.parsed, Event):
            return arrival.parsed
        if isinstance(arrival.parsed, Problem):
            raise arrival.parsed
        raw = arrival.raw or b""
        if len(raw) > self._limits.event_bytes_max:
            raise Problem(
                "body-too-large", f"The event has {len(raw)} bytes; at most {self._limits.event_bytes_max} are taken."
            )
        return Event.parse(raw)

    def _now(self) -> Now:
        now_us = self._clock.now_us()
        return Now(format_time(now_us), now_us + int(self._limits.future_minutes_max * 60_000_000))

    def _in_future(self, event: Event) -> Problem:
        return Problem(
            "time-in-future",
            f"time is {event.attributes['time']}, more than {self._limits.future_minutes_max:g} minutes "
            f"ahead of the gateway's clock ({format_time(self._clock.now_us())}).",
        )

    async def validate(self, principal: Principal, arrivals: Iterable[Arrival]) -> list[Outcome]:
        """Answer what `publish` would, and record nothing. A new event's offset is -1."""
        now = self._now()
        checked = [self.examine(principal, arrival, now) for arrival in arrivals]
        found = self._known.find(item.key for item in checked if isinstance(item, Checked))
        outcomes: list[Outcome] = []
        for item in checked:
            if isinstance(item, Refused):
                outcomes.append(item)
            elif item.key in found:
                outcomes.append(await self._with_time(self._compare(item, found[item.key])))
            else:
                outcomes.append(Accepted(item.event_id, item.source, item.topic, -1, duplicate=False))
        return outcomes

    async def _with_time(self, outcome: Outcome) -> Outcome:
        """Tell with a conflict the recorded event's time: a publisher that lost its memory finds its place by it."""
        if isinstance(outcome, Refused):
            place = outcome.problem.extra
            async with self._log.reader({place["topic"]: place["offset"]}) as reader:
                for record in await reader.poll(records_max=1, timeout_s=1.0):
                    place["time"] = orjson.loads(record.value)["time"]
        return outcome

    # --- publishing -----------------------------------------------------------------------------

    async def publish(self, principal: Principal, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Take events in, in order, and return when every one of them is durable or refused."""
        now = self._now()
        checked = [self.examine(principal, arrival, now) for arrival in arrivals]
        appended = await self._settle(checked) if self._uncertain else {}
        found = self._known.find(item.key for item in checked if isinstance(item, Checked))
        fresh: dict[str, list[Checked]] = {}
        waiting: dict[int, asyncio.Future[Known | Problem]] = {}
        loop = asyncio.get_running_loop()
        for item in checked:
            if isinstance(item, Refused) or item.key in found or item.topic in appended:
                continue
            under_way = self._under_way.get(item.key)
            if under_way is None:
                self._under_way[item.key] = loop.create_future()
                fresh.setdefault(item.topic, []).append(item)
            else:
                # Sent twice at once: the second waits for the first, and is then its duplicate.
                waiting[id(item)] = under_way
        appended |= await self._append_all(fresh)
        outcomes = [
            await self._joined(item, waiting[id(item)]) if id(item) in waiting else self._outcome(item, found, appended)
            for item in checked
        ]
        self._count(checked, outcomes)
        return outcomes

    async def _append_all(self, fresh: dict[str, list[Checked]]) -> Appended:
        """Append to each topic. How long that may take is the log's to say (`LogUnavailable`)."""
        if len(fresh) == 1:
            # The most frequent case, spared the cost of a task.
            ((topic, items),) = fresh.items()
            return {topic: await self._append(topic, items)}
        results = await asyncio.gather(*(self._append(topic, items) for topic, items in fresh.items()))
        return dict(zip(fresh, results, strict=True))

    def _outcome(self, item: Checked | Refused, found: dict[int, Known], appended: Appended) -> Outcome:
        if isinstance(item, Refused):
            return item
        if item.key in found:
            return self._compare(item, found[item.key])
        result = appended[item.topic]
        if isinstance(result, Problem):
            return Refused(item.event_id, result)
        return Accepted(item.event_id, item.source, item.topic, result[item.key], duplicate=False)

    async def _joined(self, item: Checked | Refused, under_way: "asyncio.Future[Known | Problem]") -> Outcome:
        assert isinstance(item, Checked)  # noqa: S101  # only a checked event waits for another
        result = await asyncio.shield(under_way)
        return Refused(item.event_id, result) if isinstance(result, Problem) else self._compare(item, result)

    @staticmethod
    def _compare(item: Checked, known: Known) -> Outcome:
        if known.digest == item.digest:
            return Accepted(item.event_id, item.source, known.topic, known.offset, duplicate=True)
        detail = (
            f"An event with source {item.source} and id {item.event_id!r} and other content is recorded "
            f"in {known.topic} at offset {known.offset}. A changed thing is a new event: give it a new id."
        )
        return Refused(item.event_id, Problem("conflict", detail, topic=known.topic, offset=known.offset))

    async def _append(self, topic: str, items: list[Checked]) -> Problem | dict[int, int]:
        """Append new events to one topic; the index and those who wait learn where they stand."""
        try:
            if topic not in self._topics:
                await self._create(topic)
            offsets = await self._log.append(topic, [item.record for item in items])
        except BaseException as error:
            problem = self._failed(topic, items, error)
            if not isinstance(error, Exception):
                raise
            return problem
        places: dict[int, int] = {}
        for item, offset in zip(items, offsets, strict=True):
            known = Known(topic, offset, item.digest)
            self._known.add(item.key, known)
            self._under_way.pop(item.key).set_result(known)
            places[item.key] = offset
        if offsets[-1] - offsets[0] == len(offsets) - 1:
            self._known.advance(topic, offsets[0], offsets[-1] + 1)
        return places

    async def _create(self, topic: str) -> None:
        """Create a topic. Appends that come meanwhile wait their turn, and nobody overtakes those who wait."""
        creation = self._creating.setdefault(topic, _Creation())
        creation.waiting += 1
        async with creation.turn:
            try:
                if not creation.done:
                    await self._log.create_topics([topic])
                    creation.done = True
            finally:
                creation.waiting -= 1
                if creation.waiting == 0:
                    del self._creating[topic]
                    self._topics |= {topic} if creation.done else set()

    def _failed(self, topic: str, items: list[Checked], error: BaseException) -> Problem:
        if not isinstance(error, LogError):
            log_event("worker_failed", "error", worker="ingest", error=repr(error)[:300])
        if not isinstance(error, LogError) or error.outcome_unknown:
            self._uncertain.add(topic)
        problem = problem_of_log(error)
        for item in items:
            self._under_way.pop(item.key).set_result(problem)
        return problem

    # --- keeping the index true -----------------------------------------------------------------

    async def _settle(self, checked: list[Checked | Refused]) -> Appended:
        """Before appending after an append whose outcome nobody knows: look what became of it.

        Returns the topics of which that cannot be found out now, each with its problem.
        """
        uncertain = self._uncertain & {item.topic for item in checked if isinstance(item, Checked)}
        if uncertain:
            try:
                await asyncio.wait_for(self._find_out(uncertain), self._limits.publish_timeout_s)
            except (LogError, TimeoutError) as error:
                return dict.fromkeys(uncertain, problem_of_log(error))
        return {}

    async def _find_out(self, topics: set[str]) -> None:
        # What is still under way must be written, or never will be, before the end is looked at.
        await self._log.settle(topics)
        await self.catch_up(topics)

    async def catch_up(self, topics: Iterable[str] | None = None, *, grace_s: float = 0.0) -> int:
        """Read into the index what the log holds beyond it; all `pub` topics unless some are named.

        grace_s: how long this gateway's own appends may still take to reach the index by themselves.
        Returns the number of events read. Raises `LogError`.
        """
        async with self._catching_up:
            if topics is None:
                topics = [topic for topic in await self._log.topics() if topic.startswith("pub.")]
                self._topics.update(topics)
            ends = await self._log.ends(topics)
            behind = self._behind(ends)
            if behind and grace_s:
                # Under load some of our own are always on their way; reading them back is work for nothing.
                await asyncio.sleep(grace_s)
                behind = self._behind(ends)
            read = await self._read_up_to(behind) if behind else 0
            self._uncertain.difference_update(ends)
            return read

    def _behind(self, ends: dict[str, int]) -> dict[str, int]:
        return {topic: end for topic, end in ends.items() if self._known.positions.get(topic, 0) < end}

    async def _read_up_to(self, ends: dict[str, int]) -> int:
        read = 0
        positions = {topic: max(self._known.positions.get(topic, 0), await self._log.first(topic)) for topic in ends}
        async with self._log.reader(positions) as reader:
            while any(position < ends.get(topic, 0) for topic, position in reader.positions().items()):
                records = await reader.poll(timeout_s=1.0)
                for record in records:
                    self._index(record)
                read += len(records)
                for topic, position in reader.positions().items():
                    self._known.advance(topic, 0, position)
                await asyncio.sleep(0)
        return read

    def _index(self, record: Record) -> None:
        attributes = orjson.loads(record.value)
        key = known_key(attributes["source"], attributes["id"], self._digest_key)
        self._known.add(key, Known(record.topic, record.offset, digest(attributes, self._digest_key)))

    async def start(self) -> None:
        """Make the index true before the first append; one that does not fit the log is built anew."""
        try:
            topics = [topic for topic in await self._log.topics() if topic.startswith("pub.")]
            ends = await self._log.ends(topics)
            if any(ends.get(topic, 0) < position for topic, position in self._known.positions.items()):
                log_event("known_events_rebuilt", "warning")
                self._known.forget()
            read = await self.catch_up()
        except OffsetOutOfRange:
            log_event("known_events_rebuilt", "warning")
            self._known.forget()
            read = await self.catch_up()
        log_event("known_events_caught_up", events=read)

    def _count(self, checked: list[Checked | Refused], outcomes: list[Outcome]) -> None:
        counts: dict[tuple[str, str], int] = {}
        for item, outcome in zip(checked, outcomes, strict=True):
            labels = (item.name if isinstance(item, Checked) else "unknown", _outcome_name(outcome))
            counts[labels] = counts.get(labels, 0) + 1
        for labels, number in counts.items():
            self._metrics.count(self._metrics.events, labels, number)
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                self._metrics.refused.labels(outcome.problem.type.name).inc()


def _outcome_name(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return "refused"
    return "duplicate" if outcome.duplicate else "accepted"
