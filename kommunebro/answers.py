"""What a gateway answers, as its JSON is: dicts with known keys. `GET /openapi.json` describes them fully."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NotRequired

import orjson
from typing_extensions import TypedDict

from kommunebro.dataset import ForwardedEvent, JobOrderShared
from kommunebro.dataset.job_order import JobOrderStatus

EventType = Literal[
    "dk.kommunebro.job-order",
    "dk.kommunebro.company-contact",
    "dk.kommunebro.visit",
    "dk.kommunebro.company-cooperation",
    "dk.kommunebro.job-order-response",
]


class Lag(TypedDict):
    """How much follows a place in the log.

    events: how many. seconds: the age of the oldest of them at most. approximate: whether what follows also holds what
    is not for you.
    """

    events: int
    seconds: float
    approximate: bool


class Filter(TypedDict, total=False):
    """What an event must be like: each property that is named has one of its values."""

    owner: list[str]
    municipality: list[str]
    occupation: list[str]
    industry: list[str]
    status: list[str]
    positionsMin: int


class Subscription(TypedDict):
    """A subscription. cursor: the committed one. Times are RFC 3339."""

    id: str
    name: str
    participant: str
    types: list[EventType] | None
    alliances: list[str] | None
    filter: Filter | None
    start: str
    cursor: str
    committedAt: str | None
    createdAt: str
    changedAt: str
    lag: Lag


class Pulled(TypedDict):
    """What a pull brought: commit `cursor` when all of `events` is done with."""

    events: list[ForwardedEvent]
    cursor: str
    lag: Lag


class DryRun(TypedDict):
    """What a subscription would have brought.

    lookedAt: records that were looked at. found: how many fit. complete: whether the whole log was looked at.
    """

    lookedAt: int
    found: int
    complete: bool
    events: list[ForwardedEvent]


class EventReference(TypedDict):
    """Which event a state comes from."""

    source: str
    id: str


class JobOrderItem(TypedDict):
    """A job order as its reader sees it. alliances: where it is seen. data: what may be seen of it."""

    jobOrderId: str
    owner: str
    status: JobOrderStatus
    alliances: list[str]
    recordedAt: str
    firstRecordedAt: str
    time: str
    event: EventReference
    data: JobOrderShared


class Trace(TypedDict):
    """Where an event went and why, and why not; `docs/trace.md` explains every key."""

    asked: NotRequired[dict[str, Any]]
    event: dict[str, Any]
    received: dict[str, Any]
    decided: dict[str, Any] | None
    forwarded: list[dict[str, Any]]
    withheld: list[dict[str, Any]]
    participant: NotRequired[dict[str, Any]]


class Agreement(NamedTuple):
    """An alliance's agreement. etag: names its version, for changing it."""

    body: dict[str, Any]
    etag: str


class Streamed(NamedTuple):
    """An event of a stream. cursor: the place behind it; commit it, or give it as `last_event_id`."""

    event: ForwardedEvent
    cursor: str


class Record(NamedTuple):
    """A record of the log. line: as it was answered; `event` comes last in it, byte for byte as it is stored."""

    line: bytes

    def parsed(self) -> dict[str, Any]:
        """Return `topic`, `offset`, `recordedAt` (RFC 3339) and `event`."""
        found: dict[str, Any] = orjson.loads(self.line)
        return found

    @property
    def event_bytes(self) -> bytes:
        """The stored bytes."""
        _, mark, rest = self.line.partition(b',"event":')
        return rest[:-1] if mark else b""


Query = Mapping[str, str | int | None]
"""Parameters of a query; None for one that is left out."""
