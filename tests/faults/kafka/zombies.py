"""G3: a copying program is stopped, another takes over, the first wakes up: it is fenced and writes nothing.

`python -m tests.faults.kafka.zombies --times 50`
"""

import asyncio
import random
import signal
from pathlib import Path

from broker_adapters import local_kafka
from tests.faults.kafka.copying import FENCED
from tests.faults.kafka.stage import Outcome, Stage, campaign

UNDER_LOAD_S = 0.3

WOKEN_S = 60.0
"""Far more than a zombie needs to find out: what takes longer is a fault."""


async def run(data: Path, times: int, chance: random.Random) -> Outcome:
    """Stop, replace and wake so many programs."""
    bootstrap = local_kafka.status(data).bootstrap
    async with Stage.set(bootstrap, data.parent / f"zombies-{chance.random()}") as stage:
        newest = await stage.copier("machine-0")
        for number in range(1, times + 1):
            await stage.progress()
            await asyncio.sleep(chance.random() * UNDER_LOAD_S)
            zombie = newest
            zombie.send_signal(signal.SIGSTOP)
            newest = await stage.copier(f"machine-{number % 2}")
            await stage.progress()
            zombie.send_signal(signal.SIGCONT)
            async with asyncio.timeout(WOKEN_S):
                assert await zombie.wait() == FENCED
            stage.disruptions += 1
        return await stage.outcome()


if __name__ == "__main__":
    campaign(run)
