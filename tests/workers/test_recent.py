"""What is asked for again and again is brought up to date beside those who ask, and they wait only where it is old."""

import asyncio

import pytest

from broker_adapters.log import LogUnavailable
from exchange_gateway.workers import recent
from exchange_gateway.workers.recent import AGAIN_S, RECENT_S, Recently


class Refreshing:
    """Something to call: it counts, and goes on only where it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.may = asyncio.Event()
        self.may.set()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.calls += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error


async def test_all_who_ask_at_first_wait_for_one_call() -> None:
    """And those who ask while it goes on wait for the same one."""
    refreshing = Refreshing()
    refreshing.may.clear()
    recently = Recently(refreshing, lambda: 100.0)
    asking = [asyncio.create_task(recently.refreshed()) for _ in range(5)]
    await asyncio.sleep(0)
    asking.append(asyncio.create_task(recently.refreshed()))
    await asyncio.sleep(0)
    refreshing.may.set()
    await asyncio.gather(*asking)
    await recently.refreshed()
    assert refreshing.calls == 1


async def test_nobody_waits_while_it_is_looked_ahead() -> None:
    """A slow answer costs those who ask nothing, until what is kept is too old."""
    refreshing, now_s = Refreshing(), 100.0
    recently = Recently(refreshing, lambda: now_s)
    await recently.refreshed()
    refreshing.may.clear()
    now_s += AGAIN_S
    await recently.refreshed()
    await asyncio.sleep(0)
    assert refreshing.calls == 2
    now_s += RECENT_S - AGAIN_S
    waiting = asyncio.create_task(recently.refreshed())
    await asyncio.sleep(0)
    assert not waiting.done()
    refreshing.may.set()
    await waiting
    assert refreshing.calls == 2


async def test_a_log_that_does_not_answer_is_told_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long is told so, an error is told as it is, and the next one asks again."""
    monkeypatch.setattr(recent, "PATIENCE_S", 0.05)
    refreshing = Refreshing()
    refreshing.may.clear()
    recently = Recently(refreshing)
    with pytest.raises(LogUnavailable):
        await recently.refreshed()
    refreshing.error = LogUnavailable("No Kafka answers.")
    monkeypatch.undo()
    asking = asyncio.create_task(recently.refreshed())
    await asyncio.sleep(0)
    refreshing.may.set()
    with pytest.raises(LogUnavailable, match="No Kafka"):
        await asking
    refreshing.error = None
    await recently.refreshed()
    assert refreshing.calls == 2


async def test_a_log_that_fails_at_once_is_not_asked_again_at_once() -> None:
    """While what is kept will still do; afterwards everybody is told."""
    refreshing, now_s = Refreshing(), 100.0
    recently = Recently(refreshing, lambda: now_s)
    await recently.refreshed()
    refreshing.error = LogUnavailable("No Kafka answers.")
    for _ in range(20):
        now_s += RECENT_S / 40
        await recently.refreshed()
        await asyncio.sleep(0)
    now_s += RECENT_S / 4
    await recently.refreshed()
    assert refreshing.calls == 2
    now_s += RECENT_S / 2
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="No Kafka"):
            await recently.refreshed()
    assert refreshing.calls == 4
