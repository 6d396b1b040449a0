"""The log on Apache Kafka."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial

from broker_adapters.kafka import topics as topic_making
from broker_adapters.kafka.appender import Appender
from broker_adapters.kafka.assignments import FORWARDERS, assigned
from broker_adapters.kafka.faults import translated
from broker_adapters.kafka.inspection import Survey, survey
from broker_adapters.kafka.link import EARLIEST, LATEST, NO_LEADER, Link
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.kafka.reader import KafkaReader, Links, bounds_of
from broker_adapters.kafka.settings import MAILBOX, KafkaSettings
from broker_adapters.kafka.transaction_requests import ProducerIdentity, TransactionState
from broker_adapters.log import Log, LogClosed, LogError, LogUnavailable, NewRecord, Processor, Reader
from broker_adapters.shared_answer import SharedAnswer

PROCESSOR_NAME = re.compile(r"[a-z0-9-]+")
HIDDEN = "state."
SETTLE_POLL_S = 0.01
SHARED_ENDS_MAX = 1_000
"""Sets of topics whose askers share an answer. Hundreds of subscribers ask for the same ends at the same moment."""


class KafkaLog(Log):
    """The log on the cluster that `settings` name. Use it in the event loop that opened it."""

    remote = True

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._links = Links(lambda: Link(settings, "read"))
        self._appender = Appender(settings)
        self._steps: set[asyncio.Task[None]] = set()
        self._ends: dict[frozenset[str], SharedAnswer[dict[str, int]]] = {}

    async def open(self) -> None:
        # It prints some twenty lines a second while a broker is away; what matters comes as an error.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        link = Link(self._settings, "ask")
        await link.open()
        self._link = link

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        try:
            await self._appender.close()
        finally:
            try:
                await self._links.close()
            finally:
                await link.close()

    @property
    def _opened(self) -> Link:
        if self._link is None:
            raise LogClosed("The log is not open.")
        return self._link

    async def create_topics(self, topics: Iterable[str]) -> None:
        missing = sorted(set(topics) - self._opened.known())
        if missing:
            await topic_making.create(self._opened, self._settings, missing)

    async def topics(self) -> list[str]:
        link = self._opened
        await link.refresh()
        return sorted(topic for topic in link.known() if not topic.startswith(HIDDEN))

    async def require(self, topic: str) -> None:
        """Raise `UnknownTopic` unless `topic` exists; it is asked for only where it is not known already."""
        await self._opened.require(topic)

    async def append(self, topic: str, records: Sequence[NewRecord]) -> list[int]:
        if self._link is None or not self._appender.has(topic):
            await self.require(topic)
        return await self._appender.append(topic, records)

    def submit(self, topic: str, records: Sequence[NewRecord]) -> "asyncio.Future[list[int]]":
        with contextlib.suppress(LogError):
            if self._link is not None and (begun := self._appender.submit(topic, records)) is not None:
                return begun
        # To wait for room, to look the topic up, or to have the error where it is looked for.
        return super().submit(topic, records)

    async def settle(self, topics: Iterable[str]) -> None:
        link = self._opened
        wanted = list(topics)
        if self._steps:
            await asyncio.wait(list(self._steps))
        await asyncio.gather(*(self._appender.settle(topic) for topic in wanted))
        # What others' transactions have written is in the topics already, but cannot be read before their end.
        written = await link.written_ends(wanted)
        deadline = time.monotonic() + self._settings.transaction_timeout_s * 2
        while late := {topic for topic, end in (await self.ends(wanted)).items() if end < written[topic]}:
            if time.monotonic() > deadline:
                raise LogUnavailable(f"A transaction in {min(late)} has not come to its end.")
            wanted = sorted(late)
            await asyncio.sleep(SETTLE_POLL_S)

    async def first(self, topic: str) -> int:
        return (await self._opened.offsets({topic: EARLIEST}))[topic]

    async def end(self, topic: str) -> int:
        return (await self.ends([topic]))[topic]

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        wanted = frozenset(topics)
        shared = self._ends.get(wanted)
        if shared is None:
            if len(self._ends) >= SHARED_ENDS_MAX:
                self._ends.clear()
            shared = self._ends[wanted] = SharedAnswer(partial(self._ask_for_ends, wanted))
        return dict(await shared.get())

    async def _ask_for_ends(self, topics: frozenset[str]) -> dict[str, int]:
        return await self._opened.offsets(dict.fromkeys(topics, LATEST))

    async def offset_at(self, topic: str, recorded_at_ms: int) -> int:
        found = (await self._opened.offsets({topic: max(0, recorded_at_ms)}))[topic]
        return found if found >= 0 else await self.end(topic)

    def reader(self, positions: Mapping[str, int]) -> Reader:
        link = self._opened
        return KafkaReader(self._links, positions, lambda topic: bounds_of(link, topic))

    def processor(self, name: str) -> Processor:
        if not PROCESSOR_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no processor's name: use a-z, 0-9 and '-'.")
        self._opened  # noqa: B018
        return KafkaProcessor(self, self._settings, name)

    def begun(self, step: asyncio.Task[None]) -> None:
        """Take note of a processor's step that is under way."""
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)

    async def transaction_state(self, name: str) -> TransactionState | None:
        """Return how the last transaction of a processor's name stands."""
        return await self._opened.transaction_state(name)

    async def open_transactions(self, topics: Iterable[str], producer: ProducerIdentity) -> set[str]:
        """Return in which of `topics` a producer's transaction is open."""
        return await self._opened.open_transactions(topics, producer)

    async def unread(self) -> set[str]:
        """Return the topics that processors may write to in which something is written that cannot be read yet."""
        link = self._opened
        await link.refresh()
        wanted = {topic for topic in link.known() if not topic.startswith(MAILBOX)}
        # In this order: what is written in between is no matter.
        written, ends = await link.written_ends(wanted), await self.ends(wanted)
        return {topic for topic in wanted if ends[topic] < written[topic]}

    async def prepare_state(self, topic: str) -> str:
        """Make a processor's state topic where there is none; return which cluster's which topic it is."""
        await self.create_topics([topic])
        return str(await self._opened.topic_id(topic))

    def assignments(self, count: int, group: str = FORWARDERS) -> AsyncIterator[frozenset[int]]:
        return assigned(self, self._settings, count, group)

    async def make_shards(self, topic: str, count: int) -> None:
        """Make the topic over whose partitions shards are handed out. It never holds a record."""
        await topic_making.create(self._opened, self._settings, [topic], count)

    async def check(self) -> None:
        link = self._opened
        with translated("being written to"):
            answer = await link.describe(None)
        replicas = topic_making.replicas_of(self._settings, len(answer.brokers))
        needed = topic_making.in_sync_of(replicas)
        for code, name, _, partitions in answer.topics:
            if not name.startswith(self._settings.prefix) or code:
                continue
            for _, _, leader, copies, in_sync, _ in partitions:
                if leader == NO_LEADER or len(in_sync) < min(needed, len(copies)):
                    raise LogUnavailable(
                        f"{name} has {len(in_sync)} of {len(copies)} copies in sync, and needs {needed} to be written."
                    )

    async def survey(self) -> Survey:
        """Return what the brokers are and how they are set. Raises a `LogError`; changes nothing."""
        return await survey(self._opened)
