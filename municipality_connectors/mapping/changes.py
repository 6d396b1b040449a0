"""What is new since last time: one decision for each row. Pure.

A source's events are numbered by thing: the first state of order 1001 that is published is
`job-order/1001/1`, the next `job-order/1001/2`. So an id never depends on memory alone: whoever has lost
it meets numbers that are taken, and can find out from the gateway where a thing stands (`running/catching_up.py`).
An id made from the content would not need that, but would let partners guess what they are not shown.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from schemas.event import format_time
from schemas.identifiers import EventName

MILLISECOND_US = 1_000
SAME_MOMENT_US = 1_000_000
"""Sources tell times in seconds, and several states of one second are told apart by milliseconds of ours."""


class Thing(NamedTuple):
    """The newest state of a thing that was published, or waits to be.

    content: what `content_digest` gave for it; None when no state of the thing was ever taken in.
    """

    revision: int
    content: bytes | None
    time_us: int


class Publish(NamedTuple):
    """The row is new or changed: publish it under this number and time."""

    revision: int
    time_us: int


class Unchanged(NamedTuple):
    """What the row says is published already, or waits to be."""


class StillRefused(NamedTuple):
    """The gateway refused just this content, and would refuse it again."""


Decision = Publish | Unchanged | StillRefused


def decide(
    known: Thing | None,
    content: bytes,
    *,
    now_us: int,
    changed_us: int | None = None,
    refused: bytes | None = None,
    successive: bool = False,
) -> Decision:
    """Decide what becomes of a row.

    changed_us: when it was changed, where the source says so. refused: the content that the gateway refused last;
    None to try it again. successive: whether the row is one of several states that come one after another, of which
    one may come late: a call that is tried again, say. The time is always later than that of the thing's last event,
    or the change would be stale.
    """
    if known is not None and known.content == content:
        return Unchanged()
    if refused == content or (changed_us is not None and refused == at_a_time(content, whole_ms(changed_us))):
        return StillRefused()
    if successive and known is not None and changed_us is not None and changed_us < known.time_us - SAME_MOMENT_US:
        return Unchanged()
    if known is None:
        return Publish(1, whole_ms(changed_us if changed_us is not None else now_us))
    time_us = changed_us if changed_us is not None and changed_us > known.time_us else now_us
    return Publish(known.revision + 1, later(time_us, known.time_us))


def later(time_us: int, than_us: int) -> int:
    """Return a time in whole milliseconds, moved on where it would not be later than another."""
    return max(whole_ms(time_us), whole_ms(than_us) + MILLISECOND_US)


def whole_ms(time_us: int) -> int:
    """Return a time without what is finer than a millisecond."""
    return time_us // MILLISECOND_US * MILLISECOND_US


def content_digest(dataschema: str, data: Mapping[str, Any]) -> bytes:
    """Return 16 bytes that are equal for equal content. They stay on the publisher's own machine."""
    canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return sha256(dataschema.encode() + b"\0" + canonical).digest()[:16]


def at_a_time(content: bytes, time_us: int) -> bytes:
    """Return what stands for content that was refused for its time alone: at another time it is not."""
    return sha256(content + b"%d" % time_us).digest()[:16]


def event_id(name: EventName | str, subject: str, revision: int) -> str:
    """Return the id of a thing's numbered state."""
    return f"{name}/{subject}/{revision}"


def event_bytes(
    *, source: str, name: EventName | str, dataschema: str, subject: str, revision: int, time_us: int, data: bytes
) -> bytes:
    """Return the event of one state of a thing, as one line of JSON. data: its JSON."""
    attributes = {
        "specversion": "1.0",
        "id": event_id(name, subject, revision),
        "source": source,
        "type": f"dk.kommunebro.{name}",
        "subject": subject,
        "time": format_time(time_us),
        "dataschema": dataschema,
        "data": orjson.Fragment(data),
    }
    return orjson.dumps(attributes)
