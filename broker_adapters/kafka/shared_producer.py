"""The one producer that all topics' appends share, and its replacement when it is spoiled."""

import asyncio
import time
from typing import Any

from broker_adapters.kafka import producers
from broker_adapters.kafka.settings import KafkaSettings
from broker_adapters.log import LogUnavailable


class Lease:
    """The use of a producer for one batch."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.users = 0
        self.retired = False


class SharedProducer:
    """Lends a producer out. A spoiled one is lent no more, and is dropped when its last batch is decided."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._current: Lease | None = None
        self._starting = asyncio.Lock()
        self._dropping: set[asyncio.Task[None]] = set()

    async def lease(self, deadline: float) -> Lease:
        """Return the present producer, starting one where there is none. Raises `LogUnavailable` at `deadline`."""
        lease = self._current or await self._start(deadline)
        lease.users += 1
        return lease

    async def _start(self, deadline: float) -> Lease:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())), self._starting:
                if self._current is None:
                    producer = producers.appending_producer(self._settings)
                    await producers.start(producer, self._settings, deadline)
                    self._current = Lease(producer)
                return self._current
        except TimeoutError:
            raise LogUnavailable(f"No Kafka answers at {self._settings.bootstrap}.") from None

    def give_back(self, lease: Lease, *, spoiled: bool) -> None:
        """End the use of a producer. spoiled: it failed a batch, so its sequence numbers have a hole."""
        lease.users -= 1
        lease.retired = lease.retired or spoiled
        if lease.retired and lease is self._current:
            self._current = None
        if lease.retired and lease.users == 0:
            task = asyncio.create_task(producers.drop(lease.producer))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def cut(self, lease: Lease) -> None:
        """Cut a producer off at once, so that nothing that it still holds is written later."""
        lease.retired = True
        await producers.drop(lease.producer)

    async def close(self) -> None:
        """Stop the present producer and wait for those that are being dropped."""
        current, self._current = self._current, None
        if current is not None:
            await producers.stop(current.producer)
        await asyncio.gather(*self._dropping)
