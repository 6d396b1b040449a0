"""G3: brokers of a cluster of three are killed under load and started again: nothing missing, nothing twice.

`python -m tests.faults.kafka.broker_kills --times 20`
"""

import asyncio
import random
from pathlib import Path

from broker_adapters import local_kafka
from tests.faults.kafka.copying import copy_for_good, opened
from tests.faults.kafka.stage import Outcome, Stage, campaign

UNDER_LOAD_S = 0.5
BROKERS = 3


async def run(data: Path, times: int, chance: random.Random) -> Outcome:
    """Kill so many brokers, one at a time."""
    bootstrap = local_kafka.status(data).bootstrap
    folder = data.parent / f"brokers-{chance.random()}"
    async with Stage.set(bootstrap, folder) as stage, opened(bootstrap, stage.prefix, folder / "copier") as log:
        copier = asyncio.create_task(copy_for_good(log))
        for _ in range(times):
            await stage.progress()
            await asyncio.sleep(chance.random() * UNDER_LOAD_S)
            await asyncio.to_thread(local_kafka.kill, data, chance.randint(1, BROKERS))
            stage.disruptions += 1
            await stage.progress()
            await asyncio.to_thread(local_kafka.up, data)
        try:
            return await stage.outcome()
        finally:
            copier.cancel()
            await asyncio.gather(copier, return_exceptions=True)


if __name__ == "__main__":
    campaign(run, BROKERS)
