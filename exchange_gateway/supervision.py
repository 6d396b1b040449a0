"""Keep workers running: a worker that fails is told of, and started again after a growing pause."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from broker_adapters.log import LogClosed, LogError
from exchange_gateway.telemetry import Seldom, log_event

PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 10.0
HEALTHY_S = 30.0
"""A worker that ran this long before it failed begins with the short pause again."""


async def supervise(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a worker until it is cancelled or the log is closed."""
    loop = asyncio.get_running_loop()
    pause_s = PAUSE_FIRST_S
    away = Seldom("worker_failed")
    while True:
        began = loop.time()
        try:
            await run()
        except LogClosed:
            return
        except LogError as error:
            # While the log is away each attempt fails, and once is enough to know it.
            tell = away.tell if error.retryable else partial(log_event, "worker_failed", "warning")
            tell(worker=name, error=f"{type(error).__name__}: {error}"[:300])
        except Exception as error:  # noqa: BLE001  # whatever it was, the others must go on
            log_event("worker_failed", "error", worker=name, error=repr(error)[:500])
        else:
            return
        if loop.time() - began > HEALTHY_S:
            pause_s = PAUSE_FIRST_S
        await asyncio.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, pause_s * 2)
