"""Listing topics for many at once: never an answer from before the question, and not more often than needed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.log import LogClosed, LogUnavailable
from exchange_gateway.workers.fresh_topics import FreshTopics


class SlowLog(EmbeddedLog):
    """The embedded log, whose listing takes as long as Kafka's."""

    listings = 0

    async def topics(self) -> list[str]:
        self.listings += 1
        found = await super().topics()
        await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def log(tmp_path: Path) -> Any:
    """An open log."""
    found = SlowLog(tmp_path)
    await found.open()
    yield found
    await found.close()


async def test_many_share_a_listing(log: SlowLog) -> None:
    """Those who come together, and those who come while one is under way."""
    topics = FreshTopics(log)
    first = asyncio.create_task(topics.get())
    await asyncio.sleep(0.005)
    await asyncio.gather(first, *(topics.get() for _ in range(50)))
    assert log.listings == 2


async def test_a_topic_made_before_the_question_is_in_the_answer(log: SlowLog) -> None:
    """Also when a listing that does not see it is under way."""
    topics = FreshTopics(log)

    async def ask(number: int) -> bool:
        await asyncio.sleep(number / 2000)
        await log.create_topics([f"pub.{number:04}.visit"])
        return f"pub.{number:04}.visit" in await topics.get()

    assert all(await asyncio.gather(*(ask(number) for number in range(60))))
    assert log.listings < 30


async def test_whoever_gives_up_leaves_the_others_their_answer(log: SlowLog) -> None:
    """A client that goes away cancels its own question only."""
    topics = FreshTopics(log)
    gone, waiting = asyncio.create_task(topics.get()), asyncio.create_task(topics.get())
    await asyncio.sleep(0.002)
    gone.cancel()
    assert await waiting == frozenset()


async def test_an_error_is_everyones_and_the_next_listing_is_new(log: SlowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed once is asked again."""
    topics = FreshTopics(log)

    async def away() -> list[str]:
        raise LogUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(log, "topics", away)
        answers = await asyncio.gather(topics.get(), topics.get(), return_exceptions=True)
        assert [type(answer) for answer in answers] == [LogUnavailable, LogUnavailable]
    assert await topics.get() == frozenset()
    await log.close()
    with pytest.raises(LogClosed):
        await topics.get()
