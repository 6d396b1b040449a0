"""A stage for faults: a stream of records to copy, programs that copy it, and the count of what came of it."""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, Self

from broker_adapters import local_kafka
from broker_adapters.kafka import KafkaLog
from broker_adapters.log import LogError, LogUnavailable, NewRecord
from tests.faults.kafka.copying import IN, NAME, OUT, opened

FEED_S = 0.01
SETTLE_S = 60.0


class Outcome(NamedTuple):
    """What a campaign found."""

    disruptions: int
    records: int
    missing: int
    duplicates: int
    out_of_order: int
    miscounted: bool

    @property
    def faultless(self) -> bool:
        """Whether each record was copied once, in order, and counted."""
        return not (self.missing or self.duplicates or self.out_of_order or self.miscounted)


class Stage:
    """One prefix on one cluster, with a stream of records into `in`."""

    def __init__(self, bootstrap: str, folder: Path, log: KafkaLog, prefix: str) -> None:
        self.bootstrap, self.folder, self.log, self.prefix = bootstrap, folder, log, prefix
        self.disruptions = 0
        self._fed = 0
        self._feeding: asyncio.Task[None] | None = None
        self._copiers: list[asyncio.subprocess.Process] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def set(cls, bootstrap: str, folder: Path) -> AsyncIterator[Self]:
        """Set the stage; the stream runs until the end of the context, or `stop`."""
        prefix = f"faults-{uuid.uuid4().hex[:8]}."
        async with opened(bootstrap, prefix, folder / "own", start_deadline_s=60.0) as log:
            await log.create_topics([IN, OUT])
            stage = cls(bootstrap, folder, log, prefix)
            stage._feeding = asyncio.create_task(stage._feed())
            try:
                yield stage
            finally:
                await stage.stop()
                await stage._end_copiers()

    async def _end_copiers(self) -> None:
        for copier in self._copiers:
            # One that has nothing to copy does not learn that it was fenced.
            with contextlib.suppress(ProcessLookupError):
                copier.kill()
            await copier.wait()

    async def _feed(self) -> None:
        while True:
            records = [NewRecord(b"%d" % (self._fed + number)) for number in range(5)]
            self._fed += len(records)
            while True:
                try:
                    await self.log.append(IN, records)
                    break
                except LogUnavailable as error:
                    if error.outcome_unknown:
                        await self._settled()
                        break
                    await asyncio.sleep(FEED_S)
            await asyncio.sleep(FEED_S)

    async def _settled(self) -> None:
        while True:
            try:
                return await self.log.settle([IN])
            except LogError:
                await asyncio.sleep(FEED_S)

    async def stop(self) -> None:
        """Stop the stream."""
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)

    async def copier(self, folder: str = "copier") -> asyncio.subprocess.Process:
        """Start a program that copies. folder: its state folder, as it were its machine."""
        program = (sys.executable, "-m", "tests.faults.kafka.copying")
        copier = await asyncio.create_subprocess_exec(*program, self.bootstrap, self.prefix, str(self.folder / folder))
        self._copiers.append(copier)
        return copier

    async def progress(self, records: int = 1) -> None:
        """Wait until that many more records have been copied."""
        wanted = await self._end(OUT) + records
        async with asyncio.timeout(SETTLE_S):
            while await self._end(OUT) < wanted:  # noqa: ASYNC110  # what others do is seen only by looking
                await asyncio.sleep(0.02)

    async def _end(self, topic: str) -> int:
        """Return a topic's end, however long Kafka is away."""
        if self._feeding is not None and self._feeding.done() and not self._feeding.cancelled():
            self._feeding.result()
        while True:
            try:
                return await self.log.end(topic)
            except LogUnavailable:
                await asyncio.sleep(FEED_S)

    async def outcome(self) -> Outcome:
        """Stop the stream, wait until all of it is copied, and compare."""
        await self.stop()
        await self._settled()
        sent = await self.values(IN)
        deadline = time.monotonic() + SETTLE_S
        while len(await self.values(OUT)) < len(sent) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)
        copied = await self.values(OUT)
        counted = await self._counted()
        twice = sum(count - 1 for count in Counter(copied).values())
        first_of_each = list(dict.fromkeys(copied))
        return Outcome(
            disruptions=self.disruptions,
            records=len(sent),
            missing=len(set(sent) - set(copied)),
            duplicates=twice,
            out_of_order=sum(1 for one, other in zip(sent, first_of_each, strict=False) if one != other),
            miscounted=counted != len(sent),
        )

    async def _counted(self) -> int:
        async with self.log.processor(NAME) as processor:
            return int((await processor.load(["copied"])).get("copied", b"0"))

    async def values(self, topic: str) -> list[bytes]:
        """Return all that can be read of a topic now."""
        found: list[bytes] = []
        end = await self._end(topic)
        async with self.log.reader({topic: 0}) as reader:
            while reader.positions()[topic] < end:
                with contextlib.suppress(LogUnavailable):
                    found += [record.value for record in await reader.poll(timeout_s=1)]
        return found


def campaign(run: Callable[[Path, int, random.Random], Coroutine[Any, Any, Outcome]], brokers: int = 1) -> None:
    """Run a campaign from the command line on a Kafka of its own, and print what it found."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kommunebro-faults-") as folder:
        data = Path(folder) / "kafka"
        local_kafka.up(data, brokers)
        try:
            outcome = asyncio.run(run(data, chosen.times, random.Random(chosen.seed)))
        finally:
            local_kafka.kill(data)
    print(f"seed {chosen.seed}: {outcome}")  # noqa: T201  # a command's answer
    sys.exit(0 if outcome.faultless else 1)
