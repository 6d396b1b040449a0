"""Exactly-once processing: a fixed transactional id, and an order of starting that matters.

1. The producer starts: that fences whoever had the id before and settles its open transaction.
2. What hangs of a transaction that was settled before is ended (`hanging.py`).
3. Only then state and positions are read, as last committed.
The other way round the predecessor could commit in between, and a rolling restart repeated 355 of 40,000.
Positions and state are records of the same transaction as the outputs, in the topic `state.<name>`.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from broker_adapters.kafka import producers
from broker_adapters.kafka.faults import translate, translated
from broker_adapters.kafka.hanging import Transactions, await_end, end_hanging
from broker_adapters.kafka.settings import KafkaSettings
from broker_adapters.kafka.state import Change, StateCopy, Stored, change_in, changes_of, records_of, stored
from broker_adapters.kafka.transaction_requests import TransactionState
from broker_adapters.log import (
    Fenced,
    LogClosed,
    LogError,
    LogUnavailable,
    NewRecord,
    Processor,
    Reader,
    waiting_bytes,
)

VISIBLE_POLL_S = 0.002

Result = TypeVar("Result")


class Cluster(Transactions, Protocol):
    """What a processor needs of its log."""

    async def transaction_state(self, name: str) -> TransactionState | None:
        """Return how the last transaction of a processor's name stands."""

    async def prepare_state(self, topic: str) -> str:
        """Make a state topic where there is none; return which cluster's which topic it is."""

    async def require(self, topic: str) -> None:
        """Raise `UnknownTopic` unless `topic` exists."""

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        """Return each topic's end."""

    async def first(self, topic: str) -> int:
        """Return the offset of the first record kept."""

    async def end(self, topic: str) -> int:
        """Return a topic's end."""

    def reader(self, positions: Mapping[str, int]) -> Reader:
        """Return a reader."""

    def begun(self, step: asyncio.Task[None]) -> None:
        """Take note of a step that is under way."""


class KafkaProcessor(Processor):
    """The processor of one name."""

    def __init__(self, cluster: Cluster, settings: KafkaSettings, name: str) -> None:
        self._cluster, self._settings, self._name = cluster, settings, name
        self._topic = f"state.{name}"
        self._producer: Any = None
        self._copy: StateCopy | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._positions: dict[str, int] = {}
        self._broken: LogError | None = None
        self._steps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._threads is not None:
            raise LogClosed(f"Processor {self._name!r} has been entered before; make another.")
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"state-{self._name}")
        try:
            await self._begin()
        except BaseException:
            await self._let_go()
            raise
        return self

    async def _begin(self) -> None:
        origin = await self._cluster.prepare_state(self._topic)
        await self._fence()
        await self._read_state(origin)

    async def _fence(self) -> None:
        deadline = time.monotonic() + self._settings.start_deadline_s
        # What it takes to end what hangs is asked for first: whoever takes the id over wipes out how it was decided.
        await self._cluster.unread()
        before = await self._cluster.transaction_state(self._name)
        producer = producers.transactional_producer(self._settings, self._name)
        await producers.start(producer, self._settings, deadline)
        self._producer = producer
        with translated(
            f"ending what {self._name} left open (`kafka-transactions.sh find-hanging` shows what stays so)"
        ):
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await end_hanging(
                    self._cluster, producer, prefix=self._settings.prefix, state_topic=self._topic, before=before
                )

    async def _read_state(self, origin: str) -> None:
        path = self._settings.state_folder / f"{self._name}.sqlite3"
        copy = self._copy = await self._in_thread(StateCopy.open, path, origin)
        begin = copy.next_offset()
        end = await self._cluster.end(self._topic)
        if begin > end:
            raise LogUnavailable(f"{self._topic} ends at {end}, before what was read of it ({begin}).")
        first = max(begin, await self._cluster.first(self._topic))
        async with self._cluster.reader({self._topic: first}) as reader:
            while reader.positions()[self._topic] < end:
                records = await reader.poll(timeout_s=0.1)
                changes = [change_in(record) for record in records]
                await self._in_thread(copy.apply, changes, reader.positions()[self._topic])
        await self._in_thread(copy.apply, [], max(begin, end))
        self._positions = await self._in_thread(copy.positions)

    async def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._steps:
            await asyncio.wait(self._steps)
        await self._let_go()

    async def _let_go(self) -> None:
        self._broken = self._broken or LogClosed(f"Processor {self._name!r} was left.")
        producer, self._producer = self._producer, None
        copy, self._copy = self._copy, None
        threads = self._threads
        if producer is not None:
            await (producers.stop(producer) if isinstance(self._broken, LogClosed) else producers.drop(producer))
        if threads is not None:
            if copy is not None:
                await self._in_thread(copy.close)
            threads.shutdown(wait=False)

    def _entered(self) -> StateCopy:
        if self._broken is not None:
            raise self._broken
        if self._copy is None:
            raise LogClosed(f"Processor {self._name!r} was not entered.")
        return self._copy

    def positions(self) -> dict[str, int]:
        self._entered()
        return dict(self._positions)

    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        return await self._in_thread(self._entered().load, list(keys))

    async def commit(
        self,
        *,
        outputs: Sequence[tuple[str, NewRecord]] = (),
        state: Mapping[str, bytes | None] | None = None,
        positions: Mapping[str, int] | None = None,
        visible: bool = False,
    ) -> None:
        self._entered()
        if self._steps:
            raise RuntimeError("A processor commits one step at a time.")
        changes = changes_of(state or {}, positions or {})
        by_topic: dict[str, list[NewRecord]] = defaultdict(list)
        for topic, record in outputs:
            by_topic[topic].append(record)
        for topic, records in by_topic.items():
            waiting_bytes(topic, records)
            await self._cluster.require(topic)
        if not by_topic and not changes:
            return
        # Cancelled inside, aiokafka would be left in the midst of a transaction: the step runs to its end.
        step = asyncio.create_task(self._step(by_topic, changes, visible=visible))
        self._steps.add(step)
        self._cluster.begun(step)
        step.add_done_callback(self._ended)
        try:
            await asyncio.shield(step)
        except asyncio.CancelledError:
            # The caller does not learn what became of it, and is to enter anew.
            self._broken = LogUnavailable(f"A step of {self._name} was cancelled.", outcome_unknown=True)
            raise
        self._positions.update(positions or {})

    def _ended(self, step: asyncio.Task[None]) -> None:
        self._steps.discard(step)
        if not step.cancelled():
            # Where the caller has gone, nobody else looks at it.
            step.exception()

    async def _step(self, outputs: Mapping[str, list[NewRecord]], changes: Sequence[Change], *, visible: bool) -> None:
        doing = f"a step of {self._name}"
        try:
            async with asyncio.timeout(self._settings.commit_deadline_s):
                written = await self._transact(outputs, changes)
                # Before anybody is told, and before the next step, with whose end it would come up.
                doing = f"marking the end of a step of {self._name} in {', '.join(sorted(written))}"
                await await_end(self._cluster, self._producer, written)
                if changes:
                    await self._in_thread(self._entered().apply, changes, written[self._topic])
                if visible:
                    await self._seen({topic: written[topic] for topic in outputs})
        except BaseException as error:
            await self._give_up(error, doing)
            raise self._broken or error from error

    async def _give_up(self, error: BaseException, doing: str) -> None:
        """Cut the producer off: whoever enters next settles what it left."""
        if isinstance(error, LogError) and not isinstance(error, Fenced | LogUnavailable):
            # The local copy failed; Kafka has the step, or may have.
            error = LogUnavailable(str(error), outcome_unknown=True)
        if isinstance(error, LogUnavailable):
            # Also where it comes of a question that changes nothing: it was asked of a step that may stand.
            error.outcome_unknown = True
        self._broken = translate(error, doing, outcome_unknown=True)
        producer, self._producer = self._producer, None
        if producer is not None:
            await producers.drop(producer)

    async def _transact(self, outputs: Mapping[str, list[NewRecord]], changes: Sequence[Change]) -> dict[str, int]:
        """Write and commit; return the offset after the last record of each topic."""
        producer = self._producer
        await self._learn([*outputs, self._topic] if changes else outputs)
        await producer.begin_transaction()
        queues = {topic: self._batches(map(stored, records)) for topic, records in outputs.items()}
        if changes:
            queues[self._topic] = self._batches(records_of(changes))
        sent: list[tuple[str, int, asyncio.Future[Any]]] = []
        try:
            await self._send(queues, sent)
            # aiokafka would commit although a batch failed: each answer is looked at first.
            answers = await asyncio.gather(*(answer for _, _, answer in sent))
            await producers.end_transaction(producer)
            if any(answer.offset < 0 for answer in answers):
                raise LogUnavailable(f"A step of {self._name} is written, at offsets unknown.", outcome_unknown=True)
        finally:
            for _, _, answer in sent:
                answer.cancel()
        return {topic: answer.offset + count for (topic, count, _), answer in zip(sent, answers, strict=True)}

    async def _send(self, queues: dict[str, deque[Any]], sent: list[tuple[str, int, asyncio.Future[Any]]]) -> None:
        """Send every topic's batches: the first of all before the second of any, which waits for the first to leave."""
        while queues:
            for topic, batches in list(queues.items()):
                batch = batches.popleft()
                count = batch.record_count()
                answer = await self._producer.send_batch(batch, self._settings.prefix + topic, partition=0)
                sent.append((topic, count, answer))
                if not batches:
                    del queues[topic]

    async def _learn(self, topics: Iterable[str]) -> None:
        """Have the producer know all topics before the first batch, in one request and not one for each."""
        client = self._producer.client
        names = [self._settings.prefix + topic for topic in topics]
        new = [name for name in names if client.cluster.partitions_for_topic(name) is None]
        heard = [client.add_topic(name) for name in new]
        if heard:
            await heard[-1]

    def _batches(self, records: Iterable[Stored]) -> deque[Any]:
        now_ms = int(time.time() * 1000)
        batches = deque([self._producer.create_batch()])
        for key, value, headers in records:
            if batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers)
        return batches

    async def _seen(self, places: Mapping[str, int]) -> None:
        """Wait until readers see what was written: a commit is answered before its markers are."""
        missing = set(places)
        while missing:
            ends = await self._cluster.ends(missing)
            missing = {topic for topic in missing if ends[topic] <= places[topic]}
            if missing:
                await asyncio.sleep(VISIBLE_POLL_S)
