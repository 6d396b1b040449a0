"""A topic of a municipality's own Kafka as a source: records with JSON, each the state of a thing, in their order."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from municipality_connectors.mapping.plan import Plan
from municipality_connectors.sources.documents import cells_at
from municipality_connectors.sources.portion import Done, MarkOf, Portion
from municipality_connectors.tables import BadCell, Cell, Row, SourceError, Table

RECORDS_AT_ONCE = 5_000
"""Records of one reading; the next follows at once while there are more."""

BYTES_AT_ONCE = 32 * 1024 * 1024
"""The content of one reading, and at most one answer of the brokers more: records may be of any size."""

QUIET_MAX_S = 60.0
"""How long nothing may come of what is known to be there; a client that lost its brokers says nothing itself."""

FETCH_TIMEOUT_MS = 3_000
REQUEST_TIMEOUT_MS = 15_000


@dataclass(frozen=True)
class Brokers:
    """Their Kafka, and how we log in to it."""

    bootstrap: str
    tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-512"

    def arguments(self) -> dict[str, Any]:
        """Return what a client is made with."""
        protocol = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        given: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": protocol}
        if self.tls:
            given["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
        if self.user is not None:
            given |= {"sasl_mechanism": self.mechanism}
            given |= {"sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return given


@dataclass(frozen=True)
class WantedTopic:
    """One topic, and what becomes of its records."""

    plan: Plan
    topic: str


class Found(NamedTuple):
    """Records of a partition.

    following: the offset after the last of them; more: whether there are more; deleted: the offsets that were deleted
    since the last reading.
    """

    records: list[tuple[int, bytes | None]]
    following: int
    more: bool
    deleted: range


class KafkaTopics:
    """The topics of one Kafka. Where each was read to is remembered here, not in a group of theirs."""

    def __init__(self, brokers: Brokers, wanted: Sequence[WantedTopic]) -> None:
        self._brokers, self._wanted = brokers, wanted

    def portions(self, mark_of: MarkOf) -> Iterator[Portion | SourceError]:
        """Iterate over the topics' partitions, each until nothing is left in it. Raises `SourceError`."""
        for wanted in self._wanted:
            partitions = _asked(self._partitions(wanted.topic), wanted.topic)
            if not partitions:
                message = f"Emnet {wanted.topic} findes ikke, eller brugeren må ikke læse det."
                yield SourceError("missing-topic", message, place=wanted.topic)
            for partition in partitions:
                yield from self._of(wanted, partition, mark_of)

    def _of(self, wanted: WantedTopic, partition: int, mark_of: MarkOf) -> Iterator[Portion]:
        place = f"{wanted.topic}/{partition}"
        mark = mark_of(wanted.plan.mark_key(place), always=True)
        after, more = int(mark) if mark else None, True
        while more:
            # Not by the mark that a page leaves: who only looks leaves none.
            found = _asked(self._records(wanted.topic, partition, after), place)
            yield TopicPortion(place, wanted.plan, found)
            after, more = found.following, found.more

    async def _partitions(self, topic: str) -> list[int]:
        admin = AIOKafkaAdminClient(**self._brokers.arguments(), request_timeout_ms=REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            [described] = await admin.describe_topics([topic])
            return sorted(one["partition"] for one in described["partitions"])
        finally:
            await admin.close()

    async def _records(self, topic: str, partition: int, after: int | None) -> Found:
        consumer, place = self._consumer(), TopicPartition(topic, partition)
        try:
            await consumer.start()
            consumer.assign([place])
            first = (await consumer.beginning_offsets([place]))[place]
            end = (await consumer.end_offsets([place]))[place]
            position = first if after is None else max(after, first)
            if after is not None and after > end:
                raise SourceError("topic-began-anew", "Emnet har færre beskeder end sidst: er det lavet på ny?")
            consumer.seek(place, position)
            records, following = await _read(consumer, place, position, end)
            return Found(records, following, following < end, range(position if after is None else after, position))
        finally:
            await consumer.stop()

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._brokers.arguments(), group_id=None, enable_auto_commit=False, isolation_level="read_committed",
            auto_offset_reset="none", request_timeout_ms=REQUEST_TIMEOUT_MS,
        )  # fmt: skip


async def _read(
    consumer: AIOKafkaConsumer, place: TopicPartition, position: int, end: int
) -> tuple[list[tuple[int, bytes | None]], int]:
    """Return records from a position, and the offset after them. Raises `SourceError` where none come any more."""
    records: list[tuple[int, bytes | None]] = []
    size, heard = 0, time.monotonic()
    while position < end and len(records) < RECORDS_AT_ONCE and size < BYTES_AT_ONCE:
        got = await consumer.getmany(place, timeout_ms=FETCH_TIMEOUT_MS, max_records=RECORDS_AT_ONCE)
        records += [(one.offset, one.value) for one in got.get(place, ())]
        size += sum(len(one.value or b"") for one in got.get(place, ()))
        before, position = position, await consumer.position(place)
        if position != before:
            heard = time.monotonic()
        elif time.monotonic() - heard > QUIET_MAX_S:
            message = (
                f"Jeres Kafka holdt op med at svare, mens emnet blev læst: der kom ingen beskeder i {QUIET_MAX_S:.0f} "
                "sekunder. Kører den? Der prøves igen ved næste kørsel."
            )
            raise SourceError("kafka-away", message)
    return records, position


def _asked(program: Any, place: str) -> Any:
    """Run what asks the brokers. Raises `SourceError`."""
    try:
        return asyncio.run(program)
    except SourceError as error:
        error.place = place
        raise
    except (KafkaError, OSError) as error:
        message = (
            f"Jeres Kafka kan ikke nås, eller den lader os ikke ind ({type(error).__name__}). Er »bootstrap«, brugeren "
            "og adgangskoden rigtige? Der prøves igen ved næste kørsel."
        )
        raise SourceError("kafka-away", message, place=place) from None


class TopicPortion(Portion):
    """Some records of a partition. Its mark is the offset after the last of them."""

    whole = False
    successive = True
    rereads = False

    def __init__(self, place: str, plan: Plan, found: Found) -> None:
        self.place, self.marked_by = place, plan.mark_key(place)
        self._plan, self._found = plan, found

    def tables(self) -> Iterator[tuple[Plan, Table] | SourceError]:
        """Give the records. One without a value says only that a thing is gone from their topic: it is passed over."""
        header = self._plan.columns
        rows = (Row(offset, _cells(value, header)) for offset, value in self._found.records if value is not None)
        yield self._plan, Table(None, header, rows, remarks=self._remarks(), lettered=False, may_be_empty=True)

    def _remarks(self) -> tuple[str, ...]:
        gone = self._found.deleted
        if not gone:
            return ()
        which = f"{len(gone)} beskeder (nr. {gone[0]} til {gone[-1]})"
        what = f"{which} blev slettet fra emnet, før de blev læst, og er ikke sendt."
        todo = "Lad jeres system skrive dem igen, og lad emnet gemme beskeder længere, end der går mellem to kørsler."
        return (f"{what} {todo}",)

    def mark(self, done: Done) -> bytes:  # noqa: ARG002  # what could not be read is told, and not read again
        """Return where to go on."""
        return str(self._found.following).encode()


def _cells(value: bytes, header: Sequence[str]) -> tuple[Cell, ...]:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        bad = BadCell("Beskeden er ikke JSON.")
        return tuple(bad for _ in header)
    return cells_at(document, header)
