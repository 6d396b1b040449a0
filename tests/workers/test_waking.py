"""Those who wait are woken in turn: the longest first, and no faster than they can be served."""

import asyncio

from exchange_gateway.workers.waking import AT_ONCE, Waking


async def waiting(waking: Waking, count: int, came: list[int]) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        await waking.wait(["topic"], 20)
        came.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_few_are_woken_without_a_pause() -> None:
    """Nobody waits for a timer."""
    came: list[int] = []
    waking = Waking(every_s=10)
    tasks = await waiting(waking, AT_ONCE, came)
    waking.goes_on("topic")
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert came == list(range(AT_ONCE))


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
    async with asyncio.timeout(5):
        await waking.wait(["topic"], 0.01)
        await waking.turn(20)
