"""Turn and turn about: each round every contender once, and the order turned round each time."""

import statistics
from collections.abc import Callable, Mapping
from typing import TypeVar

from bench.processes import Server

T = TypeVar("T")

SETTLE_TRIES = 60


def alternate(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Return each contender's results, in rounds."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            results[name].append(contenders[name]())
    return results


def settle(server: Server, sleep: Callable[[float], None], *, busy_below: float = 0.1) -> None:
    """Wait until a server that has just started is idle: what it catches up on is not what is measured."""
    for _ in range(SETTLE_TRIES):
        before = server.cpu_seconds()
        sleep(0.5)
        if (server.cpu_seconds() - before) / 0.5 < busy_below:
            return


def median(values: list[float]) -> float:
    """Return the median, 0 of nothing."""
    return statistics.median(values) if values else 0.0
