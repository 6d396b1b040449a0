"""The composition root: settings to log to workers to application. Opens in order, closes in reverse."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.kafka import KafkaLog
from broker_adapters.log import Log, LogError
from exchange_gateway.api.authentication import Authentication
from exchange_gateway.clock import Clock
from exchange_gateway.core.agreements import AgreementBook, known_fields
from exchange_gateway.core.forwarding import shard_of_topic
from exchange_gateway.core.subscriptions import CursorSigner
from exchange_gateway.data_folder import FolderLock, make_folder
from exchange_gateway.ingest import Ingest
from exchange_gateway.instance import SHARDS_EMBEDDED, SHARDS_ON_KAFKA, Instance, join_instance
from exchange_gateway.kafka_client import kafka_settings
from exchange_gateway.keys import FILE_NAME as KEYS_FILE
from exchange_gateway.keys import load_or_make_keys
from exchange_gateway.known_events import KnownEvents
from exchange_gateway.native_door.intake import GROUP, SHARDS, Intake, shard_of_mailbox
from exchange_gateway.native_door.mailboxes import keep_mailboxes
from exchange_gateway.serving import Server, address_of, listen, server_config
from exchange_gateway.settings import Settings, Tokens
from exchange_gateway.supervision import supervise
from exchange_gateway.telemetry import Metrics, log_event
from exchange_gateway.tokens import ISSUER, IssuerKeys, OwnKey, TokenChecker
from exchange_gateway.tracing import Tracer
from exchange_gateway.tuning import most_open_files, tune
from exchange_gateway.workers.agreement_writer import AgreementWriter
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.connector_index import ConnectorIndex
from exchange_gateway.workers.delivery import Delivery
from exchange_gateway.workers.event_index import EventIndex
from exchange_gateway.workers.forwarder import Forwarder
from exchange_gateway.workers.lags import Followed, Lags, Work
from exchange_gateway.workers.quarantine_index import QuarantineIndex
from exchange_gateway.workers.read_models import JobOrders
from exchange_gateway.workers.step_index import StepIndex
from exchange_gateway.workers.subscriptions import SubscriptionKeeper
from exchange_gateway.workers.tail import Tail
from exchange_gateway.workers.topic_index import TopicIndex
from schemas.identifiers import CONTROL_TOPICS
from schemas.registry import Registry

if TYPE_CHECKING:
    from exchange_gateway.spans import Tracing

FOLLOW_EVERY_S = 0.1
"""How often a gateway on Kafka looks for events that other gateways took in."""

READY_TIMEOUT_S = 3.0


class Gateway:
    """One gateway with all its parts. Use as an async context manager; see `serve` for the server."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.metrics = Metrics()
        self.version = version("kommunebro")
        self.tracing: Tracing | None = None
        self.forwarder: Forwarder | None = None
        self.intake: Intake | None = None
        self.registry = Registry.load(settings.cvr_modulus)
        self.known_fields = known_fields(
            (name, self.registry.schema(name, number)) for name, number in self.registry.list()
        )
        self._closing = AsyncExitStack()
        self._started = False

    async def __aenter__(self) -> Self:
        """Open everything. Raises `LogError`, `KeysUnusable`, `AnotherInstance`."""
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _open(self) -> None:
        data = self.settings.data
        make_folder(data)
        lock = FolderLock(data / "gateway.lock")
        lock.acquire()
        self._closing.callback(lock.release)
        self.keys, _ = load_or_make_keys(self.settings.keys or data / KEYS_FILE)
        self.tracing = make_tracing(self.settings, self.metrics)
        if self.tracing is not None:
            self._closing.push_async_callback(self._last, "tracing", partial(asyncio.to_thread, self.tracing.close))
        self.authentication = Authentication(self._token_checker(), self.settings.limits, self.clock)
        self.log = make_log(self.settings, data / "log-state")
        self._closing.push_async_callback(self._last, "log", self.log.close)
        await self.log.open()
        self.instance = await self._join()
        self.known = KnownEvents(data, self.instance.name)
        self.known.open()
        self._closing.push_async_callback(self._last, "known_events", self.known.close)
        self.ingest = Ingest(
            self.log, self.registry, self.known,
            digest_key=self.keys.digest, limits=self.settings.limits, clock=self.clock, metrics=self.metrics,
            tracing=self.tracing,
        )  # fmt: skip
        await self.ingest.start()
        self.books = BookKeeper(self.log)
        await self.books.fresh()
        self.agreements = AgreementWriter(self.log, self.books, self.known_fields, self.clock)
        self.job_orders = JobOrders(self.log, data, self.instance.name)
        await self.job_orders.open()
        self._closing.push_async_callback(self._last, "job_orders", self.job_orders.close)
        await self._open_indexes()
        self.tracer = Tracer(
            self.log, self.ingest, self.known, self.events, self.steps, self.books,
            digest_key=self.keys.digest, clock=self.clock,
        )  # fmt: skip
        self.subscriptions = SubscriptionKeeper(self.log, self.clock, data, self.instance.name)
        await self.subscriptions.open()
        self._closing.push_async_callback(self._last, "subscriptions", self.subscriptions.close)
        self.cursors = CursorSigner(self.keys.digest)
        self.tail = Tail(self.log)
        self.delivery = Delivery(self.log, self.books, self.tail, self.clock)
        self._start_workers()
        self._started = True
        log_event("gateway_started", instance=self.instance.name, kafka=self.settings.kafka_bootstrap is not None)

    async def _open_indexes(self) -> None:
        data, instance = self.settings.data, self.instance.name
        self.steps = StepIndex(self.log, data, instance)
        self.quarantine = QuarantineIndex(self.log, data, instance)
        self.connectors = ConnectorIndex(self.log, data, instance)
        self.events = EventIndex(self.log, data, instance, self.keys.digest)
        indexes: tuple[TopicIndex | EventIndex, ...] = (self.steps, self.quarantine, self.connectors, self.events)
        for index in indexes:
            await index.open()
            self._closing.push_async_callback(self._last, type(index).__name__, index.close)

    def _token_checker(self) -> TokenChecker:
        tokens: Tokens = self.settings.tokens
        if tokens.issuer is not None and tokens.jwks_url is not None:
            keys = IssuerKeys(tokens.jwks_url, self.clock)
            return TokenChecker(keys, issuer=tokens.issuer, audience=tokens.audience, clock=self.clock)
        return TokenChecker(OwnKey(self.keys.signing), issuer=ISSUER, audience=tokens.audience, clock=self.clock)

    async def _join(self) -> Instance:
        await self.log.create_topics(CONTROL_TOPICS)
        shards = SHARDS_EMBEDDED if self.settings.kafka_bootstrap is None else SHARDS_ON_KAFKA
        return await join_instance(self.log, self.keys.fingerprint, shards, self.clock)

    def _start_workers(self) -> None:
        self._work("job_orders", self.job_orders.run)
        self._work("tail", self.tail.run)
        self._work("step_index", self.steps.run)
        self._work("quarantine_index", self.quarantine.run)
        self._work("connector_index", self.connectors.run)
        self._work("event_index", self.events.run)
        if self.settings.forwarder:
            self.forwarder = make_forwarder(self.log, self.instance, self.clock, self.metrics, self.tracing)
            self._work("forwarder", self.forwarder.run)
        if self.settings.kafka_bootstrap is not None:
            self._work("follower", self._follow)
        if self.settings.intake and isinstance(self.log, KafkaLog):
            self._work("mailboxes", partial(keep_mailboxes, self.log, self.books))
            self.intake = Intake(
                self.log,
                self.ingest,
                event_bytes_max=self.settings.limits.event_bytes_max,
                metrics=self.metrics,
                assignments=partial(self.log.assignments, SHARDS, GROUP),
            )
            self._work("intake", self.intake.run)
        self.lags = self._lags()
        self._work("lags", self.lags.run)

    def _lags(self) -> Lags:
        works = []
        if self.forwarder is not None:
            owner = partial(shard_of_topic, shards=self.instance.shards)
            works.append(Work("forwarder", self.forwarder.committed, owner))
        if self.intake is not None:
            works.append(Work(GROUP, self.intake.committed, shard_of_mailbox))
        return Lags(self.log, works, self.clock, self.metrics, Followed(self.subscriptions, self.books))

    def _work(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(supervise(name, run), name=name)

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._closing.push_async_callback(self._last, name, stop)

    async def _follow(self) -> None:
        """Keep the index of known events current with what other gateways append."""
        while True:
            await self.ingest.catch_up(grace_s=FOLLOW_EVERY_S)
            await asyncio.sleep(FOLLOW_EVERY_S)

    async def fresh_book(self) -> AgreementBook:
        """Return the agreements as they are in the log now."""
        return await self.books.fresh()

    async def not_ready(self) -> list[str]:
        """Return why requests cannot be served now; empty when they can."""
        if not self._started:
            return ["The gateway is still reading what the log holds."]
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self.log.check()
        except TimeoutError:
            return [f"The log did not answer within {READY_TIMEOUT_S:g} seconds."]
        except LogError as error:
            return [str(error)]
        return []

    async def _close(self) -> None:
        await self._closing.aclose()
        if self._started:
            self._started = False
            log_event("gateway_closed")

    @staticmethod
    async def _last(name: str, close: Callable[[], Awaitable[None]]) -> None:
        """Close one part; a failure is told of and does not keep the others open."""
        try:
            await close()
        except Exception as error:  # noqa: BLE001  # the rest must be closed too
            log_event("shutdown_step_failed", "error", step=name, error=repr(error)[:300])


def make_log(settings: Settings, state_folder: Path) -> Log:
    """Return the log that the settings choose, not opened yet."""
    if settings.kafka_bootstrap is None:
        return EmbeddedLog(settings.data)
    return KafkaLog(kafka_settings(settings, state_folder))


def make_tracing(settings: Settings, metrics: Metrics) -> "Tracing | None":
    """Return what makes spans; None where they are sent nowhere, and then its libraries are not even loaded."""
    telemetry = settings.telemetry
    if telemetry.otlp_endpoint is None:
        return None
    from exchange_gateway.spans import Tracing  # noqa: PLC0415

    return Tracing(
        telemetry.otlp_endpoint, ratio=telemetry.sample_ratio, version=version("kommunebro"), metrics=metrics
    )


def make_forwarder(
    log: Log, instance: Instance, clock: Clock, metrics: Metrics, tracing: "Tracing | None" = None
) -> Forwarder:
    """Return a forwarder: of all shards on the embedded log, of those that Kafka hands it otherwise."""
    assignments = partial(log.assignments, instance.shards) if isinstance(log, KafkaLog) else None
    return Forwarder(
        log, shards=instance.shards, clock=clock, metrics=metrics, assignments=assignments, tracing=tracing
    )


async def serve(settings: Settings, on_started: Callable[[Gateway, str], Awaitable[None]] | None = None) -> None:
    """Run a gateway until it is told to stop (SIGTERM, SIGINT).

    Raises `PortInUse`, `LogError`, `KeysUnusable`, `AnotherInstance`.
    """
    # The application knows the gateway, not the other way round.
    from exchange_gateway.api.app import App  # noqa: PLC0415
    from exchange_gateway.api.direct import DirectProtocol  # noqa: PLC0415

    listening = listen(settings.host, settings.port)
    try:
        async with Gateway(settings) as gateway:
            app = App(gateway, most_open_files())
            server = Server(server_config(app, DirectProtocol, settings))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, server.stop)
            tune()
            if on_started is not None:
                await on_started(gateway, address_of(listening))
            await server.serve(sockets=[listening])
    finally:
        listening.close()
