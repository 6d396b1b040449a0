"""The open load: each event has its moment, whether or not the ones before it were answered."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def on_schedule(count: int, per_s: float, one: Callable[[int, float], Coroutine[Any, Any, T]]) -> list[T]:
    """Start `one(number, due)` at each number's moment, and return what came of all. due: by `time.perf_counter`."""
    start = time.perf_counter() + 0.1
    tasks = []
    for number in range(count):
        due = start + number / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))
    return list(await asyncio.gather(*tasks))
