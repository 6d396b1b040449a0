"""aiokafka's producers: made, started with patience, and got rid of when they can no longer be trusted."""

import asyncio
import contextlib
import time
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer, errors

from broker_adapters.kafka.faults import REFUSED, translate
from broker_adapters.kafka.patience import CLOSE_S, close_client, make_patient, to_its_end
from broker_adapters.kafka.settings import KafkaSettings

RETRY_S = 0.05

TRANSACTION_RETRY_MS = 10
"""A partition that is new to a transaction is often refused at first; aiokafka's 100 ms would be the pace."""


class _Pending(set[Any]):
    """The batches that aiokafka has sent: it takes one out once more when that fails while waiting to be sent again."""

    remove = set.discard


def appending_producer(settings: KafkaSettings) -> Any:
    """Return a producer for `append`: durable on all in-sync replicas, each batch written once."""
    return _patient(settings, AIOKafkaProducer(**_arguments(settings, "append"), enable_idempotence=True))


def transactional_producer(settings: KafkaSettings, name: str) -> Any:
    """Return a producer for the processor `name`."""
    return _patient(
        settings,
        AIOKafkaProducer(
            **_arguments(settings, name),
            transactional_id=settings.prefix + name,
            transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
            retry_backoff_ms=TRANSACTION_RETRY_MS,
        ),
    )


def _arguments(settings: KafkaSettings, role: str) -> dict[str, Any]:
    return {**settings.client_arguments(role), "acks": "all", "max_batch_size": settings.batch_bytes_max}


def _patient(settings: KafkaSettings, producer: Any) -> Any:
    make_patient(producer.client, logins_may_end=settings.logins_may_end)
    # aiokafka gives a batch up after one request's timeout when its topic has no leader just then, and has
    # used its sequence number by that time: every later batch is out of order (aiokafka's issue 1017).
    producer._message_accumulator._batch_ttl = settings.undecided_s_max  # noqa: SLF001
    producer._message_accumulator._pending_batches = _Pending()  # noqa: SLF001
    return producer


async def start(producer: Any, settings: KafkaSettings, deadline: float) -> None:
    """Start a producer, trying until `deadline` (monotonic): aiokafka gives up at once without a broker.

    On an error the producer is dropped.
    """
    while True:
        try:
            await to_its_end(producer.client.bootstrap())
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                # What is left of starting: it gets the producer's id, and may wait long for it.
                await producer._sender.start()  # noqa: SLF001
                return
        except (errors.KafkaError, OSError, TimeoutError) as error:
            if isinstance(error, REFUSED) or time.monotonic() + RETRY_S > deadline:
                await drop(producer)
                raise translate(error, f"starting to write to {settings.bootstrap}") from error
        except BaseException:
            await drop(producer)
            raise
        await asyncio.sleep(RETRY_S)


async def end_transaction(producer: Any, *, commits: bool = True) -> None:
    """Commit the producer's transaction, or roll it back. Raises Kafka's own errors."""
    try:
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    except errors.KafkaError as error:
        if isinstance(error.__cause__, errors.UnknownError):
            # Kafka 4.3 answers so while it is fencing the one who commits: its coordinator stumbles over its own
            # pending transition (PREPARE_EPOCH_FENCE). To begin anew would take the name back from who has it.
            raise errors.ProducerFenced from error
        raise


async def stop(producer: Any) -> None:
    """Let a producer finish what it has, for a moment, then drop it."""
    with contextlib.suppress(errors.KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await producer.flush()
    await drop(producer)


async def drop(producer: Any) -> None:
    """Cut a producer's connections, so that nothing more of it can reach a broker.

    aiokafka's own `stop` waits for what may never be delivered.
    """
    producer._closed = True  # noqa: SLF001
    sender = producer._sender.sender_task  # noqa: SLF001
    await close_client(producer.client)
    if sender is not None:
        sender.cancel()
        await asyncio.wait([sender], timeout=CLOSE_S)
    _fail(producer)


def _fail(producer: Any) -> None:
    """Fail every batch that was not decided: else who waits for one would wait for ever."""
    accumulator = producer._message_accumulator  # noqa: SLF001
    batches = [*accumulator._pending_batches, *chain.from_iterable(accumulator._batches.values())]  # noqa: SLF001
    accumulator.fail_all(errors.ProducerClosed())
    futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]  # noqa: SLF001
    for future in (*futures, producer._txn_manager._transaction_waiter):  # noqa: SLF001
        # Looked at, so that asyncio does not complain where nobody waits.
        if future is not None and future.done() and not future.cancelled():
            future.exception()
