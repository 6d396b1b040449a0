"""One client's connections to the cluster, and the questions that are asked over them.

A broker answers the requests of one connection in turn, so a reader that waits for records holds up
whatever else is asked over its connection: readers have links of their own.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from aiokafka import TopicPartition, errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from broker_adapters.kafka.faults import FENCED, MOVED, REFUSED, KafkaRefused, translate, translated
from broker_adapters.kafka.patience import close_client, make_patient, to_its_end
from broker_adapters.kafka.security import login_problem, tls_problem
from broker_adapters.kafka.settings import KafkaSettings
from broker_adapters.kafka.topic_ids import TopicIdRequest, topic_id_of
from broker_adapters.kafka.transaction_requests import (
    OpenTransactionsRequest,
    ProducerIdentity,
    TransactionState,
    TransactionStateRequest,
    open_in,
    state_of,
)
from broker_adapters.log import LogClosed, LogUnavailable, UnknownTopic

READ_COMMITTED = 1
EARLIEST, LATEST = -2, -1
CONSUMER, DEBUGGER = -1, -2
"""Who asks for an offset. To a debugger the end is that of all that was written, committed or not."""

NO_LEADER = -1
RETRY_S = 0.05
LOOKS = 3
"""How often a topic is looked for before it is called unknown."""


Answer = TypeVar("Answer")


class Link:
    """An aiokafka client that knows every topic of the cluster. Topics are named as in the log, without the prefix."""

    def __init__(self, settings: KafkaSettings, role: str) -> None:
        self._settings = settings
        self._role = role
        self.is_open = False
        self._is_wanted = False
        self._client: Any = None

    async def open(self) -> None:
        """Connect, trying until the deadline: aiokafka gives up at once when no broker is there.

        Raises `LogClosed` when it is closed meanwhile.
        """
        self._is_wanted = True
        deadline = time.monotonic() + self._settings.start_deadline_s
        while not self.is_open:
            arguments = self._settings.client_arguments(self._role)
            client = AIOKafkaClient(**arguments, retry_backoff_ms=int(RETRY_S * 1000))
            self._client = make_patient(client, logins_may_end=self._settings.logins_may_end)
            try:
                await to_its_end(self._connect())
            except BaseException as error:
                await self._let_go()
                if not isinstance(error, errors.KafkaError | OSError | TimeoutError):
                    raise
                await self._check_wanted()
                await self._check_security()
                if isinstance(error, REFUSED) or time.monotonic() + RETRY_S > deadline:
                    raise self._away(error) from error
                await asyncio.sleep(RETRY_S)
            await self._check_wanted()

    async def _check_wanted(self) -> None:
        if not self._is_wanted:
            await self._let_go()
            raise LogClosed("The log was closed.")

    async def _connect(self) -> None:
        await self._client.bootstrap()
        # A broker that does not take a token is gone only now.
        if not await self._client.force_metadata_update():
            raise errors.KafkaConnectionError
        self.is_open = True

    async def _check_security(self) -> None:
        """Raise why we are not let in: aiokafka tells of that as of a broker that is away."""
        context = self._settings.ssl_context
        if context is not None and (problem := await tls_problem(self._settings.bootstrap, context)):
            raise KafkaRefused(f"Kafka's TLS is refused at {problem}")
        if problem := await login_problem(self._settings):
            raise KafkaRefused(f"Kafka's login is refused at {problem}")

    def _away(self, error: BaseException) -> Exception:
        if isinstance(error, REFUSED):
            return translate(error, "connecting")
        if self._settings.tokens is not None and self._settings.tokens.problem is not None:
            return LogUnavailable(self._settings.tokens.problem)
        return LogUnavailable(
            f"No Kafka answers at {self._settings.bootstrap}. Is it running, and is the address right? "
            "`kommunebro kafka status` tells of a local one."
        )

    async def close(self) -> None:
        """Let go of every connection. Who is opening it is told, after a broker's answer or the time for one."""
        self._is_wanted = False
        await self._let_go()

    async def _let_go(self) -> None:
        self.is_open = False
        if self._client is not None:
            await close_client(self._client)

    def any_node(self) -> int:
        """Return one of the brokers. Raises `LogUnavailable` where none is known."""
        node: int | None = self._client.get_random_node()
        if node is None:
            raise LogUnavailable(f"No Kafka answers at {self._settings.bootstrap}.")
        return node

    @property
    def nodes(self) -> list[int]:
        """The brokers, by number."""
        return [broker.nodeId for broker in self._client.cluster.brokers()]

    def name(self, topic: str) -> str:
        """Return what a topic is called on the cluster."""
        return self._settings.prefix + topic

    def topic(self, name: str) -> str:
        """Return what the log calls the topic that the cluster calls `name`."""
        return name[len(self._settings.prefix) :]

    def known(self) -> set[str]:
        """Return all topics as last heard, without Kafka's own and those of other prefixes."""
        names = self._client.cluster.topics(exclude_internal_topics=True)
        return {self.topic(name) for name in names if name.startswith(self._settings.prefix)}

    async def refresh(self) -> None:
        """Ask for the cluster's present state. Raises `LogClosed` where nobody would answer any more."""
        if not self._is_wanted:
            raise LogClosed("The log is closed.")
        with translated("asking for its topics"):
            async with asyncio.timeout(self._settings.request_timeout_s):
                if not await self._client.force_metadata_update() and not (
                    self._settings.logins_may_end and await self._client.force_metadata_update()
                ):
                    raise LogUnavailable(f"No Kafka answers at {self._settings.bootstrap}.")

    async def ask(self, node: int, request: Any) -> Any:
        """Send one request to one broker and return its answer. Raises Kafka's own errors."""
        try:
            return await self._client.send(node, request)
        except errors.KafkaConnectionError:
            if not self._settings.logins_may_end:
                raise
            return await self._client.send(node, request)

    async def describe(self, topics: Iterable[str] | None, node: int | None = None) -> Any:
        """Return what a broker knows of `topics`, or of all; naming one does not create it. Kafka's names inside."""
        chosen = self.any_node() if node is None else node
        wanted = None if topics is None else [self.name(topic) for topic in topics]
        return await self.ask(chosen, MetadataRequest(wanted, allow_auto_topic_creation=False))

    async def topic_id(self, topic: str) -> UUID:
        """Return the id under which the cluster made `topic`: another after it was deleted and made again."""
        with translated(f"asking for {topic}"):
            found = topic_id_of(await self.ask(self.any_node(), TopicIdRequest(self.name(topic))))
        if found is None:
            raise UnknownTopic(topic)
        return found

    async def require(self, topic: str) -> int:
        """Return the broker that leads `topic`, or NO_LEADER. Raises `UnknownTopic`, `LogUnavailable`."""
        leader = self._leader(topic)
        for _ in range(LOOKS):
            if leader is not None:
                return leader
            await self.refresh()
            leader = self._leader(topic)
            if leader is None and len(self.nodes) > 1:
                # One broker may know of a new topic some milliseconds before another.
                await asyncio.sleep(RETRY_S)
        if leader is None:
            raise UnknownTopic(topic)
        return leader

    async def leader(self, topic: str) -> int:
        """Return the broker that leads `topic`. Raises `UnknownTopic`, `LogUnavailable`."""
        leader = await self.require(topic)
        if leader == NO_LEADER:
            self._client.force_metadata_update()
            raise LogUnavailable(f"No broker leads {topic} just now.")
        return leader

    def _leader(self, topic: str) -> int | None:
        leader: int | None = self._client.cluster.leader_for_partition(TopicPartition(self.name(topic), 0))
        return leader

    async def written_ends(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the offset after the last record written of each topic, readable or not."""
        return await self.offsets(dict.fromkeys(topics, LATEST), asker=DEBUGGER)

    async def offsets(self, wanted: Mapping[str, int], asker: int = CONSUMER) -> dict[str, int]:
        """Return the offset at each topic's time (ms, or EARLIEST or LATEST); -1 where there is none.

        All topics of one broker go in one request; tried until the request's deadline.
        """
        return await self._tried("asking for offsets", lambda: self._offsets_once(wanted, asker))

    async def _tried(self, doing: str, once: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer, or the request's deadline."""
        deadline = time.monotonic() + self._settings.request_timeout_s
        while True:
            try:
                async with asyncio.timeout_at(_loop_time(deadline)):
                    return await once()
            except (errors.KafkaError, LogUnavailable, OSError, TimeoutError) as error:
                if isinstance(error, REFUSED + FENCED) or time.monotonic() + RETRY_S > deadline:
                    raise translate(error, doing) from error
                if isinstance(error, MOVED):
                    await self.refresh()
            await asyncio.sleep(RETRY_S)

    async def _offsets_once(self, wanted: Mapping[str, int], asker: int) -> dict[str, int]:
        def question(topics: list[str]) -> OffsetRequest:
            return OffsetRequest(asker, READ_COMMITTED, [(self.name(topic), [(0, wanted[topic])]) for topic in topics])

        answers = await self._ask_leaders(wanted, question)
        found = {}
        for answer in answers:
            for name, partitions in answer.topics:
                _, code, _, offset = partitions[0]
                if code:
                    raise errors.for_code(code)(name)
                found[self.topic(name)] = offset
        return found

    async def _ask_leaders(self, topics: Iterable[str], question: Callable[[list[str]], Any]) -> list[Any]:
        """Ask each broker about those of `topics` that it leads, all at once."""
        by_leader: dict[int, list[str]] = defaultdict(list)
        for topic in topics:
            by_leader[await self.leader(topic)].append(topic)
        return await asyncio.gather(*(self.ask(node, question(led)) for node, led in by_leader.items()))

    async def open_transactions(self, topics: Iterable[str], producer: ProducerIdentity) -> set[str]:
        """Return in which of `topics` a producer's transaction is open, tried until the request's deadline.

        Raises `Fenced` where another has the producer's id by now.
        """
        wanted = list(topics)

        async def once() -> set[str]:
            answers = await self._ask_leaders(
                wanted, lambda led: OpenTransactionsRequest(self.name(topic) for topic in led)
            )
            return {self.topic(name) for answer in answers for name in open_in(answer, producer)}

        return await self._tried("asking for open transactions", once)

    async def transaction_state(self, transactional_id: str) -> TransactionState | None:
        """Return how the last transaction of an id stands; None where there was none."""

        async def once() -> TransactionState | None:
            name = self.name(transactional_id)
            node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, name)
            return state_of(await self.ask(node, TransactionStateRequest(name)))

        return await self._tried(f"asking for the transaction of {transactional_id}", once)


def _loop_time(deadline: float) -> float:
    return asyncio.get_running_loop().time() + deadline - time.monotonic()
