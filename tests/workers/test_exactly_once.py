"""Each event is forwarded exactly once, in order: across kills, zombies, overlapping starts and a broker's death.

Short forms of the campaigns, each with all that was published counted by its ids, as a reader of committed
records sees them. The control shows that the overlap test would notice: with the two steps of starting
swapped it must see duplicates.
"""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import apsw

from broker_adapters import local_kafka
from broker_adapters.embedded.database import fetch
from broker_adapters.embedded.processor import EmbeddedProcessor
from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.log import Log, LogUnavailable, Processor
from schemas.event import Event
from tests.contract.broken import WithProcessor
from tests.contract.stores import EmbeddedStore, KafkaStore, Store
from tests.core.event_samples import event
from tests.workers.forwarding import VEST, agree, publish, running, settled, shared, until

OWNERS = ("0671", "0657")
TOPICS = tuple(f"pub.{owner}.job-order" for owner in OWNERS)


class Published:
    """What was published so far; every event has the next number of its owner."""

    def __init__(self, log: Log) -> None:
        self._log, self.count = log, 0

    async def more(self, events: int) -> None:
        """Publish some events of each owner; while the log does not answer, the same again until it does."""
        numbers = range(self.count, self.count + events)
        for owner in OWNERS:
            listed = [event(owner=owner, subject=str(n % 5), id=str(n), minute=n) for n in numbers]
            while not await self._published(listed):  # noqa: ASYNC110  # the log says nothing when it is back
                await asyncio.sleep(0.2)
        self.count += events

    async def _published(self, events: list[Event]) -> bool:
        try:
            await publish(self._log, *events)
        except LogUnavailable:
            return False
        return True

    async def ids(self) -> dict[str, list[int]]:
        arrived = await shared(self._log)
        return {owner: [int(one["id"]) for one in arrived if one["owner"] == owner] for owner in OWNERS}

    async def exactly_once(self, patience_s: float = 60) -> None:
        """Wait until all is decided, and hold that each event arrived once and in order."""
        await settled(self._log, patience_s)
        assert await self.ids() == {owner: list(range(self.count)) for owner in OWNERS}


@asynccontextmanager
async def publishing(log: Log) -> AsyncIterator[Published]:
    """Publish at a calm pace for the length of a block."""
    published = Published(log)
    stopped = asyncio.Event()

    async def go_on() -> None:
        while not stopped.is_set():
            await published.more(10)
            await asyncio.sleep(0.03)

    await log.create_topics([*TOPICS, "alliance.vest.job-order"])
    task = asyncio.create_task(go_on())
    try:
        yield published
    finally:
        stopped.set()
        await task


async def overlapping_starts(
    log: Log, opened: Callable[[], Awaitable[Log]], starts: int, least_s: float = 0.2
) -> Published:
    """Start one forwarder after another, each while its predecessor still runs: for `least_s` and up to 0.4 s more."""
    await agree(log, VEST)
    chance = random.Random(7)
    async with publishing(log) as published:
        before: asyncio.Task[None] | None = None
        for _ in range(starts):
            successor = asyncio.create_task(_run(await opened()))
            await asyncio.sleep(least_s + chance.random() * 0.4)
            if before is not None:
                before.cancel()
                await asyncio.wait([before])
            before = successor
        await asyncio.sleep(0.3)
        assert before is not None
        before.cancel()
        await asyncio.wait([before])
    return published


async def _run(log: Log) -> None:
    async with running(log, step_records=5):
        await asyncio.Event().wait()


async def test_overlapping_starts_forward_exactly_once(store: Store) -> None:
    """Rolling restarts, each successor starting while its predecessor runs, lose nothing and repeat nothing."""
    log = await store.open()
    published = await overlapping_starts(log, lambda: store.second(log), starts=6)
    async with running(await store.second(log)):
        await published.exactly_once()
    assert published.count > 50


class SwappedEmbedded(EmbeddedProcessor):
    """Reads where its predecessor had come to before it fences it."""

    async def __aenter__(self) -> Self:
        positions, state = await self._engine.read(_peek, self._name)
        await asyncio.sleep(0.15)  # a client takes its time to start
        await super().__aenter__()
        self._positions, self._stale = positions, state
        return self

    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self._stale[key] for key in keys if key in self._stale}


def _peek(connection: apsw.Connection, name: str) -> tuple[dict[str, int], dict[str, bytes]]:
    return (
        dict(fetch(connection, "SELECT topic, next FROM position WHERE processor = ?", (name,))),
        dict(fetch(connection, "SELECT key, value FROM state WHERE processor = ?", (name,))),
    )


class SwappedKafka(KafkaProcessor):
    """Reads where its predecessor had come to before it fences it."""

    async def _begin(self) -> None:
        await self._read_state(await self._cluster.prepare_state(self._topic))
        await asyncio.sleep(0.3)  # a broker takes its time to answer: the predecessor forwards meanwhile
        await self._fence()


class SwappedKafkaLog(KafkaLog):
    """A Kafka log that starts its processors in the wrong order."""

    def processor(self, name: str) -> Processor:
        return SwappedKafka(self, self._settings, name)


async def test_control_the_wrong_order_of_starting_repeats_events_on_the_embedded_log(tmp_path: Path) -> None:
    """The overlap test sees duplicates when positions are read before the predecessor is fenced."""
    store = EmbeddedStore(tmp_path, lambda folder: WithProcessor(SwappedEmbedded, folder))
    log = await store.open()
    try:
        published = await overlapping_starts(log, lambda: store.second(log), starts=4)
        assert any(len(ids) > len(set(ids)) for ids in (await published.ids()).values())
    finally:
        await store.close()


async def test_control_the_wrong_order_of_starting_repeats_events_on_kafka(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    """The overlap test sees duplicates when positions are read before the predecessor is fenced."""
    store = KafkaStore(tmp_path, kafka_bootstrap, kafka_prefix)
    log = await store.open()
    opened: list[Log] = []

    async def swapped() -> Log:
        settings = KafkaSettings(
            bootstrap=kafka_bootstrap, prefix=kafka_prefix, state_folder=tmp_path / f"swapped-{len(opened)}"
        )
        opened.append(SwappedKafkaLog(settings))
        await opened[-1].open()
        return opened[-1]

    try:
        published = await overlapping_starts(log, swapped, starts=4, least_s=1.5)
        assert any(len(ids) > len(set(ids)) for ids in (await published.ids()).values())
    finally:
        for one in opened:
            await one.close()
        await store.close()


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.workers.forwarder_process", *arguments,
        cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"forwarding\n"
    return process


async def _kill(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_kills_of_the_process_on_the_embedded_log(tmp_path: Path) -> None:
    """A gateway's process that publishes and forwards, killed at random instants, forwards each event once."""
    store = EmbeddedStore(tmp_path)
    log = await store.open("pub.0671.job-order", "pub.0657.job-order")
    await agree(log, VEST)
    await log.close()
    folder = tmp_path / "1"
    chance = random.Random(11)
    for _ in range(8):
        process = await _start("embedded", str(folder), "6000")
        await asyncio.sleep(0.05 + chance.random() * 0.25)
        await _kill(process)
    process = await _start("embedded", str(folder), "1500")
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    log = await store.open()
    await settled(log)
    ids = [int(one["id"]) for one in await shared(log)]
    assert ids == list(range(len(ids)))
    assert len(ids) >= 1500
    await store.close()


async def test_kills_and_zombies_of_forwarders_on_kafka(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    """Forwarders killed at random, and others put to sleep, replaced and woken, forward each event once."""
    store = KafkaStore(tmp_path, kafka_bootstrap, kafka_prefix)
    log = await store.open()
    await agree(log, VEST)
    chance = random.Random(13)
    processes: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        state_folder = tmp_path / f"process-{len(processes)}"
        processes.append(await _start("kafka", kafka_bootstrap, kafka_prefix, str(state_folder)))
        return processes[-1]

    try:
        async with publishing(log) as published:
            for turn in range(6):
                process = await start()
                await asyncio.sleep(0.3 + chance.random() * 0.7)
                if turn % 2:
                    process.send_signal(signal.SIGSTOP)
                    successor = await start()
                    await asyncio.sleep(0.5)
                    process.send_signal(signal.SIGCONT)
                    await asyncio.sleep(0.5)
                    await _kill(successor)
                await _kill(process)
        async with running(log):
            await published.exactly_once()
    finally:
        for process in processes:
            if process.returncode is None:
                await _kill(process)
        await store.close()
    assert published.count > 100


async def test_a_broker_killed_under_load_costs_nothing_that_was_published(tmp_path: Path) -> None:
    """While the broker is away nothing moves; when it is back all that was published is forwarded once."""
    data = tmp_path / "broker"
    bootstrap = (await asyncio.to_thread(local_kafka.up, data)).bootstrap
    log = KafkaLog(KafkaSettings(bootstrap=bootstrap, state_folder=tmp_path / "state"))
    try:
        await log.open()
        await agree(log, VEST)
        await log.create_topics([*TOPICS, "alliance.vest.job-order"])
        published = Published(log)
        async with running(log, step_records=20):
            await published.more(200)
            await until(lambda: shared(log))
            await asyncio.to_thread(local_kafka.kill, data)
            more = asyncio.create_task(published.more(100))
            await asyncio.sleep(1)
            assert not more.done()
            await asyncio.to_thread(local_kafka.up, data)
            await more
            await published.exactly_once()
    finally:
        await log.close()
        await asyncio.to_thread(local_kafka.kill, data)
