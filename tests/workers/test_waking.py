"""Those who wait are woken in turn: the longest first, a few in a turn of the loop, and all of them soon."""

import asyncio

from exchange_gateway.workers.waking import AT_ONCE, IN_A_TURN, Waking


async def waiting(waking: Waking, count: int, came: list[int]) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        await waking.wait(["topic"], 20)
        came.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_few_are_woken_without_a_pause_and_in_short_turns() -> None:
    """Nobody waits for a timer, and no turn of the loop has more than a few."""
    came: list[int] = []
    waking = Waking(every_s=10)
    tasks = await waiting(waking, AT_ONCE, came)
    waking.goes_on("topic")
    before, turns = 0, 0
    while len(came) < AT_ONCE:
        await asyncio.sleep(0)
        assert len(came) - before <= IN_A_TURN
        before, turns = len(came), turns + 1
        assert turns < 10 * AT_ONCE
    assert came == list(range(AT_ONCE))
    await asyncio.gather(*tasks)


async def test_many_are_woken_at_the_pace_that_was_set() -> None:
    """All are woken, in order, and not faster than so."""
    came: list[int] = []
    every_s, count = 0.01, AT_ONCE + 20
    waking = Waking(every_s)
    tasks = await waiting(waking, count, came)
    began_s = asyncio.get_running_loop().time()
    waking.goes_on("topic")
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
    assert came == list(range(count))
    assert asyncio.get_running_loop().time() - began_s >= every_s * (count - AT_ONCE - 1)


async def test_who_waited_long_enough_goes_on() -> None:
    """Also where nothing came, and whoever has a turn of nobody else's does not wait."""
    waking = Waking(every_s=10)
    await waking.wait(["topic"], 0.01)
    await waking.turn(20)
