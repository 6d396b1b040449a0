"""What is sent and answered about subscriptions: their JSON, as it is described too."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from exchange_gateway.api.common import shaped
from exchange_gateway.core.subscriptions import EARLIEST
from schemas.identifiers import ALLIANCE, PARTICIPANT

NAME_CHARACTERS_MAX = 100
TEXT_CHARACTERS_MAX = 200
VALUES_MAX = 200
"""Values of one property: twice the municipalities that there are."""

EventType = Literal[
    "dk.kommunebro.job-order",
    "dk.kommunebro.company-contact",
    "dk.kommunebro.visit",
    "dk.kommunebro.company-cooperation",
    "dk.kommunebro.job-order-response",
]
ForwardedEvent = Annotated[dict[str, Any], shaped("ForwardedEvent")]
Texts = list[Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FilterBody(_Body):
    """Every property that is named must have one of its values; the end of a thing always passes."""

    owner: list[Annotated[str, Field(pattern=f"^({PARTICIPANT.pattern})$")]] | None = Field(
        None, max_length=VALUES_MAX, description="Whose things."
    )
    municipality: list[Annotated[str, Field(pattern="^[0-9]{4}$")]] | None = Field(
        None, max_length=VALUES_MAX, description="Of a job order's workplace."
    )
    occupation: Texts | None = Field(
        None, max_length=VALUES_MAX, description="Parts of a label, or beginnings of a code (ESCO:7212, 7212)."
    )
    industry: Texts | None = Field(
        None, max_length=VALUES_MAX, description="Beginnings of an industry code (25, DB07:25)."
    )
    status: Texts | None = Field(None, max_length=VALUES_MAX, description="Statuses, such as open.")
    positionsMin: int | None = Field(None, ge=1, le=100_000, description="Positions at least.")  # noqa: N815


class Wishes(_Body):
    """What a subscription is about."""

    types: list[EventType] | None = Field(None, description="Event types; left out: all that you may read.")
    alliances: list[Annotated[str, Field(pattern=f"^({ALLIANCE.pattern})$")]] | None = Field(
        None, max_length=VALUES_MAX, description="Left out: all in which you may read."
    )
    filter: FilterBody | None = None


_Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX, description="For people.")]
_Start = Annotated[str, Field(max_length=64, description="earliest, latest, or a time (RFC 3339).")]


class NewSubscription(Wishes):
    """What a new subscription is to be like."""

    name: _Name
    start: _Start = EARLIEST


class ChangedSubscription(Wishes):
    """What is to be changed: what is left out stays, null takes it away."""

    name: _Name | None = None


class CursorBody(_Body):
    """Either is given: a cursor to commit, or where to rewind to."""

    cursor: str | None = Field(None, description="A cursor that was given here: everything before it is done with.")
    rewind: str | None = Field(None, max_length=64, description="earliest, latest, or a time (RFC 3339).")


class Lag(BaseModel):
    """How far behind the log a place is."""

    events: int = Field(description="Events that follow.")
    seconds: float = Field(description="The age of the oldest of them at most; 0 when there are none.")
    approximate: bool = Field(description="Whether what follows also holds what is not for you.")


class SubscriptionAnswer(BaseModel):
    """A subscription."""

    id: str
    name: str
    participant: str
    types: list[str] | None
    alliances: list[str] | None
    filter: dict[str, Any] | None
    start: str
    cursor: str = Field(description="The committed cursor.")
    committedAt: str | None  # noqa: N815
    createdAt: str  # noqa: N815
    changedAt: str  # noqa: N815
    lag: Lag


class SubscriptionList(BaseModel):
    """A page of subscriptions."""

    subscriptions: list[SubscriptionAnswer]
    next: str | None


class PullAnswer(BaseModel):
    """What a pull brought."""

    events: list[ForwardedEvent]
    cursor: str = Field(description="Commit it when all of `events` is done with.")
    lag: Lag


class DryRunAnswer(BaseModel):
    """What a subscription would have brought of what the log holds."""

    lookedAt: int = Field(description="Events that were looked at, from the start on.")  # noqa: N815
    found: int = Field(description="Those that would be delivered.")
    complete: bool = Field(description="Whether everything in the log was looked at.")
    events: list[ForwardedEvent] = Field(description="The first of them.")
