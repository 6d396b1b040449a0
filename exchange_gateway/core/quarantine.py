"""What is set aside at the native door, and how it is told to its participant. Pure.

A record says where the message stands, what it was (by its SHA-256) and why it was refused. The message itself is not
copied: it stays in the mailbox until that lets go of it, and nobody but its participant has any business with it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from broker_adapters.log import NewRecord, Record
from schemas.event import format_time


def set_aside(refused: Record, event_id: str | None, holder: str, problem: Mapping[str, Any]) -> NewRecord:
    """Return the record of a message that was refused. problem: its problem details."""
    return _record(
        holder,
        {
            "topic": refused.topic,
            "offset": refused.offset,
            "receivedAt": format_time(refused.recorded_at_ms * 1000),
            "sha256": sha256(refused.value).hexdigest(),
            "eventId": event_id,
            "problem": problem,
        },
    )


def lost(topic: str, holder: str, begin: int, end: int, problem: Mapping[str, Any]) -> NewRecord:
    """Return the record of messages, from `begin` up to `end`, that the mailbox let go of before anybody read them."""
    return _record(holder, {"topic": topic, "offset": begin, "until": end, "problem": problem})


def _record(holder: str, told: Mapping[str, Any]) -> NewRecord:
    return NewRecord(orjson.dumps({"participant": holder, **told}), holder.encode())


def participant_of(record: Record) -> str:
    """Return whose message a record of `quarantine` is about."""
    return str(orjson.loads(record.value)["participant"])


def item_of(value: bytes, recorded_at_ms: int) -> dict[str, Any]:
    """Return how a record of `quarantine` is listed."""
    told: dict[str, Any] = orjson.loads(value)
    return {"quarantinedAt": format_time(recorded_at_ms * 1000), **told}
