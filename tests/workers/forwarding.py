"""What the forwarder's tests share: publish, let it run, and see what came of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from broker_adapters.log import Log
from exchange_gateway.clock import Clock
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.telemetry import Metrics
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.forwarder import Assignments, Forwarder
from exchange_gateway.workers.redecide import differences
from schemas.event import Event
from schemas.identifiers import AGREEMENTS_TOPIC, FORWARDING_TOPIC, alliance_topic
from tests.contract.stores import PATIENCE_S, read_all
from tests.core.agreement_samples import agreement, put
from tests.core.event_samples import published, topic_of

SHARDS = 2
ALL: dict[str, Any] = {
    name: {} for name in ("job-order", "visit", "company-contact", "company-cooperation", "job-order-response")
}
VEST = agreement(shares=ALL)


def forwarder(log: Log, assignments: Assignments | None = None, **settings: Any) -> Forwarder:
    clock = settings.pop("clock", None) or Clock()
    return Forwarder(
        log, shards=SHARDS, clock=clock, metrics=settings.pop("metrics", None) or Metrics(), assignments=assignments,
        **settings,
    )  # fmt: skip


@asynccontextmanager
async def running(log: Log, **settings: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a forwarder for the length of a block."""
    task = asyncio.create_task(forwarder(log, **settings).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def agree(log: Log, *bodies: dict[str, Any]) -> AgreementBook:
    """Write agreements, each as its alliance's next version."""
    await log.create_topics([AGREEMENTS_TOPIC, FORWARDING_TOPIC])
    book = await BookKeeper(log).fresh()
    for body in bodies:
        newest = book.newest(body["id"])
        decision = put(book, body, seen=newest.etag if newest else None)
        await log.append(AGREEMENTS_TOPIC, [decision.record])  # type: ignore[union-attr]
    return book


async def publish(log: Log, *events: Event) -> None:
    """Append events to their publishers' topics, as the gateway does."""
    await log.create_topics({topic_of(one) for one in events})
    by_topic: dict[str, list[Event]] = {}
    for one in events:
        by_topic.setdefault(topic_of(one), []).append(one)
    for topic, listed in by_topic.items():
        await log.append(topic, [published(one) for one in listed])


async def shared(log: Log, alliance: str = "vest", name: str = "job-order") -> list[dict[str, Any]]:
    """Return the events in an alliance's topic; none when there is no such topic."""
    topic = alliance_topic(alliance, name)
    return [json.loads(one.value) for one in await read_all(log, topic)] if topic in await log.topics() else []


async def audits(log: Log) -> list[dict[str, Any]]:
    return [json.loads(one.value) for one in await read_all(log, FORWARDING_TOPIC)]


async def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Wait until an awaitable condition holds."""
    async with asyncio.timeout(patience_s):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in the log
            await asyncio.sleep(0.02)


async def all_decided(log: Log) -> bool:
    """Whether there is a decision on record for everything that was published."""
    decided: dict[str, int] = {}
    for step in await audits(log):
        for taken in step["inputs"]:
            decided[taken["topic"]] = max(decided.get(taken["topic"], 0), taken["to"])
    topics = [topic for topic in await log.topics() if topic.startswith("pub.")]
    return all(decided.get(topic, 0) >= end for topic, end in (await log.ends(topics)).items())


async def settled(log: Log, patience_s: float = PATIENCE_S) -> None:
    """Wait until everything published is decided, then hold the log to what the decisions are."""
    await until(lambda: all_decided(log), patience_s)
    assert await differences(log, SHARDS) == {}
