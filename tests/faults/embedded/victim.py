"""A process that appends under load and says what it was answered, until it is killed: `victim FOLDER RUN sound`.

With another third word it answers before it has written, so that those who look have something to find.

Lines on standard output: `T value` tried, `A offset value` answered, `t step` and `S step` for a processor's steps.
"""

import asyncio
import os
import random
import sys
from itertools import count
from pathlib import Path

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.log import Log, NewRecord
from tests.contract.broken import AcksBeforeDurable
from tests.faults.embedded.ledger import OUTPUT, OUTPUTS_A_STEP, PROCESSOR, TOPIC

CALLERS = 16
CHECKPOINT_PAGES = 128


def say(*words: object) -> None:
    """Write a line in one piece, so that the reader has all of it or knows that it does not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def append(log: Log, run: int, caller: int) -> None:
    """Append one batch after another."""
    chance = random.Random(caller)
    for number in count():
        values = [
            f"{run}/{caller}/{number}/{part}".ljust(chance.choice([20, 1300]), ".")
            for part in range(chance.randrange(1, 4))
        ]
        for value in values:
            say("T", value)
        offsets = await log.append(TOPIC, [NewRecord(value.encode()) for value in values])
        for offset, value in zip(offsets, values, strict=True):
            say("A", offset, value)


async def process(log: Log) -> None:
    """Commit one step after another."""
    async with log.processor(PROCESSOR) as processor:
        for step in count(processor.positions().get(TOPIC, 0) + 1):
            say("t", step)
            await processor.commit(
                outputs=[(OUTPUT, NewRecord(b"%d/%d" % (step, part))) for part in range(OUTPUTS_A_STEP)],
                state={"step": b"%d" % step},
                positions={TOPIC: step},
            )
            say("S", step)


async def main(folder: Path, run: int, adapter: type[EmbeddedLog]) -> None:
    """Go on until killed."""
    log = adapter(folder, checkpoint_pages=CHECKPOINT_PAGES)
    await log.open()
    await log.create_topics([TOPIC, OUTPUT])
    await asyncio.gather(process(log), *(append(log, run, caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), EmbeddedLog if sys.argv[3] == "sound" else AcksBeforeDurable))
