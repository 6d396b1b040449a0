"""A forwarder in a process of its own, for tests that kill it or put it to sleep.

`python -m tests.workers.forwarder_process kafka BOOTSTRAP PREFIX STATE_FOLDER` forwards until killed.
`python -m tests.workers.forwarder_process embedded FOLDER COUNT` publishes too, up to COUNT events, and
ends when all are decided on.
"""

import asyncio
import sys
from pathlib import Path

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.kafka import KafkaLog, KafkaSettings
from tests.core.event_samples import event, published
from tests.workers.forwarding import all_decided, running, until

TOPIC = "pub.0671.job-order"
BATCH = 20


async def on_kafka(bootstrap: str, prefix: str, state_folder: Path) -> None:
    log = KafkaLog(KafkaSettings(bootstrap=bootstrap, prefix=prefix, state_folder=state_folder))
    await log.open()
    async with running(log, step_records=50):
        sys.stdout.write("forwarding\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def on_the_embedded_log(folder: Path, count: int) -> None:
    log = EmbeddedLog(folder)
    await log.open()
    async with running(log, step_records=17):
        sys.stdout.write("forwarding\n")
        sys.stdout.flush()
        while (number := await log.end(TOPIC)) < count:
            events = [event(id=str(one), minute=one) for one in range(number, min(number + BATCH, count))]
            await log.append(TOPIC, [published(one) for one in events])
            await asyncio.sleep(0.005)
        await until(lambda: all_decided(log))
    await log.close()


if __name__ == "__main__":
    if sys.argv[1] == "kafka":
        asyncio.run(on_kafka(sys.argv[2], sys.argv[3], Path(sys.argv[4])))
    else:
        asyncio.run(on_the_embedded_log(Path(sys.argv[2]), int(sys.argv[3])))
