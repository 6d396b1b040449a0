"""Replay a stopped instance's embedded log, straight from its data folder: the same bytes as over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.log import LogFolderUnusable
from exchange_gateway.clock import Clock
from exchange_gateway.core.replay import parse_request
from exchange_gateway.core.replay_bounds import Bounds, whose
from exchange_gateway.instance import SHARDS_EMBEDDED, read_instance
from exchange_gateway.replay import find_spans, replay, resolve, spans_within
from exchange_gateway.workers.redecide import Verdict, check_forwarding

DATABASE = "log.sqlite3"


async def replay_folder(data: Path, filters: Mapping[str, str], out: BinaryIO, clock: Clock | None = None) -> None:
    """Write the records that `filters` select (named as in the HTTP API) to `out`.

    Raises `WrongParameter`, `LogLocked` while a gateway runs there, `LogFolderUnusable`, `LogDamaged`.
    """
    clock = clock or Clock()
    asked = parse_request(filters, clock.now_us())
    async with _stopped(data) as log:
        spans = await find_spans(log, asked, clock)
        async for chunk in replay(log, asked, spans):
            out.write(chunk)


async def bounds_of_folder(data: Path, filters: Mapping[str, str], clock: Clock | None = None) -> Bounds:
    """Fix where a replay begins and ends. Raises as `replay_folder` does."""
    async with _stopped(data) as log:
        instance = await read_instance(log)
        return (await resolve(log, filters, "" if instance is None else instance.name, clock or Clock()))[2]


async def replay_folder_within(data: Path, bounds: Bounds, out: BinaryIO, clock: Clock | None = None) -> None:
    """Write the records within bounds that were fixed before. Raises as `replay_folder` does."""
    asked = bounds.request((clock or Clock()).now_us())
    async with _stopped(data) as log:
        instance = await read_instance(log)
        whose(bounds, "" if instance is None else instance.name)
        async for chunk in replay(log, asked, await spans_within(log, bounds)):
            out.write(chunk)


async def check_folder(data: Path) -> Verdict:
    """Decide everything that was forwarded once more, and compare. Raises as `replay_folder` does."""
    async with _stopped(data) as log:
        return await check_forwarding(log, SHARDS_EMBEDDED, at_rest=True)


@asynccontextmanager
async def _stopped(data: Path) -> AsyncIterator[EmbeddedLog]:
    """Open a stopped instance's log."""
    # Opening makes what is not there, and a replay must not make anything.
    if not (data / DATABASE).is_file():
        raise LogFolderUnusable(
            f"{data} holds no embedded log ({DATABASE}). Name the data folder of an instance; one on Kafka is "
            "replayed from a running gateway, with --to."
        )
    log = EmbeddedLog(data)
    await log.open()
    try:
        yield log
    finally:
        await log.close()
