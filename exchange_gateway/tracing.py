"""Find an event, or the events of a thing, and put together what became of each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from broker_adapters.log import Log, Record
from exchange_gateway.clock import Clock
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.forwarded import FORWARDER, made_id
from exchange_gateway.core.trace import Decided, Then, trace
from exchange_gateway.ingest import Ingest
from exchange_gateway.known_events import KnownEvents, known_key
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.event_index import EventIndex
from exchange_gateway.workers.places import Place, record_at, records_at
from exchange_gateway.workers.step_index import StepIndex
from schemas.identifiers import Source, parse_data_topic, pub_topic

SOURCES_MAX = 100
"""Sources that are looked at for one id."""


class NotKept(Exception):
    """The event is known, and the log does not keep it any more."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An event that was asked for, as it stands in `pub`. made: its retraction was asked for, by this source and id."""

    record: Record
    made: tuple[str, str] | None = None


class Tracer:
    """See the module. participants: whose events may be traced, None for all.

    Raises `IndexBehind`, `LogError`.
    """

    def __init__(
        self, log: Log, ingest: Ingest, known: KnownEvents, events: EventIndex, steps: StepIndex, books: BookKeeper,
        *, digest_key: bytes, clock: Clock,
    ) -> None:  # fmt: skip
        self._log, self._ingest, self._known, self._digest_key = log, ingest, known, digest_key
        self._events, self._steps, self._books, self._clock = events, steps, books, clock

    async def find(self, source: str | None, event_id: str, participants: Collection[str] | None) -> dict[str, Sought]:
        """Return the events with an id by their source: with a source one or none. Raises `NotKept` beside the rest."""
        if source is None:
            return await self._with_id(event_id, participants) | await self._made(event_id, participants)
        if source == FORWARDER:
            return await self._made(event_id, participants)
        if participants is not None and Source.parse(source).participant not in participants:
            return {}
        await self._ingest.catch_up()
        key = known_key(source, event_id, self._digest_key)
        known = self._known.find((key,)).get(key)
        if known is None:
            return {}
        record = await record_at(self._log, known.topic, known.offset)
        if record is None:
            raise NotKept
        return {source: Sought(record)}

    async def _with_id(self, event_id: str, participants: Collection[str] | None) -> dict[str, Sought]:
        places = await self._events.with_id(event_id, participants, SOURCES_MAX)
        found: dict[str, Sought] = {}
        for record in await records_at(self._log, places):
            event = {} if record is None else orjson.loads(record.value)
            # Of several copies of one event the first in the log counts.
            if record is not None and event["id"] == event_id:
                found.setdefault(event["source"], Sought(record))
        return found

    async def _made(self, event_id: str, participants: Collection[str] | None) -> dict[str, Sought]:
        """Return the cause of an event that the forwarder made itself."""
        places = [place for place in await self._steps.causes_of(event_id) if _is_of(place, participants)]
        for record in await records_at(self._log, places):
            event = {} if record is None else orjson.loads(record.value)
            if record is not None and made_id(event["source"], event["id"]) == event_id:
                return {FORWARDER: Sought(record, (FORWARDER, event_id))}
        return {}

    async def event(self, sought: Sought, participant: str | None) -> dict[str, Any]:
        """Return the trace of one event; participant: also what became of it for this one."""
        (answer,) = await self._traced([sought.record], participant)
        if sought.made is not None:
            source, event_id = sought.made
            answer["asked"] = {"source": source, "id": event_id}
        return answer

    async def thing(
        self, owner: str, name: str, subject: str, after: int, limit: int, participant: str | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Return the traces of a thing's events behind an offset, in order, and the last one's where more follow."""
        topic = pub_topic(owner, name)
        places = await self._events.of_thing(topic, subject, after, limit + 1)
        records = [one for one in await records_at(self._log, places[:limit]) if one is not None]
        records = [one for one in records if orjson.loads(one.value)["subject"] == subject]
        following = places[limit - 1][1] if len(places) > limit else None
        return await self._traced(records, participant), following

    async def _traced(self, records: Sequence[Record], participant: str | None) -> list[dict[str, Any]]:
        """Return the traces of some events of one topic."""
        if not records:
            return []
        topic = records[0].topic
        steps = await self._steps.steps_of(topic, [record.offset for record in records])
        now, now_us = await self._books.fresh(), self._clock.now_us()
        decided = {step.offset: Decided.of(step) for step in steps.values()}

        @lru_cache
        def book(offset: int) -> AgreementBook:
            return now.as_of(offset)

        answers = []
        for record in records:
            step = decided[steps[record.offset].offset] if record.offset in steps else None
            then = None
            if step is not None and step.covers(topic, record.offset):
                then = Then(step, book(step.told["agreementsOffset"]))
            answers.append(trace(record, then, now, now_us, participant))
        return answers


def _is_of(place: Place, participants: Collection[str] | None) -> bool:
    parts = parse_data_topic(place[0])
    return participants is None or (parts is not None and parts.holder in participants)
