"""The smallest forwarder: copies each record of `in` to `out` once, and counts in its state.

As a program it is what a test kills, stops and starts twice: `python -m tests.faults.kafka.copying BOOTSTRAP PREFIX
FOLDER`. It ends with FENCED when another has taken over, and begins anew when Kafka was away.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.log import Fenced, LogError, NewRecord, Processor

IN, OUT, NAME = "in", "out", "copier"
FENCED = 7
STEP_RECORDS = 20
RETRY_S = 0.2


@contextlib.asynccontextmanager
async def opened(bootstrap: str, prefix: str, folder: Path, **settings: Any) -> AsyncIterator[KafkaLog]:
    """Return an open log, closed at the end."""
    log = KafkaLog(replace(KafkaSettings(bootstrap=bootstrap, prefix=prefix, state_folder=folder), **settings))
    await log.open()
    try:
        yield log
    finally:
        await log.close()


async def copy(log: KafkaLog, processor: Processor, steps: int | None = None) -> None:
    """Copy until fenced, or so many steps."""
    async with processor, log.reader({IN: processor.positions().get(IN, 0)}) as reader:
        while steps is None or steps > 0:
            records = await reader.poll(records_max=STEP_RECORDS, timeout_s=0.5)
            if not records:
                continue
            copied = int((await processor.load(["copied"])).get("copied", b"0"))
            await processor.commit(
                outputs=[(OUT, NewRecord(record.value)) for record in records],
                state={"copied": b"%d" % (copied + len(records))},
                positions=reader.positions(),
            )
            steps = None if steps is None else steps - 1


async def copy_for_good(log: KafkaLog) -> None:
    """Copy until another takes over, whatever happens to Kafka meanwhile. Raises `Fenced`."""
    while True:
        try:
            await copy(log, log.processor(NAME))
        except Fenced:
            raise
        except LogError:
            await asyncio.sleep(RETRY_S)


class Swapped(KafkaProcessor):
    """A processor that is wrong on purpose: it reads where to go on before it fences its predecessor."""

    async def _begin(self) -> None:
        origin = await self._cluster.prepare_state(self._topic)
        await self._read_state(origin)
        await self._fence()


async def main() -> int:
    """Run as a program."""
    logging.disable(logging.CRITICAL)
    bootstrap, prefix, folder = sys.argv[1:]
    async with opened(bootstrap, prefix, Path(folder), start_deadline_s=60.0) as log:
        try:
            await copy_for_good(log)
        except Fenced:
            return FENCED
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
