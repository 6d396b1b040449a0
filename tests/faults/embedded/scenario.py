"""A little of everything that a log is asked for: single appends, many at once, batches, a processor, checkpoints."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.log import LogError
from tests.faults.embedded.ledger import OUTPUT, PROCESSOR, TOPIC, Ledger, read_all

CHECKPOINT_PAGES = 12
"""So few that checkpoints happen all the time."""


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes away, in memory where there is a place for it: these disks are not real anyway."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)


async def run(log: EmbeddedLog, ledger: Ledger, rounds: int = 3) -> None:
    """Use an open log; whatever fails with an error of the log is kept in the ledger, and the rest goes on."""
    with contextlib.suppress(LogError):
        await log.create_topics([TOPIC, OUTPUT])
    for number in range(rounds):
        name = b"%d" % number
        with contextlib.suppress(LogError):
            await read_all(log, TOPIC)  # so that a reader's connection is open too
        await ledger.append(log, b"one/" + name)
        await asyncio.gather(*(ledger.append(log, b"many/%d/" % caller + name) for caller in range(6)))
        await ledger.append(log, *(b"batch/%d/" % part + name + b"x" * 1500 for part in range(20)))
        with contextlib.suppress(LogError):
            async with log.processor(PROCESSOR) as processor:
                await ledger.step(processor)
                await asyncio.gather(ledger.append(log, b"beside/" + name), ledger.step(processor))


async def faults_found(folder: Path, ledger: Ledger) -> list[str]:
    """Open what lies in a folder, on a sound disk, append to it, and return what is wrong with it."""
    log = EmbeddedLog(folder)
    await log.open()
    try:
        await log.create_topics([TOPIC, OUTPUT])
        faults = await ledger.faults(log)
        if not await ledger.append(log, b"after/%d" % len(ledger.attempted)):
            faults.append("it does not go on")
    finally:
        await log.close()
    return faults
