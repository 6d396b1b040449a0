"""The bare reader: `getmany` over some topics to their end, counting; prints records and seconds as JSON."""

import argparse
import json
import time

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_BYTES_MAX = 4 * 1024 * 1024


async def read(bootstrap: str, topics: list[str]) -> tuple[int, float]:
    """Return how many records `topics` hold, and the seconds from the first call of `getmany` to the last record."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, 0) for topic in topics]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, beginning in (await consumer.beginning_offsets(partitions)).items():
            consumer.seek(partition, beginning)
        return await _count(consumer, ends)
    finally:
        await consumer.stop()


async def _count(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> tuple[int, float]:
    started = last = time.perf_counter()
    counted = 0
    waiting = {partition for partition, end in ends.items() if end}
    while waiting:
        batch = await consumer.getmany(timeout_ms=200)
        for records in batch.values():
            counted += len(records)
        if batch:
            last = time.perf_counter()
        # By position, not by the last record's offset: the end may be a transaction's marker.
        waiting = {partition for partition in waiting if await consumer.position(partition) < ends[partition]}
    return counted, last - started


def main() -> None:
    """Read everything once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--topics", required=True, help="separated by commas")
    options = parser.parse_args()
    records, seconds = uvloop.run(read(options.kafka, options.topics.split(",")))
    print(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main()
