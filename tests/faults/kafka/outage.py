"""G7 at the log: brokers stop answering, or are killed, for a while: callers are told in time, and nothing is lost.

`python -m tests.faults.kafka.outage --times 3 --seconds 60`
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from broker_adapters import local_kafka
from broker_adapters.kafka import KafkaLog
from broker_adapters.log import LogUnavailable, NewRecord
from tests.faults.kafka.copying import opened

TOPIC = "pub.struer.job-order"
CALLERS = 16
DEADLINE_S = 3.0
PATIENCE_S = 1.5
"""What a caller may wait beyond the deadline before the test calls it late."""

Kind = Literal["stopped", "killed"]


@dataclass
class Ledger:
    """What callers were told."""

    acknowledged: Counter[bytes] = field(default_factory=Counter)
    undecided: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    first_after_s: float | None = None
    over: bool = False


@dataclass(frozen=True)
class Found:
    """What an outage came to."""

    seconds: float
    acknowledged: int
    undecided: int
    refused: int
    lost: int
    duplicates: int
    slowest_s: float
    drained_s: float

    @property
    def faultless(self) -> bool:
        """Whether all was told in time, nothing lost or repeated, and the rest soon done."""
        in_time = self.slowest_s <= DEADLINE_S + PATIENCE_S
        return not self.lost and not self.duplicates and in_time and self.drained_s <= 2 * self.seconds


class Caller:
    """A publisher: sends one record after another, and the same again until it is acknowledged."""

    def __init__(self, log: KafkaLog, number: int, ledger: Ledger) -> None:
        self._log, self._number, self._ledger = log, number, ledger
        self._sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, and what was begun to its end."""
        while not stop.is_set():
            self._sent += 1
            value = b"%d-%d" % (self._number, self._sent)
            while not await self._try(value):  # noqa: ASYNC110  # trying again is what is tested
                await asyncio.sleep(0.05)
            self._ledger.acknowledged[value] += 1
            await asyncio.sleep(0.005)

    async def _try(self, value: bytes) -> bool:
        began = time.monotonic()
        try:
            await self._log.append(TOPIC, [NewRecord(value)])
        except LogUnavailable as error:
            self._ledger.slowest_s = max(self._ledger.slowest_s, time.monotonic() - began)
            if not error.outcome_unknown:
                self._ledger.refused += 1
                return False
            self._ledger.undecided += 1
            return await self._was_written(value)
        return True

    async def _was_written(self, value: bytes) -> bool:
        """Find out what became of an undecided record, as the gateway does before it takes the same again."""
        while True:
            try:
                await self._log.settle([TOPIC])
                end = await self._log.end(TOPIC)
                async with self._log.reader({TOPIC: 0}) as reader:
                    while reader.positions()[TOPIC] < end:
                        if any(record.value == value for record in await reader.poll(timeout_s=1)):
                            return True
                    return False
            except LogUnavailable:
                await asyncio.sleep(0.1)


async def run(data: Path, seconds: float, kind: Kind) -> Found:
    """Have callers send before, during and after an outage, and compare what is there with what they were told."""
    bootstrap, prefix = local_kafka.status(data).bootstrap, f"outage-{uuid.uuid4().hex[:8]}."
    limits = {"append_deadline_s": DEADLINE_S, "request_timeout_s": 1.0}
    async with opened(bootstrap, prefix, data.parent / "state", **limits) as log:
        await log.create_topics([TOPIC])
        ledger, stop = Ledger(), asyncio.Event()
        callers = [asyncio.create_task(Caller(log, number, ledger).run(stop)) for number in range(CALLERS)]
        await asyncio.sleep(1)
        await asyncio.to_thread(local_kafka.pause if kind == "stopped" else local_kafka.kill, data)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(local_kafka.resume if kind == "stopped" else local_kafka.up, data)
        back = time.monotonic()
        stop.set()
        await asyncio.gather(*callers)
        return await compare(log, ledger, seconds, time.monotonic() - back)


async def compare(log: KafkaLog, ledger: Ledger, seconds: float, drained_s: float) -> Found:
    """Compare the topic with the ledger."""
    await log.settle([TOPIC])
    found: Counter[bytes] = Counter()
    end = await log.end(TOPIC)
    async with log.reader({TOPIC: 0}) as reader:
        while reader.positions()[TOPIC] < end:
            found.update(record.value for record in await reader.poll(timeout_s=1))
    return Found(
        seconds=seconds,
        acknowledged=len(ledger.acknowledged),
        undecided=ledger.undecided,
        refused=ledger.refused,
        lost=len(ledger.acknowledged - found),
        duplicates=sum(count - 1 for count in found.values()),
        slowest_s=round(ledger.slowest_s, 2),
        drained_s=round(drained_s, 2),
    )


def main() -> int:
    """Run from the command line on a Kafka of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    faultless = True
    with tempfile.TemporaryDirectory(prefix="kommunebro-faults-") as folder:
        data = Path(folder) / "kafka"
        local_kafka.up(data)
        try:
            for number in range(chosen.times):
                kind: Kind = "killed" if number % 2 else "stopped"
                found = asyncio.run(run(data, chosen.seconds, kind))
                print(f"{kind}: {found}")  # noqa: T201  # a command's answer
                faultless = faultless and found.faultless
        finally:
            local_kafka.kill(data)
    return 0 if faultless else 1


if __name__ == "__main__":
    sys.exit(main())
