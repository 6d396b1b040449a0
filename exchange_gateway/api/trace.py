"""`/v1/trace`: where an event went and why, and why not; and the same for every event of a thing."""

import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, JsonValue

from exchange_gateway.api.authentication import principal, require
from exchange_gateway.api.common import (
    LIST_DEFAULT,
    LIST_MAX,
    Optional,
    check_parameters,
    cursor_of,
    key_of,
    parsed,
    problems,
    wrong,
)
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.tracing import NotKept, Tracer
from exchange_gateway.workers.local_index import IndexBehind
from schemas.event import ID_CHARACTERS_MAX
from schemas.identifiers import PARTICIPANT, SUBJECT, TYPE_PREFIX, EventName, InvalidIdentifier, Source

router = APIRouter(tags=["audit"])

_OFFSET = re.compile(r"[0-9]{1,15}")
_NO_CURSOR = "It is not a cursor that was given here."


class EventTrace(BaseModel):
    """An event's way."""

    asked: dict[str, Any] | None = Field(
        None, description="The event asked for, where the forwarder made it itself: then `event` is its cause."
    )
    event: dict[str, Any] = Field(description="What it is, and where it stands.")
    received: dict[str, Any] = Field(description="When, through which door (http, native), by which client.")
    decided: dict[str, Any] | None = Field(description="The step that decided on it; null when none has yet.")
    forwarded: list[dict[str, Any]] = Field(
        description="Into which alliance, by which version of its agreement, in which form (shown, ended, retracted) "
        "and why; `cut` and `changed` are JSON Pointers into the event's data."
    )
    withheld: list[dict[str, Any]] = Field(description="From which alliance, or from all others, and why.")
    participant: dict[str, Any] | None = Field(
        None, description="For the participant asked for: through which alliances it was received, and if none, why."
    )


class ThingTrace(BaseModel):
    """The way of every event of a thing, in the log's order."""

    thing: dict[str, str] = Field(description="Its owner, type and subject.")
    events: list[EventTrace]
    next: str | None = Field(description="Give it as `after` for what follows; null at the end.")


def _like(pattern: str) -> dict[str, JsonValue]:
    return {"pattern": f"^({pattern})$"}


class TraceQuery(BaseModel):
    """What is traced: an event by `id` (and `source`), or a thing by `owner`, `type` and `subject`."""

    source: Optional = Field(None, max_length=200, description="The event's source; needed where several have the id.")
    event_id: Optional = Field(None, alias="id", max_length=ID_CHARACTERS_MAX, description="The event's id.")
    owner: Optional = Field(None, description="Whose thing it is.", json_schema_extra=_like(PARTICIPANT.pattern))
    event_type: Optional = Field(
        None,
        alias="type",
        description="The thing's type: dk.kommunebro.job-order, or job-order.",
        json_schema_extra=_like(rf"({TYPE_PREFIX.replace('.', '[.]')})?({'|'.join(EventName)})"),
    )
    subject: Optional = Field(None, description="The thing's id.", json_schema_extra=_like(SUBJECT.pattern))
    participant: Optional = Field(
        None, description="Also what became of it for this one.", json_schema_extra=_like(PARTICIPANT.pattern)
    )

    limit: int = Field(LIST_DEFAULT, ge=1, le=LIST_MAX, description="How many of a thing's events to return at most.")
    after: Optional = Field(None, description="`next` of the page before: goes on behind its last event.")

    def check(self) -> None:
        """Refuse what asks for neither an event nor a thing. Raises `Problem`."""
        if self.participant is not None and not PARTICIPANT.fullmatch(self.participant):
            wrong("participant", "It is a participant, such as 0671.")
        if (self.owner, self.event_type, self.subject) == (None, None, None):
            self._check_event()
        else:
            self._check_thing()

    def _check_event(self) -> None:
        if not self.event_id:
            wrong("id", "Give an event's `id`, or a thing's `owner`, `type` and `subject`.")
        if self.after is not None:
            wrong("after", "It goes on with a thing's events; an event has one trace.")
        if self.source is not None:
            try:
                Source.parse(self.source)
            except InvalidIdentifier as error:
                wrong("source", str(error))

    def _check_thing(self) -> None:
        for name, value in (("id", self.event_id), ("source", self.source)):
            if value is not None:
                wrong(name, "Ask for an event, or for a thing by `owner`, `type` and `subject`; not for both.")
        if self.owner is None or not PARTICIPANT.fullmatch(self.owner):
            wrong("owner", "A thing is known by its `owner`, a participant such as 0671, its `type` and `subject`.")
        if self.name is None:
            wrong("type", f"It is one of {', '.join(EventName)}, or the same with {TYPE_PREFIX} before it.")
        if self.subject is None or not SUBJECT.fullmatch(self.subject):
            wrong("subject", "It is a thing's id: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")

    @property
    def name(self) -> str | None:
        """The type's short name; None where it is no type."""
        name = (self.event_type or "").removeprefix(TYPE_PREFIX)
        return name if name in {known.value for known in EventName} else None


_PARAMETERS = [field.alias or name for name, field in TraceQuery.model_fields.items()]


@router.get(
    "/v1/trace",
    summary="Trace an event, or all events of a thing",
    response_model=EventTrace | ThingTrace,
    responses=problems(403, 404, 409, 503),
)
async def trace(
    request: Request, reader: Annotated[Principal, Depends(principal)], query: Annotated[TraceQuery, Query()]
) -> Response:
    """Return what became of an event, or of every event of a thing: an auditor of any, others of their own.

    Without `source` an event is found by its `id` alone; where several sources have it, 409 names them. An event that
    the forwarder made itself (its source is `urn:kommunebro:kommunebro:forwarder`) leads to its cause.
    """
    require(reader, Role.AUDITOR, Role.PUBLISHER, Role.READER)
    check_parameters(request, _PARAMETERS)
    query.check()
    tracer = request.app.state.gateway.tracer
    participants = None if Role.AUDITOR in reader.roles else reader.participants
    try:
        if query.owner is None:
            answer = await _event(tracer, query, participants)
        else:
            answer = await _thing(tracer, query, participants)
    except IndexBehind:
        detail = "What is asked for is still being read from the log. Ask again in a moment."
        raise Problem("read-model-behind", detail, headers={"Retry-After": "2"}) from None
    except NotKept:
        raise Problem("not-found", "The event is known, but the log does not keep it any more.") from None
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


async def _event(tracer: Tracer, query: TraceQuery, participants: frozenset[str] | None) -> dict[str, Any]:
    event_id = query.event_id or ""
    found = await tracer.find(query.source, event_id, participants)
    if not found:
        of = "" if query.source is None else f" of {query.source[:100]}"
        raise Problem("not-found", f"There is no event {event_id[:64]!r}{of} that you may trace.")
    if len(found) > 1:
        raise Problem(
            "ambiguous",
            f"{len(found)} sources have an event {event_id[:64]!r}; say which one with `source`.",
            sources=sorted(found),
        )
    return await tracer.event(next(iter(found.values())), query.participant)


async def _thing(tracer: Tracer, query: TraceQuery, participants: frozenset[str] | None) -> dict[str, Any]:
    owner, name, subject = query.owner or "", query.name or "", query.subject or ""
    after = -1 if query.after is None else parsed("after", key_of(query.after), _offset, _NO_CURSOR)
    events: list[dict[str, Any]] = []
    following = None
    if participants is None or owner in participants:
        events, following = await tracer.thing(owner, name, subject, after or 0, query.limit, query.participant)
    if not events and query.after is None:
        raise Problem("not-found", f"There is no {name} {subject} of {owner} that you may trace.")
    return {
        "thing": {"owner": owner, "type": TYPE_PREFIX + name, "subject": subject},
        "events": events,
        "next": None if following is None else cursor_of(str(following)),
    }


def _offset(text: str) -> int:
    """Read a place. Raises `ValueError`."""
    if not _OFFSET.fullmatch(text):
        raise ValueError(text)
    return int(text)
