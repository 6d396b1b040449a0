"""The bare reader as an app: FastAPI and aiokafka, one route that joins a topic's values as they are.

No token, no agreement, no filter, no cursor but an offset: the offset to go on from on a line of its own, then an
array of the values.
"""

import argparse
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI, Response

FETCH_BYTES_MAX = 4 * 1024 * 1024
WAIT_MS = 1_000


def bare_app(bootstrap: str, topic: str) -> FastAPI:
    """Return the app; it reads `topic`."""
    partition = TopicPartition(topic, 0)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
        )
        await consumer.start()
        consumer.assign([partition])
        app.state.consumer = consumer
        gc.collect()
        gc.freeze()
        yield
        await consumer.stop()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/v1/events")
    async def pull(offset: int, limit: int) -> Response:
        consumer: AIOKafkaConsumer = app.state.consumer
        # Whoever goes on where it stands finds what was fetched ahead.
        if offset == 0 or await consumer.position(partition) != offset:
            consumer.seek(partition, offset)
        batch = await consumer.getmany(partition, timeout_ms=WAIT_MS, max_records=limit)
        values = [record.value for records in batch.values() for record in records]
        following = await consumer.position(partition)
        return Response(b"%d\n[%b]" % (following, b",".join(values)), media_type="application/json")

    return app


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = bare_app(options.kafka, options.topic)
    uvicorn.run(app, port=options.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
