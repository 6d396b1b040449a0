"""Decide the forwarder's steps once more, from nothing but the log, and compare.

For each record of `audit.forwarding` the same inputs, agreements and instant go through the same pure
decision. What differs from what the log holds was not decided by these rules.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

import orjson

from broker_adapters.log import Log, NewRecord, Record
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.forwarding import Basis, Place, Step, by_topic, decide_step, shard_of
from exchange_gateway.core.known_things import Known, load
from schemas.event import parse_time
from schemas.identifiers import AGREEMENTS_TOPIC, FORWARDING_TOPIC, parse_data_topic

READ_TIMEOUT_S = 5.0


class Redecided(NamedTuple):
    """One step, decided once more. offset: of its record in `audit.forwarding`. differences: in words."""

    offset: int
    differences: list[str]


class _Tally:
    """How many records there were, and a digest of them in their order: a million need not be kept to be compared."""

    def __init__(self) -> None:
        self.count, self.digest = 0, sha256()

    def add(self, records: Iterable[Record | NewRecord]) -> None:
        for record in records:
            self.count += 1
            for part in (record.key or b"", record.value):
                self.digest.update(len(part).to_bytes(4, "big") + part)

    def equals(self, other: "_Tally") -> bool:
        return (self.count, self.digest.digest()) == (other.count, other.digest.digest())


class Redecider:
    """Goes through one shard's steps in order, remembering of each of its things what the forwarder remembered."""

    def __init__(self, log: Log, shard: int, shards: int, *, at_rest: bool = True) -> None:
        self._log, self._shard, self._shards, self._at_rest = log, shard, shards, at_rest
        self._book = AgreementBook()
        self._known: dict[str, Known] = {}
        self._positions: dict[str, int] = {}
        self._outputs: dict[str, _Tally] = {}

    async def run(self) -> AsyncIterator[Redecided]:
        """Yield each step, and at last, with offset -1, what the alliances' topics hold otherwise."""
        key = str(self._shard).encode()
        async for record in self._all(FORWARDING_TOPIC):
            if record.key == key:
                yield Redecided(record.offset, await self._step(record))
        yield Redecided(-1, await self._topics_differ())

    async def _step(self, audited: Record) -> list[str]:
        told = orjson.loads(audited.value)
        await self._read_agreements(told["agreementsOffset"])
        records, differences = await self._inputs(told["inputs"])
        step = await self._decide(records, parse_time(told["at"]))
        self._known |= {thing: load(state) for thing, state in step.state().items()}
        for topic, outputs in step.outputs.items():
            self._outputs.setdefault(topic, _Tally()).add(outputs)
        if step.audit.value != audited.value:
            differences.append(f"decided now: {step.audit.value.decode()}")
        return differences

    async def _read_agreements(self, up_to: int) -> None:
        start = self._book.up_to_offset
        for record in await self._range(AGREEMENTS_TOPIC, start, up_to):
            self._book.apply(record.offset, record.value)
        self._book.read_up_to(up_to)

    async def _inputs(self, inputs: list[dict[str, object]]) -> tuple[list[Record], list[str]]:
        """Return the step's records; each topic's must go on from where the step before it ended."""
        records: list[Record] = []
        differences: list[str] = []
        for taken in inputs:
            topic, start, end = str(taken["topic"]), int(str(taken["from"])), int(str(taken["to"]))
            read = await self._range(topic, self._positions.get(topic, await self._log.first(topic)), end)
            if not read or read[0].offset != start:
                differences.append(f"{topic}: the step begins at {start}, the one before it did not end there")
            records += read
            self._positions[topic] = end
        return by_topic(records), differences

    async def _decide(self, records: list[Record], at_us: int) -> Step:
        basis = Basis.of(self._shard, at_us, self._book)
        earlier: dict[Place, Record] = {}
        while (step := decide_step(basis, records, self._known, earlier)).missing:
            for topic, offset in step.missing:
                earlier[topic, offset] = (await self._range(topic, offset, offset + 1))[0]
        return step

    async def _topics_differ(self) -> list[str]:
        """Compare what should have been appended with what the alliances' topics hold of this shard's owners."""
        topics = {topic for topic in await self._log.topics() if _is_alliance(topic)} | self._outputs.keys()
        differences = []
        for topic in sorted(topics):
            wanted, held = self._outputs.get(topic, _Tally()), _Tally()
            async for record in self._all(topic):
                if not self._at_rest and held.count == wanted.count:
                    # What follows was forwarded after the steps were read.
                    break
                held.add([record] if self._ours(record) else [])
            if not wanted.equals(held):
                differences.append(f"{topic}: {held.count} records, by the decisions {wanted.count}, or others")
        return differences

    def _ours(self, record: Record) -> bool:
        owner = (record.key or b"").decode().split("/")[0]
        return shard_of(owner, self._shards) == self._shard

    async def _all(self, topic: str) -> AsyncIterator[Record]:
        end = await self._log.end(topic)
        async with self._log.reader({topic: await self._log.first(topic)}) as reader:
            while reader.positions()[topic] < end:
                for record in await reader.poll(timeout_s=READ_TIMEOUT_S):
                    if record.offset < end:
                        yield record

    async def _range(self, topic: str, start: int, end: int) -> list[Record]:
        """Return the records of a topic from `start` up to, not including, `end`."""
        records: list[Record] = []
        async with self._log.reader({topic: start}) as reader:
            while reader.positions()[topic] < end:
                records += await reader.poll(timeout_s=READ_TIMEOUT_S)
        return [record for record in records if record.offset < end]


def _is_alliance(topic: str) -> bool:
    parts = parse_data_topic(topic)
    return parts is not None and parts.space == "alliance"


class Verdict(NamedTuple):
    """What came of deciding everything once more. differences: by offset in `audit.forwarding`; -1: of the topics."""

    steps: int
    differences: Mapping[int, list[str]]

    def lines(self) -> list[bytes]:
        """Return it as lines of JSON, the sum last."""
        found = [{"offset": offset, "difference": one} for offset, listed in self.differences.items() for one in listed]
        return [orjson.dumps(line) + b"\n" for line in (*found, {"steps": self.steps, "differences": len(found)})]


async def check_forwarding(log: Log, shards: int, *, at_rest: bool) -> Verdict:
    """Decide every step of every shard once more. at_rest: nothing is being forwarded meanwhile. Raises `LogError`."""
    found: dict[int, list[str]] = {}
    steps = 0
    for shard in range(shards):
        async for redecided in Redecider(log, shard, shards, at_rest=at_rest).run():
            steps += redecided.offset >= 0
            if redecided.differences:
                found.setdefault(redecided.offset, []).extend(redecided.differences)
    return Verdict(steps, found)


async def differences(log: Log, shards: int) -> Mapping[int, list[str]]:
    """Return what differs, by offset in `audit.forwarding`, over all shards; nothing when all is as decided."""
    return (await check_forwarding(log, shards, at_rest=True)).differences
