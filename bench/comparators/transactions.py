"""The bare loop: read a partition, send each record on to some topics in a transaction, commit, go on.

No routing, no state, no agreements, no fencing order: consume, `send()`, commit. It prints what it did as JSON.
"""

import argparse
import json

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

FETCH_BYTES_MAX = 4 * 1024 * 1024
BATCH_BYTES_MAX = 128 * 1024
RETRY_BACKOFF_MS = 10
"""New partitions in a transaction are retried; with the client's default of 100 ms the loop mostly waits."""


async def forward(bootstrap: str, inputs: dict[str, int], outputs: list[str], records: int, step: int) -> int:
    """Send `records` records of `inputs` (topic to first offset) to each of `outputs`; return how many were read."""
    name = "bare-loop"
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        transactional_id=name,
        max_batch_size=BATCH_BYTES_MAX,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=name,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
    )
    await producer.start()
    await consumer.start()
    try:
        partitions = {TopicPartition(topic, 0): offset for topic, offset in inputs.items()}
        consumer.assign(list(partitions))
        for partition, offset in partitions.items():
            consumer.seek(partition, offset)
        handled = 0
        while handled < records:
            handled += await _step(consumer, producer, outputs, step, name)
        return handled
    finally:
        await consumer.stop()
        await producer.stop()


async def _step(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, outputs: list[str], step: int, group: str
) -> int:
    batch = await consumer.getmany(timeout_ms=1000, max_records=step)
    if not batch:
        return 0
    async with producer.transaction():
        for records in batch.values():
            for record in records:
                for output in outputs:
                    await producer.send(output, record.value, key=record.key)
        positions = {partition: records[-1].offset + 1 for partition, records in batch.items()}
        await producer.send_offsets_to_transaction(positions, group)
    return sum(map(len, batch.values()))


def main() -> None:
    """Forward until all of `--records` went through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--inputs", required=True, help="JSON: topic to first offset")
    parser.add_argument("--outputs", required=True, help="topics, separated by commas")
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--step", type=int, default=500, help="records a transaction")
    options = parser.parse_args()
    outputs = options.outputs.split(",")
    handled = uvloop.run(forward(options.kafka, json.loads(options.inputs), outputs, options.records, options.step))
    print(json.dumps({"records": handled}))


if __name__ == "__main__":
    main()
