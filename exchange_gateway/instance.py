"""What this instance is: its name, its secrets' fingerprint, its shards. Written once to `control.instance`."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from broker_adapters.log import Log, NewRecord
from exchange_gateway.clock import Clock
from exchange_gateway.telemetry import log_event
from schemas.event import format_time
from schemas.identifiers import INSTANCE_TOPIC

SHARDS_ON_KAFKA = 16
SHARDS_EMBEDDED = 1
READ_TIMEOUT_S = 10.0


class AnotherInstance(Exception):
    """The log belongs to an instance with other secrets."""


@dataclass(frozen=True, slots=True)
class Instance:
    """As written at the first start. shards: into how many parts forwarding is cut, for ever."""

    name: str
    keys_fingerprint: str
    shards: int


async def read_instance(log: Log) -> Instance | None:
    """Return what `control.instance` says; None before the first start. Raises `LogError`."""
    end = await log.end(INSTANCE_TOPIC)
    async with log.reader({INSTANCE_TOPIC: await log.first(INSTANCE_TOPIC)}) as reader:
        while reader.positions()[INSTANCE_TOPIC] < end:
            for record in await reader.poll(timeout_s=READ_TIMEOUT_S):
                return instance_of(orjson.loads(record.value))
    return None


def instance_of(stored: dict[str, Any]) -> Instance:
    """Return the instance that a record of `control.instance` names."""
    return Instance(stored["instance"], stored["keysFingerprint"], stored["shards"])


async def join_instance(log: Log, fingerprint: str, shards: int, clock: Clock) -> Instance:
    """Return the log's instance, made now if there was none.

    Raises `AnotherInstance` when its secrets are not ours, `LogError`.
    """
    await log.create_topics([INSTANCE_TOPIC])
    found = await read_instance(log)
    if found is None:
        # The processor fences: of two gateways that start for the first time at once, one writes.
        async with log.processor("instance") as processor:
            found = await read_instance(log)
            if found is None:
                found = Instance(str(uuid4()), fingerprint, shards)
                await processor.commit(outputs=[(INSTANCE_TOPIC, _record(found, clock))], visible=True)
                log_event("instance_created", instance=found.name, shards=shards)
    if found.keys_fingerprint != fingerprint:
        raise AnotherInstance(
            f"The log belongs to instance {found.name}, whose secrets are others than ours. Copy that instance's "
            "instance.keys into this data folder, or name it with --keys."
        )
    return found


def _record(instance: Instance, clock: Clock) -> NewRecord:
    stored = {
        "instance": instance.name,
        "keysFingerprint": instance.keys_fingerprint,
        "shards": instance.shards,
        "createdAt": format_time(clock.now_us()),
    }
    return NewRecord(orjson.dumps(stored), instance.name.encode())
