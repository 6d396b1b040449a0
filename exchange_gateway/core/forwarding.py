"""One step of the forwarder: some records in, everything that is to be committed out. Pure.

A replay that hands `decide_step` the same records, memory, agreements and instant gets the same step.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import orjson

from broker_adapters.codec import decode
from broker_adapters.log import NewRecord, Record
from exchange_gateway.core.agreements.book import AgreementBook
from exchange_gateway.core.forwarded import Output, write_outputs
from exchange_gateway.core.known_things import NOTHING, Known, dump, identify, load, thing_key
from exchange_gateway.core.routing import Decision, Forward, Reason, Withhold, remember, route
from schemas.event import InvalidEvent, format_time
from schemas.identifiers import parse_data_topic


def shard_of(participant: str, shards: int) -> int:
    """Return the shard in which a participant's events are forwarded: SHA-256 of its name modulo `shards`."""
    return int.from_bytes(sha256(participant.encode()).digest(), "big") % shards


class Unreadable(NamedTuple):
    """A record that is no event of its topic, and so was withheld. error: its kind, without what it held."""

    topic: str
    offset: int
    error: str


class Step(NamedTuple):
    """What a step commits, all or nothing.

    outputs: topic by topic. state: by thing. positions: the offsets to go on from. audit: the record for
    `audit.forwarding`. forwarded: events by (alliance, type). withheld: decisions by reason.
    """

    outputs: list[Output]
    state: dict[str, bytes]
    positions: dict[str, int]
    audit: NewRecord
    forwarded: dict[tuple[str, str], int]
    withheld: dict[Reason, int]
    unreadable: list[Unreadable]

    @property
    def size_bytes(self) -> int:
        """How much the outputs hold together."""
        return sum(len(record.value) for _, record in self.outputs)


def by_topic(records: Iterable[Record]) -> list[Record]:
    """Return the records topic by topic, each topic's in order: the order in which a step decides."""
    topics: dict[str, list[Record]] = {}
    for record in records:
        topics.setdefault(record.topic, []).append(record)
    return [record for listed in topics.values() for record in listed]


def thing_of(record: Record) -> str:
    """Return the key of the thing that a record of `pub` is about, without reading its value."""
    topic = parse_data_topic(record.topic)
    owner, name = (topic.holder, topic.name) if topic else ("", "")
    return thing_key(owner, name, (record.key or b"").decode(errors="replace"))


def decide_step(
    shard: int, records: Sequence[Record], states: Mapping[str, bytes], book: AgreementBook, at_us: int, key: bytes
) -> Step:
    """Decide on `records`, which are ordered `by_topic`.

    states: what was kept of their things. at_us: UTC microseconds, whole milliseconds. key: for digests.
    """
    at = format_time(at_us)
    outputs: dict[str, list[Output]] = {}
    known: dict[str, Known] = {}
    unreadable: list[Unreadable] = []
    decided: list[tuple[Record, list[Decision]]] = []
    for record in records:
        thing = thing_of(record)
        before = known.get(thing)
        if before is None:
            before = load(states[thing]) if thing in states else NOTHING
        try:
            written, decisions, after = _decide(record, thing, before, book, at_us, at, key)
        # One record that cannot be understood must not stop those behind it; it is told of, and on record.
        except Exception as error:  # noqa: BLE001
            unreadable.append(Unreadable(record.topic, record.offset, type(error).__name__))
            written, decisions, after = [], [Withhold(Reason.UNREADABLE)], before
        for output in written:
            outputs.setdefault(output[0], []).append(output)
        decided.append((record, decisions))
        if after is not before:
            known[thing] = after
    return Step(
        outputs=[output for listed in outputs.values() for output in listed],
        state={thing: dump(after) for thing, after in known.items()},
        positions={record.topic: record.offset + 1 for record in records},
        audit=_audit(shard, at, book.up_to_offset, decided),
        forwarded={topic: len(listed) for topic, listed in _by_alliance(outputs)},
        withheld=_count(decided),
        unreadable=unreadable,
    )


def _decide(
    record: Record, thing: str, before: Known, book: AgreementBook, at_us: int, at: str, key: bytes
) -> tuple[list[Output], list[Decision], Known]:
    event = decode(record)
    if thing_key(event.participant, event.name, event.subject) != thing:
        raise InvalidEvent(
            "not-an-event", "The event is another's, or about another thing, than its topic and key say."
        )
    identity = identify(event, key)
    outputs, decisions = write_outputs(event, route(event, identity, before, book, at_us), at)
    return outputs, decisions, remember(event, identity, before, decisions)


def _by_alliance(outputs: Mapping[str, list[Output]]) -> Iterable[tuple[tuple[str, str], list[Output]]]:
    for name, listed in outputs.items():
        topic = parse_data_topic(name)
        if topic is not None:
            yield (topic.holder, topic.name), listed


def _count(decided: Iterable[tuple[Record, list[Decision]]]) -> dict[Reason, int]:
    counts: dict[Reason, int] = {}
    for _, decisions in decided:
        for decision in decisions:
            if isinstance(decision, Withhold):
                counts[decision.reason] = counts.get(decision.reason, 0) + 1
    return counts


def _audit(shard: int, at: str, agreements_offset: int, decided: Sequence[tuple[Record, list[Decision]]]) -> NewRecord:
    """Write the step down: what it read, by which agreements, when, and what became of each event.

    Events of one topic with one outcome stand together, so that a record is small beside what it tells of.
    """
    inputs: dict[str, list[int]] = {}
    forwarded: dict[tuple[object, ...], list[int]] = {}
    withheld: dict[tuple[object, ...], list[int]] = {}
    for record, decisions in decided:
        inputs.setdefault(record.topic, [record.offset, 0])[1] = record.offset + 1
        for decision in decisions:
            if isinstance(decision, Forward):
                version = decision.agreement.number
                group = (record.topic, decision.alliance, version, decision.form, decision.reason)
                forwarded.setdefault(group, []).append(record.offset)
            else:
                withheld.setdefault((record.topic, decision.alliance, decision.reason), []).append(record.offset)
    value = orjson.dumps({
        "shard": shard,
        "at": at,
        "agreementsOffset": agreements_offset,
        "inputs": [{"topic": topic, "from": start, "to": end} for topic, (start, end) in inputs.items()],
        "forwarded": _groups(("topic", "alliance", "version", "form", "reason"), forwarded),
        "withheld": _groups(("topic", "alliance", "reason"), withheld),
    })  # fmt: skip
    return NewRecord(value, str(shard).encode())


def _groups(names: tuple[str, ...], groups: Mapping[tuple[object, ...], list[int]]) -> list[dict[str, object]]:
    """Write each group with what it has in common, nulls left out, and its offsets."""
    return [
        {name: part for name, part in zip(names, group, strict=True) if part is not None} | {"offsets": offsets}
        for group, offsets in groups.items()
    ]
