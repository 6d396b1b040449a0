"""Replay a stopped instance's embedded log, straight from its data folder: the same bytes as over HTTP."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.log import LogFolderUnusable
from exchange_gateway.clock import Clock
from exchange_gateway.core.replay import parse_request
from exchange_gateway.replay import find_spans, replay

DATABASE = "log.sqlite3"


async def replay_folder(data: Path, filters: Mapping[str, str], out: BinaryIO, clock: Clock | None = None) -> None:
    """Write the records that `filters` select (named as in the HTTP API) to `out`.

    Raises `WrongParameter`, `LogLocked` while a gateway runs there, `LogFolderUnusable`, `LogDamaged`.
    """
    clock = clock or Clock()
    asked = parse_request(filters, clock.now_us())
    # Opening makes what is not there, and a replay must not make anything.
    if not (data / DATABASE).is_file():
        raise LogFolderUnusable(
            f"{data} holds no embedded log ({DATABASE}). Name the data folder of an instance; one on Kafka is "
            "replayed from a running gateway, with --to."
        )
    log = EmbeddedLog(data)
    await log.open()
    try:
        spans = await find_spans(log, asked, clock)
        async for chunk in replay(log, asked, spans):
            out.write(chunk)
    finally:
        await log.close()
