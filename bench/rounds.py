"""Turn and turn about: each round every contender once, and the order turned round each time."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from bench.ground import Ground
from bench.processes import Server

T = TypeVar("T")

SETTLE_TRIES = 1_800
"""A quarter of an hour: so long a read model may take for a million events, which it reads with half a processor."""


def alternate(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Return each contender's results, in rounds."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            results[name].append(contenders[name]())
    return results


def settle(server: Server, ground: Ground, *, busy_below: float = 0.1) -> None:
    """Wait until a server that has just started is idle: what it catches up on is not what is measured."""
    for _ in range(0 if ground.quick else SETTLE_TRIES):
        before = server.cpu_seconds()
        time.sleep(0.5)
        if (server.cpu_seconds() - before) / 0.5 < busy_below:
            return
