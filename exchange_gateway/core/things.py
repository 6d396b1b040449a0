"""The newest state of a thing, as seen in one topic: the fold behind every read model. Pure.

A thing's later event replaces the earlier; at equal time the later in the log counts; an older one is
stale and overwrites nothing. Of two events with one source and id the first in the log counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from broker_adapters.log import Record
from schemas.event import parse_time
from schemas.identifiers import EventName, InvalidIdentifier, parse_data_topic

PUB = "pub."
ALLIANCE = "alliance."


@dataclass(frozen=True, slots=True)
class Sighting:
    """A thing's state in one place.

    space: `pub.<owner>`, where it stands as its owner published it, or `alliance.<alliance>`, where it
    stands as that alliance sees it. first_ms: when the thing was first recorded there. recorded_ms: when
    this state was. event_number: 63 bits that stand for the event's source and id.
    """

    space: str
    owner: str
    subject: str
    first_ms: int
    recorded_ms: int
    time_us: int
    time: str
    source: str
    event_id: str
    event_number: int
    data: dict[str, Any]

    @property
    def thing(self) -> tuple[str, str, str]:
        """What it is a sighting of, and where."""
        return self.space, self.owner, self.subject

    @property
    def is_published(self) -> bool:
        """Whether it stands where its owner published it."""
        return self.space.startswith(PUB)


def sighting_of(record: Record) -> Sighting | None:
    """Return what a record of a `pub` or `alliance` topic says; None when it holds no event.

    Only Kommunebro writes there, but an operator may have let others, and a read model must not stop at that.
    """
    topic = parse_data_topic(record.topic)
    if topic is None:
        return None
    try:
        event = orjson.loads(record.value)
        source, event_id = event["source"], event["id"]
        hashed = blake2b(f"{source}\n{event_id}".encode(), digest_size=8).digest()
        data = event["data"]
        return Sighting(
            space=f"{topic.space}.{topic.holder}",
            owner=event["owner"] if topic.space == "alliance" else topic.holder,
            subject=event["subject"],
            first_ms=record.recorded_at_ms,
            recorded_ms=record.recorded_at_ms,
            time_us=parse_time(event["time"]),
            time=event["time"],
            source=source,
            event_id=event_id,
            event_number=int.from_bytes(hashed, "big") >> 1,
            data=data if isinstance(data, dict) else {},
        )
    except (InvalidIdentifier, KeyError, TypeError, ValueError, AttributeError):
        return None


def fold(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Return the newest state of each thing, of sightings in the log's order."""
    newest: dict[tuple[str, str, str], Sighting] = {}
    for sighting in sightings:
        known = newest.get(sighting.thing)
        if known is None:
            newest[sighting.thing] = sighting
        elif sighting.time_us >= known.time_us:
            newest[sighting.thing] = replace(sighting, first_ms=known.first_ms)
    return list(newest.values())


def is_of(topic: str, name: EventName) -> bool:
    """Whether a topic holds things of one type."""
    parts = parse_data_topic(topic)
    return parts is not None and parts.name == name
