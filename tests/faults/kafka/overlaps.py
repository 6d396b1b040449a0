"""G3: a processor starts while its predecessor still runs, as in a rolling restart; and the control of that test.

`python -m tests.faults.kafka.overlaps --times 50`, and with `--swapped` the processor that reads before it fences:
that one must repeat records, or this test could not find the fault.
"""

import asyncio
import random
import sys
from collections.abc import Callable
from pathlib import Path

from broker_adapters import local_kafka
from broker_adapters.kafka import KafkaLog
from broker_adapters.kafka.processor import KafkaProcessor
from broker_adapters.log import Fenced
from tests.faults.kafka.copying import NAME, Swapped, copy, opened
from tests.faults.kafka.stage import Outcome, Stage, campaign

OVERLAP_S = 0.3


def sound(log: KafkaLog) -> KafkaProcessor:
    """Return the adapter's own processor."""
    return KafkaProcessor(log, log._settings, NAME)


def swapped(log: KafkaLog) -> KafkaProcessor:
    """Return the control."""
    return Swapped(log, log._settings, NAME)


async def until_fenced(stage: Stage, number: int, make: Callable[[KafkaLog], KafkaProcessor]) -> None:
    """Copy, as on a machine of its own, until the next one takes over."""
    async with opened(stage.bootstrap, stage.prefix, stage.folder / f"machine-{number % 2}") as log:
        try:
            await copy(log, make(log))
        except Fenced:
            return


async def run(
    data: Path, times: int, chance: random.Random, make: Callable[[KafkaLog], KafkaProcessor] = sound
) -> Outcome:
    """Start so many processors, each while the one before still runs."""
    bootstrap = local_kafka.status(data).bootstrap
    async with Stage.set(bootstrap, data.parent / f"overlaps-{chance.random()}") as stage:
        running = [asyncio.create_task(until_fenced(stage, 0, make))]
        for number in range(1, times + 1):
            await stage.progress()
            await asyncio.sleep(chance.random() * OVERLAP_S)
            running.append(asyncio.create_task(until_fenced(stage, number, make)))
            stage.disruptions += 1
        await stage.progress()
        try:
            return await stage.outcome()
        finally:
            for task in running:
                # The last has nothing to copy any more, and does not learn that it was fenced.
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


if __name__ == "__main__":
    if "--swapped" in sys.argv:
        sys.argv.remove("--swapped")
        campaign(lambda data, times, chance: run(data, times, chance, swapped))
    else:
        campaign(run)
