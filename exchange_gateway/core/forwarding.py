"""One step of the forwarder: some records in, everything that is to be committed out. Pure.

A replay that decides on the same records with the same memory, agreements and instant gets the same step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from broker_adapters.codec import decode
from broker_adapters.log import NewRecord, Record
from exchange_gateway.core.agreements.book import AgreementBook, InForce
from exchange_gateway.core.audit import Decided, audit_record
from exchange_gateway.core.forwarded import Output, Writer
from exchange_gateway.core.known_things import NOTHING, Known, Seen, dump, id_digest, thing_key
from exchange_gateway.core.routing import Decisions, Reason, Withhold, remember, route
from schemas.event import Event, InvalidEvent, format_time
from schemas.identifiers import parse_data_topic

UNREADABLE = Decisions.of([Withhold(Reason.UNREADABLE)])

Place = tuple[str, int]
"""A topic and an offset."""


def shard_of(participant: str, shards: int) -> int:
    """Return the shard in which a participant's events are forwarded: SHA-256 of its name modulo `shards`."""
    return int.from_bytes(sha256(participant.encode()).digest(), "big") % shards


def shard_of_topic(topic: str, shards: int) -> int | None:
    """Return the shard in which a topic's events are forwarded; None for a topic whose records are not."""
    parts = parse_data_topic(topic)
    return shard_of(parts.holder, shards) if parts is not None and parts.space == "pub" else None


class Unreadable(NamedTuple):
    """A record that is no event of its topic, and so was withheld. error: its kind, without what it held."""

    topic: str
    offset: int
    error: str


@dataclass(slots=True)
class Step:
    """What a step commits, all or nothing.

    outputs: by topic. known: the things that changed. positions: the offsets to go on from. audit: the
    record for `audit.forwarding`. withheld: decisions by reason. size_bytes: of the outputs. missing:
    places whose events must be known to decide (see `Deciding`); while there are any, the step is not one.
    """

    audit: NewRecord
    outputs: dict[str, list[NewRecord]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    withheld: dict[Reason, int] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    missing: set[Place] = field(default_factory=set)
    size_bytes: int = 0

    def all_outputs(self) -> list[Output]:
        """Return the outputs in the order in which they are appended."""
        return [(topic, record) for topic, records in self.outputs.items() for record in records]

    def state(self) -> dict[str, bytes]:
        """Return what is to be kept of each thing that changed."""
        return {thing: dump(known) for thing, known in self.known.items()}


def by_topic(records: list[Record]) -> list[Record]:
    """Return the records topic by topic, each topic's in order: the order in which a step decides."""
    runs = [topic for topic, _ in groupby(records, itemgetter(0))]
    if len(set(runs)) == len(runs):
        return records
    topics: dict[str, list[Record]] = {}
    for record in records:
        topics.setdefault(record.topic, []).append(record)
    return [record for listed in topics.values() for record in listed]


def thing_of(record: Record) -> str:
    """Return the key of the thing that a record of `pub` is about, without reading its value."""
    return _beginning(record.topic) + (record.key or b"").decode(errors="replace")


@lru_cache(maxsize=4096)
def _beginning(topic: str) -> str:
    """Return what the keys of all things of a topic begin with."""
    parts = parse_data_topic(topic)
    return "" if parts is None else thing_key(parts.holder, parts.name, "")


class Basis(NamedTuple):
    """By what a step decides.

    in_force: the agreements at `at_us` (UTC microseconds, whole milliseconds), as they stand in
    `control.agreements` before `agreements_offset`.
    """

    shard: int
    at_us: int
    in_force: InForce
    agreements_offset: int

    @classmethod
    def of(cls, shard: int, at_us: int, book: AgreementBook) -> "Basis":
        """Take from the book what holds now; what is added to it later does not change this."""
        return cls(shard, at_us, book.in_force(at_us), book.up_to_offset)


def decide_step(
    basis: Basis,
    records: Iterable[Record],
    known: Mapping[str, Known],
    earlier: Mapping[Place, Record] | None = None,
) -> Step:
    """Decide on `records`, which stand in the order of `by_topic`; see `Deciding`."""
    deciding = Deciding(basis, known, earlier or {})
    for record in records:
        deciding.take(record)
    return deciding.step()


class Deciding:
    """One step while it is decided, record by record, so that each event is let go of before the next is read.

    known: what is remembered of the records' things. earlier: the records at the places that an attempt
    before this one gave as `missing`.
    """

    def __init__(self, basis: Basis, known: Mapping[str, Known], earlier: Mapping[Place, Record]) -> None:
        self._basis, self._before = basis, known
        self._at = format_time(basis.at_us)
        self._writer = Writer(self._at)
        self._earlier = earlier
        self._step = Step(NewRecord(b""))
        self._decided: list[Decided] = []
        # Of the topic that is being decided on: its records by offset, and the run that goes on.
        self._topic = ""
        self._taken: dict[int, Record] = {}
        self._run: Decisions | None = None
        self._offsets: list[int] = []

    def take(self, record: Record) -> None:
        """Decide on the next record."""
        topic, offset = record.topic, record.offset
        if topic != self._topic:
            self._topic, self._taken, self._run = topic, {}, None
        decisions = self._decide(record)
        # What comes out is most often one and the same object for many events on end.
        if decisions is not self._run:
            self._run, self._offsets = decisions, []
            self._decided.append((topic, decisions, self._offsets))
        self._offsets.append(offset)

    def step(self) -> Step:
        """Return the step, when all its records are taken."""
        basis, step = self._basis, self._step
        for topic, decisions, offsets in self._decided:
            step.positions[topic] = offsets[-1] + 1
            for decision in decisions.each:
                if isinstance(decision, Withhold):
                    step.withheld[decision.reason] = step.withheld.get(decision.reason, 0) + len(offsets)
        step.audit = audit_record(basis.shard, self._at, basis.agreements_offset, self._decided)
        return step

    def _decide(self, record: Record) -> Decisions:
        thing = thing_of(record)
        known = self._step.known.get(thing) or self._before.get(thing, NOTHING)
        try:
            event = _event_of(record, thing)
            seen = Seen(id_digest(event.attributes["source"], event.attributes["id"]), record.offset)
            earlier = self._earlier_event(record, event, known.find(seen.id_digest)) if known.newest else None
            wanted = route(event, known, self._basis.in_force, earlier=earlier)
            outputs, decisions = self._writer.write(event, wanted)
        # Whatever is wrong with one record must not stop those behind it; it is told of, and on record.
        except Exception as error:  # noqa: BLE001
            self._step.unreadable.append(Unreadable(record.topic, record.offset, type(error).__name__))
            return UNREADABLE
        step = self._step
        for topic, output in outputs:
            if topic in step.outputs:
                step.outputs[topic].append(output)
            else:
                step.outputs[topic] = [output]
            step.size_bytes += len(output.value)
        after = remember(event, seen, known, decisions)
        if after is not known:
            step.known[thing] = after
            self._taken[record.offset] = record
        return decisions

    def _earlier_event(self, record: Record, event: Event, offset: int | None) -> Event | None:
        """Return the event before it that has the same `source` and `id`; equal digests alone prove nothing."""
        if offset is None:
            return None
        place = (record.topic, offset)
        before = self._taken.get(offset) or self._earlier.get(place)
        if before is None:
            self._step.missing.add(place)
            return None
        found = decode(before)
        return found if (found.source, found.id) == (event.source, event.id) else None


def _event_of(record: Record, thing: str) -> Event:
    """Read a record. Raises `InvalidEvent` also for an event that is not the one its topic and key say."""
    event = decode(record)
    if thing_key(event.source.participant, event.name, event.attributes["subject"]) != thing:
        raise InvalidEvent("not-an-event", "The event belongs to another topic, or its key is another's.")
    return event
