"""G3: a copying program is killed at any instant and started again: nothing is missing, nothing there twice.

`python -m tests.faults.kafka.kills --times 200`
"""

import asyncio
import random
from pathlib import Path

from broker_adapters import local_kafka
from tests.faults.kafka.stage import Outcome, Stage, campaign

UNDER_LOAD_S = 0.4
WHILE_STARTING_S = 1.2
WHILE_STARTING = 0.3
"""Which part of the kills may come while the program is still starting."""


async def run(data: Path, times: int, chance: random.Random) -> Outcome:
    """Kill the program so many times."""
    bootstrap = local_kafka.status(data).bootstrap
    async with Stage.set(bootstrap, data.parent / f"kills-{chance.random()}") as stage:
        for number in range(times):
            copier = await stage.copier(f"machine-{number % 2}")
            if chance.random() < WHILE_STARTING:
                await asyncio.sleep(chance.random() * WHILE_STARTING_S)
            else:
                await stage.progress()
                await asyncio.sleep(chance.random() * UNDER_LOAD_S)
            copier.kill()
            await copier.wait()
            stage.disruptions += 1
        await stage.copier()
        return await stage.outcome()


if __name__ == "__main__":
    campaign(run)
