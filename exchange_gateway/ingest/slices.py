"""Many events at once, in slices, so that whoever sends them does not hold up the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice

from exchange_gateway.core.access import Principal
from exchange_gateway.ingest.outcomes import Arrival, Outcome

SLICE_EVENTS = 100
"""Events that are handled before others get their turn: some 3 ms."""

Handle = Callable[[Principal, Iterable[Arrival | bytes]], Awaitable[list[Outcome]]]


async def in_slices(handle: Handle, principal: Principal, arrivals: Iterator[Arrival | bytes]) -> list[Outcome]:
    """Hand events to `handle` in slices, in order, and return every outcome."""
    tasks = []
    while arrivals_slice := list(islice(arrivals, SLICE_EVENTS)):
        tasks.append(asyncio.ensure_future(handle(principal, arrivals_slice)))
        # The slice is examined, and its appends are under way in order, before the next one begins.
        await asyncio.sleep(0)
    return [outcome for outcomes in await asyncio.gather(*tasks) for outcome in outcomes]
