"""Work that is cut into shards: run those that are assigned to this process, each again after whatever goes wrong.

A shard is a processor of the log's, so whoever starts it fences whoever ran it before: safety never depends on who
was told to run what.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from collections.abc import Set as AbstractSet

from broker_adapters.log import Fenced, Log, LogClosed, LogError, LogUnavailable
from exchange_gateway.core.agreements import UnreadableAgreement
from exchange_gateway.telemetry import LogEvent, Seldom, log_event

PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 5.0
"""Between two attempts at a shard after an error of the log; doubled each time."""

FENCED_REST_S = 2.0
"""Who was fenced is usually told next that the shard is another's. If not, it takes it back after this."""

Assignments = Callable[[], AsyncIterator[AbstractSet[int]]]
"""Gives the shards that this process is to run, and gives them again whenever that changes."""


def all_of(shards: int) -> Assignments:
    """Return what assigns every shard: for a process that nobody shares the work with."""

    async def assigned() -> AsyncIterator[AbstractSet[int]]:
        yield set(range(shards))
        await asyncio.Event().wait()

    return assigned


class Shards:
    """Keeps the assigned shards running. run_shard: runs one until it is cancelled, or raises.

    committed: of each shard that is run here, the offsets up to which it has come, by topic; kept by `run_shard`, and
    forgotten when the shard goes elsewhere. fenced, failed: the log lines that tell of a shard that another took over,
    or that begins again.
    """

    def __init__(
        self,
        log: Log,
        run_shard: Callable[[int], Awaitable[None]],
        committed: MutableMapping[int, dict[str, int]],
        *,
        name: str,
        fenced: LogEvent,
        failed: LogEvent,
    ) -> None:
        self._log, self._run_shard, self._committed, self._name = log, run_shard, committed, name
        self._fenced: LogEvent = fenced
        self._failed: LogEvent = failed
        self._away = Seldom(failed)

    async def run(self, assignments: Assignments) -> None:
        """Run until cancelled. Raises `LogError` when the log does not say which shards to run."""
        running: dict[int, asyncio.Task[None]] = {}
        try:
            async for assigned in assignments():
                await stop(*(running.pop(shard) for shard in running.keys() - assigned))
                for shard in sorted(assigned - running.keys()):
                    running[shard] = asyncio.create_task(self._hold(shard), name=f"{self._name}-{shard}")
        finally:
            await stop(*running.values())

    async def _hold(self, shard: int) -> None:
        self._committed[shard] = {}
        try:
            await self._keep(shard)
        finally:
            self._committed.pop(shard, None)

    async def _keep(self, shard: int) -> None:
        """Run a shard, again and again after whatever goes wrong, until cancelled or the log is closed."""
        pause_s = PAUSE_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                await self._run_shard(shard)
            except Fenced:
                log_event(self._fenced, "warning", shard=shard)
                pause_s = max(pause_s, FENCED_REST_S)
            except LogClosed as error:
                if await self._log_is_closed():
                    return
                self._away.tell(shard=shard, error=f"LogClosed: {error}"[:300])
            except LogUnavailable as error:
                # All shards fail at once, and again and again until the log is back.
                self._away.tell(shard=shard, error=f"{type(error).__name__}: {error}"[:300])
            except (LogError, UnreadableAgreement) as error:
                log_event(self._failed, "warning", shard=shard, error=f"{type(error).__name__}: {error}"[:300])
            except Exception as error:  # noqa: BLE001  # a shard that nobody runs is worse than one that tries again
                log_event(self._failed, "error", shard=shard, error=repr(error)[:300])
            if loop.time() - began_s > 2 * PAUSE_MAX_S:
                pause_s = PAUSE_FIRST_S
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 2)

    async def _log_is_closed(self) -> bool:
        try:
            await self._log.topics()
        except LogClosed:
            return True
        except LogError:
            return False
        return False


async def stop(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have let go of their shards."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
