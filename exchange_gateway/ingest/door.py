"""Appending what is new, and answering when it is durable.

There are two ways in. `publish` takes any number of events, and waits for whatever must be waited for. `submit`
takes one event of the usual kind (new, right, in a topic that is there) and waits for nothing: it saves the task
and the dozen coroutines that waiting costs. What it does not take is published the other way.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

import orjson

from broker_adapters.log import Log, LogError, LogUnavailable
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal
from exchange_gateway.ingest.examining import Checked, Examiner
from exchange_gateway.ingest.index_keeping import IndexKeeper
from exchange_gateway.ingest.outcomes import Accepted, Arrival, Outcome, Refused
from exchange_gateway.known_events import Known, KnownEvents
from exchange_gateway.log_problems import problem_of_log
from exchange_gateway.problems import Problem
from exchange_gateway.settings import Limits
from exchange_gateway.telemetry import Metrics, log_event
from schemas.named_tuples import new_tuple
from schemas.registry import Registry

if TYPE_CHECKING:
    from exchange_gateway.spans import Tracing

Door = Literal["http", "native"]
"""The way that an event came."""

Appended = dict[str, Problem | dict[int, int]]
"""What became of each topic's append: the offset of each key, or why not."""

Answer = Callable[[Outcome], None]


class _Append:
    """An append under way: what those need to know who send one of its events again meanwhile."""

    __slots__ = ("_places", "_waited_for", "items")

    def __init__(self, items: list[Checked]) -> None:
        self.items = items
        self._places: Problem | dict[int, int] | None = None
        # Made by the first who waits: hardly ever anybody does.
        self._waited_for: asyncio.Future[None] | None = None

    def end(self, places: Problem | dict[int, int]) -> None:
        """Tell those who wait, now or later, the offset of each key, or why there is none."""
        self._places = places
        if self._waited_for is not None:
            self._waited_for.set_result(None)

    async def known(self, key: int) -> Known | Problem:
        """Wait for its end, and return where one of its events stands."""
        if self._places is None:
            if self._waited_for is None:
                self._waited_for = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waited_for)
        places = self._places
        assert places is not None  # noqa: S101  # it has ended
        if isinstance(places, Problem):
            return places
        first = next(item for item in self.items if item.key == key)
        return Known(first.topic, places[key], first.digest)


@dataclass(slots=True)
class _Creation:
    """A topic that is being made, and how many wait for it."""

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
        tracing: "Tracing | None" = None,
    ) -> None:
        self._log, self._known, self._limits, self._metrics = log, known, limits, metrics
        self._tracing = tracing
        self._examiner = Examiner(registry, digest_key=digest_key, limits=limits, clock=clock)
        self._keeper = IndexKeeper(log, known, digest_key)
        self._under_way: dict[int, _Append] = {}
        self._creating: dict[str, _Creation] = {}

    async def start(self) -> None:
        """Make the index of known events true, before the first append. Raises `LogError`."""
        await self._keeper.start()

    async def catch_up(self, *, grace_s: float = 0.0) -> int:
        """Take in what other gateways have appended; see `IndexKeeper.catch_up`. Raises `LogError`."""
        return await self._keeper.catch_up(grace_s=grace_s)

    # --- one event of the usual kind ------------------------------------------------------------

    def submit(self, principal: Principal, line: bytes, answer: Answer) -> bool:
        """Take in one event without waiting, and have `answer` called once it is durable, or refused.

        line: structured JSON. Returns False, and does nothing, where the event must be published with `publish`.
        """
        item = self._examiner.quickly(principal, line, self._examiner.now(principal))
        if (
            item is None
            or item.topic not in self._keeper.topics
            or item.topic in self._keeper.uncertain
            or item.key in self._under_way
            or self._known.find((item.key,))
        ):
            return False
        append = self._under_way[item.key] = _Append([item])
        self._log.submit(item.topic, (item.record,)).add_done_callback(partial(self._submitted, append, answer))
        return True

    def _submitted(self, append: _Append, answer: Answer, appended: "asyncio.Future[list[int]]") -> None:
        (item,) = append.items
        if appended.cancelled():
            error: BaseException | None = LogUnavailable("The append was broken off.", outcome_unknown=True)
        else:
            error = appended.exception()
        if error is None:
            offset = self._index(item.topic, append, appended.result())[item.key]
            outcome: Outcome = Accepted(item.event_id, item.source, item.topic, offset, duplicate=False)
        else:
            outcome = Refused(item.event_id, self._failed(item.topic, append, error))
        self._count([item], [outcome])
        answer(outcome)

    # --- any number of events -------------------------------------------------------------------

    async def validate(self, principal: Principal, arrivals: Iterable[Arrival | bytes]) -> list[Outcome]:
        """Answer what `publish` would, and record nothing. A new event's offset is -1."""
        now = self._examiner.now(principal)
        checked = [self._examiner.examine(principal, arrival, now) for arrival in arrivals]
        found = self._known.find([item.key for item in checked if isinstance(item, Checked)])
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

    async def publish(
        self, principal: Principal, arrivals: Iterable[Arrival | bytes], door: Door = "http"
    ) -> list[Outcome]:
        """Take events in, in order, and return when every one of them is durable or refused."""
        began_ns = time.time_ns()
        now = self._examiner.now(principal)
        examine = self._examiner.examine
        checked = [examine(principal, arrival, now) for arrival in arrivals]
        del arrivals  # what they came as is needed no more, and much of it waits here at once
        appended = await self._make_topics(checked)
        if self._keeper.uncertain:
            appended |= await self._settle(checked)
        found = self._known.find([item.key for item in checked if isinstance(item, Checked)])
        appends: dict[str, _Append] = {}
        waiting: dict[int, _Append] = {}
        under_way = self._under_way
        for item in checked:
            if isinstance(item, Refused) or item.key in found or item.topic in appended:
                continue
            if item.key in under_way:
                # Sent twice at once: the second waits for the first, and is then its duplicate.
                waiting[id(item)] = under_way[item.key]
                continue
            append = appends.get(item.topic)
            if append is None:
                append = appends[item.topic] = _Append([])
            append.items.append(item)
            under_way[item.key] = append
        appended |= await self._append_all(appends)
        outcomes = [
            await self._joined(item, waiting[id(item)]) if id(item) in waiting else self._outcome(item, found, appended)
            for item in checked
        ]
        self._count(checked, outcomes, door)
        if self._tracing is not None:
            self._trace(self._tracing, checked, outcomes, door, began_ns)
        return outcomes

    async def _append_all(self, appends: dict[str, _Append]) -> Appended:
        """Append to each topic. How long that may take is the log's to say (`LogUnavailable`)."""
        if len(appends) == 1:
            # The most frequent case, spared the cost of a task.
            ((topic, append),) = appends.items()
            return {topic: await self._append(topic, append)}
        results = await asyncio.gather(*(self._append(topic, append) for topic, append in appends.items()))
        return dict(zip(appends, results, strict=True))

    def _outcome(self, item: Checked | Refused, found: dict[int, Known], appended: Appended) -> Outcome:
        if isinstance(item, Refused):
            return item
        if found and item.key in found:
            return self._compare(item, found[item.key])
        result = appended[item.topic]
        if isinstance(result, Problem):
            return Refused(item.event_id, result)
        return new_tuple(Accepted, (item.event_id, item.source, item.topic, result[item.key], False))

    async def _joined(self, item: Checked | Refused, append: _Append) -> Outcome:
        assert isinstance(item, Checked)  # noqa: S101  # only a checked event waits for another
        result = await append.known(item.key)
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

    async def _append(self, topic: str, append: _Append) -> Problem | dict[int, int]:
        """Append new events to one topic; the index and those who wait learn where they stand."""
        try:
            offsets = await self._log.append(topic, [item.record for item in append.items])
        except BaseException as error:
            problem = self._failed(topic, append, error)
            if not isinstance(error, Exception):
                raise
            return problem
        return self._index(topic, append, offsets)

    def _index(self, topic: str, append: _Append, offsets: list[int]) -> dict[int, int]:
        """Make appended events known, to the index and to those who wait; return the offset of each key."""
        keys = [item.key for item in append.items]
        places = dict(zip(keys, offsets, strict=True))
        self._known.add_all(topic, zip(keys, offsets, [item.digest for item in append.items], strict=True))
        if offsets[-1] - offsets[0] == len(offsets) - 1:
            self._known.advance(topic, offsets[0], offsets[-1] + 1)
        self._end(append, places)
        return places

    def _end(self, append: _Append, result: Problem | dict[int, int]) -> None:
        for item in append.items:
            del self._under_way[item.key]
        append.end(result)

    async def _make_topics(self, checked: Sequence[Checked | Refused]) -> Appended:
        """Make the topics that are not there yet; return those that could not be made, each with its problem."""
        topics = {item.topic for item in checked if isinstance(item, Checked)} - self._keeper.topics
        if not topics:
            return {}
        made = await asyncio.gather(*map(self._make_topic, topics))
        return {topic: problem for topic, problem in zip(topics, made, strict=True) if problem is not None}

    async def _make_topic(self, topic: str) -> Problem | None:
        """Make a topic. Appends that come meanwhile wait their turn, and nobody overtakes those who wait."""
        creation = self._creating.setdefault(topic, _Creation())
        creation.waiting += 1
        self._keeper.being_made.add(topic)
        async with creation.turn:
            try:
                if not creation.done:
                    await self._keeper.make(topic)
                    creation.done = True
            except Exception as error:  # noqa: BLE001  # whoever publishes is told, as of a failed append
                return self._problem(error)
            finally:
                creation.waiting -= 1
                if creation.waiting == 0:
                    del self._creating[topic]
                    self._keeper.being_made.discard(topic)
                    self._keeper.topics |= {topic} if creation.done else set()
        return None

    @staticmethod
    def _problem(error: BaseException) -> Problem:
        if not isinstance(error, LogError):
            log_event("worker_failed", "error", worker="ingest", error=repr(error)[:300])
        return problem_of_log(error)

    def _failed(self, topic: str, append: _Append, error: BaseException) -> Problem:
        if not isinstance(error, LogError) or error.outcome_unknown:
            self._keeper.doubt(topic)
        problem = self._problem(error)
        self._end(append, problem)
        return problem

    async def _settle(self, checked: Sequence[Checked | Refused]) -> Appended:
        """Before appending after an append whose outcome nobody knows: look what became of it.

        Returns the topics of which that cannot be found out now, each with its problem.
        """
        uncertain = self._keeper.uncertain & {item.topic for item in checked if isinstance(item, Checked)}
        if uncertain:
            try:
                # Not in a task of its own: between its end and our turn the next append could be left in doubt.
                async with asyncio.timeout(self._limits.publish_timeout_s):
                    await self._keeper.find_out(uncertain)
            except (LogError, TimeoutError) as error:
                return dict.fromkeys(uncertain, problem_of_log(error))
        return {}

    @staticmethod
    def _trace(
        tracing: "Tracing", checked: Sequence[Checked | Refused], outcomes: Sequence[Outcome], door: Door, began_ns: int
    ) -> None:
        """Make the spans of the events that carry a trace. `submit` takes none of those: see `App.submit`."""
        tracing.published(
            (
                (item.record, outcome.topic, outcome.offset, "duplicate" if outcome.duplicate else "accepted")
                if isinstance(outcome, Accepted)
                else (item.record, item.topic, -1, outcome.problem.type.name)
                for item, outcome in zip(checked, outcomes, strict=True)
                if isinstance(item, Checked)
            ),
            door=door,
            began_ns=began_ns,
        )

    def _count(self, checked: Sequence[Checked | Refused], outcomes: Sequence[Outcome], door: Door = "http") -> None:
        counts: dict[tuple[str, str, Door], int] = {}
        for item, outcome in zip(checked, outcomes, strict=True):
            if isinstance(outcome, Accepted):
                assert isinstance(item, Checked)  # noqa: S101  # whatever was accepted was checked before
                labels = item.name, "duplicate" if outcome.duplicate else "accepted", door
            else:
                labels = item.name if isinstance(item, Checked) else "unknown", "refused", door
                self._metrics.count(self._metrics.refused, (outcome.problem.type.name,))
            counts[labels] = counts.get(labels, 0) + 1
        for labels, number in counts.items():
            self._metrics.count(self._metrics.events, labels, number)
