"""The forwarder: read what participants published, decide, append to the alliances' topics, exactly once.

The work is cut into shards by participant. A shard is a processor of the log's, so whoever starts it
fences whoever ran it before: safety never depends on who was told to run what.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from broker_adapters.log import Log, LogUnavailable, Processor, Record
from exchange_gateway.clock import Clock
from exchange_gateway.core.forwarding import Basis, Deciding, Place, Step, by_topic, shard_of_topic, thing_of
from exchange_gateway.core.known_things import Known, load
from exchange_gateway.telemetry import Metrics, log_event
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.loop import Follower, TopicList
from exchange_gateway.workers.shards import Assignments, Shards, all_of, stop
from schemas.identifiers import AGREEMENTS_TOPIC, FORWARDING_TOPIC, parse_data_topic

STEP_RECORDS = 2000
"""Events a step at most, where so many wait. A step costs some round trips however many it takes."""

MANY_RECORDS = 100
"""From here on there are probably more, and a full step is worth asking for them."""

TURN_RECORDS = 50
"""Events decided on at a stretch: about a millisecond, after which whoever else waits has its turn."""

AUDIT_BYTES_MAX = 512 * 1024
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
"""A step that writes more is cut in two: a record must fit the log, and a transaction must not take long.
The next batch is then taken half as large, and larger again when there is room."""

READ_TIMEOUT_S = 5.0

if TYPE_CHECKING:
    from exchange_gateway.spans import Traced, Tracing


class Forwarder:
    """Runs the shards that are assigned to it; without `assignments`, all of them."""

    def __init__(
        self,
        log: Log,
        *,
        shards: int,
        clock: Clock,
        metrics: Metrics,
        assignments: Assignments | None = None,
        step_records: int = STEP_RECORDS,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._log, self._shards = log, shards
        self.tracing = tracing
        self.committed: dict[int, dict[str, int]] = {}
        """Of each shard that is run here, the offsets up to which it has come, by topic."""
        self._clock, self._metrics = clock, metrics
        self._assignments = assignments or all_of(shards)
        self._step_records = step_records
        self._books = BookKeeper(log)
        self._topics = TopicList(log)
        self._there: set[str] = set()
        self._at_us = 0

    async def run(self) -> None:
        """Forward until cancelled. Raises `LogError` when the log does not say which shards to run."""
        await self._log.create_topics([AGREEMENTS_TOPIC, FORWARDING_TOPIC])
        shards = Shards(
            self._log,
            self._run_shard,
            self.committed,
            name="forwarder",
            fenced="forwarder_fenced",
            failed="forwarder_failed",
        )
        await shards.run(self._assignments)

    async def _run_shard(self, shard: int) -> None:
        """Enter the processor first, which fences the predecessor; only then read where it had come to."""

        def ours(topic: str) -> bool:
            return shard_of_topic(topic, self._shards) == shard

        async with self._log.processor(f"forwarder-{shard}") as processor:
            log_event("forwarder_started", shard=shard)
            self.committed[shard] = dict(processor.positions())
            async with (
                Follower(self._log, ours, processor.positions(), self._topics) as follower,
                _Lane(self, shard, processor, self._step_records) as lane,
            ):
                while True:
                    records = await follower.batch(records_max=lane.records_max, wait=not lane.is_committing)
                    if lane.is_committing and MANY_RECORDS <= len(records) < lane.records_max:
                        # The end of one answer: alone it would be decided long before there is a turn to commit it.
                        records += await follower.batch(records_max=lane.records_max - len(records), wait=False)
                    if records:
                        await lane.take(by_topic(records))
                    else:
                        await lane.settle()

    async def basis(self, shard: int) -> Basis:
        """Read the agreements to their end, and return by what a step decides that has its batch already."""
        book = await self._books.fresh()
        # Whole milliseconds, as the audit writes them, so that a replay decides at the same instant.
        self._at_us = max(self._at_us, self._clock.now_us() // 1000 * 1000)
        return Basis.of(shard, self._at_us, book)

    async def record_at(self, topic: str, offset: int) -> Record:
        """Return one record. Raises `LogError`."""
        async with self._log.reader({topic: offset}) as reader:
            records = await reader.poll(records_max=1, timeout_s=READ_TIMEOUT_S)
        if not records:
            raise LogUnavailable(f"Offset {offset} of {topic} did not come within {READ_TIMEOUT_S:g} seconds.")
        return records[0]

    async def create_topics(self, topics: AbstractSet[str]) -> None:
        """Create those of the topics that are not there yet."""
        missing = topics - self._there
        if missing:
            await self._log.create_topics(sorted(missing))
            self._there |= missing

    def tell(self, shard: int, step: Step, taken: "_Taken") -> None:
        """Count what a committed step did."""
        self.committed[shard].update(step.positions)
        now_ms = self._clock.now_us() // 1000
        for recorded_at_ms, count in taken.times_ms.items():
            self._metrics.forward_seconds.add((now_ms - recorded_at_ms) / 1000, count)
        if self.tracing is not None and taken.traced:
            self.tracing.forwarded(taken.traced, step.outputs, taken.began_ns)
        for topic, records in step.outputs.items():
            parts = parse_data_topic(topic)
            if parts is not None:
                self._metrics.count(self._metrics.forwarded, (parts.holder, parts.name), len(records))
        for reason, count in step.withheld.items():
            self._metrics.count(self._metrics.withheld, (reason.value,), count)
        for one in step.unreadable:
            log_event("record_unreadable", "error", topic=one.topic, offset=one.offset, error=one.error)


class _Taken(NamedTuple):
    """What is remembered of a step's records until it is committed: when they were recorded, and who is traced."""

    times_ms: Counter[int]
    traced: "Sequence[Traced]"
    began_ns: int


class _Lane:
    """One shard's steps, one after the other: the next is decided while the one before it is committed.

    What that one changed is not in the processor's state yet, so it is laid over what is loaded.
    """

    def __init__(self, forwarder: Forwarder, shard: int, processor: Processor, step_records: int) -> None:
        self._forwarder, self._shard, self._processor = forwarder, shard, processor
        self._step_records = self.records_max = step_records
        self._committing: asyncio.Task[None] | None = None
        self._ahead: Mapping[str, Known] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        committing = self._committing
        if committing is None:
            return
        await stop(committing)
        failure = None if committing.cancelled() else committing.exception()
        # A commit that failed is the cause of what came after it, such as a processor that is closed.
        if failure is not None and failure is not error and isinstance(error, Exception):
            raise failure

    @property
    def is_committing(self) -> bool:
        """Whether a step is on its way."""
        return self._committing is not None

    async def settle(self) -> None:
        """Wait for the step that is on its way. Raises what its commit raised."""
        if self._committing is not None:
            await self._committing
            self._committing = None

    async def take(self, records: list[Record]) -> None:
        """Decide on a batch and begin to commit; cut it in two while what comes of it is too large."""
        began_ns = time.time_ns()
        step = await self._decide(records)
        if len(records) > 1 and (len(step.audit.value) > AUDIT_BYTES_MAX or step.size_bytes > OUTPUT_BYTES_MAX):
            middle = self.records_max = len(records) // 2
            await self.take(records[:middle])
            await self.take(records[middle:])
            return
        if step.size_bytes < OUTPUT_BYTES_MAX // 4:
            self.records_max = min(self._step_records, self.records_max * 2)
        await self._forwarder.create_topics(step.outputs.keys())
        await self.settle()
        self._ahead = step.known
        tracing = self._forwarder.tracing
        taken = _Taken(
            Counter(map(itemgetter(2), records)), () if tracing is None else tracing.traced(records), began_ns
        )
        self._committing = asyncio.create_task(self._commit(step, taken))

    async def _decide(self, records: list[Record]) -> Step:
        # The batch is taken already, and only now the agreements are read to their end: the other way round
        # an agreement that was acknowledged before an event could be missed for it.
        things = dict.fromkeys(map(thing_of, records))
        states = await self._processor.load(thing for thing in things if thing not in self._ahead)
        known = {**self._ahead, **{thing: load(state) for thing, state in states.items()}}
        basis = await self._forwarder.basis(self._shard)
        earlier: dict[Place, Record] = {}
        while (step := await _decide_in_turns(basis, records, known, earlier)).missing:
            earlier |= {place: await self._forwarder.record_at(*place) for place in step.missing}
        return step

    async def _commit(self, step: Step, taken: _Taken) -> None:
        await self._processor.commit(
            outputs=[*step.all_outputs(), (FORWARDING_TOPIC, step.audit)], state=step.state(), positions=step.positions
        )
        self._forwarder.tell(self._shard, step, taken)


async def _decide_in_turns(
    basis: Basis, records: list[Record], known: Mapping[str, Known], earlier: Mapping[Place, Record]
) -> Step:
    """Decide on records, and let others have their turn in between: they may be waiting for an answer."""
    deciding = Deciding(basis, known, earlier)
    for number, record in enumerate(records, 1):
        deciding.take(record)
        if number % TURN_RECORDS == 0:
            await asyncio.sleep(0)
    return deciding.step()
