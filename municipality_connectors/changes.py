"""What is new since last time: one decision for each row. Pure.

A sheet's events are numbered by thing: the first state of order 1001 that is published is
`job-order/1001/1`, the next `job-order/1001/2`. So an id never depends on memory alone: whoever has lost
it meets numbers that are taken, and can find out from the gateway where a thing stands (`catching_up.py`).
An id made from the content would not need that, but would let partners guess what they are not shown.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from schemas.event import format_time
from schemas.identifiers import EventName

MILLISECOND_US = 1_000


class Thing(NamedTuple):
    """The newest published state of a thing. content: what `content_digest` gave for it."""

    revision: int
    content: bytes
    time_us: int


class Publish(NamedTuple):
    """The row is new or changed: publish it under this number and time."""

    revision: int
    time_us: int


class Unchanged(NamedTuple):
    """What the row says is published already."""


def decide(known: Thing | None, content: bytes, *, now_us: int, changed_us: int | None = None) -> Publish | Unchanged:
    """Decide what becomes of a row. changed_us: when it was changed, where the sheet says so.

    The time is always later than that of the thing's last event, or the change would count as stale.
    """
    if known is None:
        return Publish(1, _whole_ms(changed_us if changed_us is not None else now_us))
    if known.content == content:
        return Unchanged()
    time_us = changed_us if changed_us is not None and changed_us > known.time_us else now_us
    return Publish(known.revision + 1, max(_whole_ms(time_us), _whole_ms(known.time_us) + MILLISECOND_US))


def _whole_ms(time_us: int) -> int:
    return time_us // MILLISECOND_US * MILLISECOND_US


def content_digest(dataschema: str, data: Mapping[str, Any]) -> bytes:
    """Return 16 bytes that are equal for equal content. They stay on the publisher's own machine."""
    canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return sha256(dataschema.encode() + b"\0" + canonical).digest()[:16]


def event_id(name: EventName, subject: str, revision: int) -> str:
    """Return the id of a thing's numbered state."""
    return f"{name}/{subject}/{revision}"


def event_bytes(
    *, source: str, name: EventName, dataschema: str, subject: str, revision: int, time_us: int, data: bytes
) -> bytes:
    """Return the event of one state of a thing, as one line of JSON. data: its JSON."""
    attributes = {
        "specversion": "1.0",
        "id": event_id(name, subject, revision),
        "source": source,
        "type": name.type,
        "subject": subject,
        "time": format_time(time_us),
        "dataschema": dataschema,
        "data": orjson.Fragment(data),
    }
    return orjson.dumps(attributes)
