"""What comes to the door, and what becomes of it."""

from typing import NamedTuple

from exchange_gateway.problems import Problem
from schemas.event import Event


class Arrival(NamedTuple):
    """One event as it came: its JSON text, or what was parsed from a batch or from headers."""

    raw: bytes | None = None
    parsed: Event | Problem | None = None
    event_id: str | None = None


class Accepted(NamedTuple):
    """The event is durable at this place; `duplicate`: it was there before."""

    event_id: str
    source: str
    topic: str
    offset: int
    duplicate: bool


class Refused(NamedTuple):
    """The event was not taken, or nobody knows (`log-unavailable`)."""

    event_id: str | None
    problem: Problem


Outcome = Accepted | Refused
