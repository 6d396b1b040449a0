"""Several forwarders on Kafka: each runs some of the shards, and what one leaves another takes up."""

import asyncio
from functools import partial
from pathlib import Path

from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.log import Log
from tests.contract.stores import KafkaStore
from tests.core.event_samples import event
from tests.workers.forwarding import SHARDS, VEST, agree, forwarder, publish, settled, shared

TAKEN_UP_WITHIN_S = 40.0


async def test_a_second_forwarder_takes_up_what_the_first_leaves(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    """Shards are handed out among forwarders, and when one ends the rest have them all, each event once."""
    store = KafkaStore(tmp_path, kafka_bootstrap, kafka_prefix)
    log = await store.open()
    await agree(log, VEST)
    others: list[tuple[Log, asyncio.Task[None]]] = []
    for number in range(2):
        other = KafkaLog(
            KafkaSettings(bootstrap=kafka_bootstrap, prefix=kafka_prefix, state_folder=tmp_path / f"other-{number}")
        )
        await other.open()
        run = forwarder(other, partial(other.assignments, SHARDS)).run()
        others.append((other, asyncio.create_task(run)))
        await publish(log, event(id=f"a{number}", minute=number), event(owner="0657", id=f"b{number}", minute=number))
        await settled(log, TAKEN_UP_WITHIN_S)
    for number, (leaving, task) in enumerate(others, 2):
        task.cancel()
        await asyncio.wait([task])
        await leaving.close()
        await publish(log, event(id=f"a{number}", minute=number), event(owner="0657", id=f"b{number}", minute=number))
        if number == 2:
            await settled(log, TAKEN_UP_WITHIN_S)
    assert sorted(one["id"] for one in await shared(log)) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    await store.close()
