"""Write what goes into an alliance's topic: an event cut to what may be seen, or one that we make. Pure."""

from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from broker_adapters.codec import event_headers
from broker_adapters.log import RECORD_BYTES_MAX, NewRecord
from exchange_gateway.core.agreements.fields import STATUS_PROPERTIES
from exchange_gateway.core.routing import Decisions, Form, Forward, Reason, Withhold
from exchange_gateway.core.showing import Showing, bare, showing
from schemas.event import Event
from schemas.identifiers import ID_PROPERTIES, OURSELVES, DataSchema, EventName, Source, alliance_topic

FORWARDER = str(Source(OURSELVES, "forwarder"))
"""The source of the events that the forwarder makes itself."""

VALUE_BYTES_MAX = RECORD_BYTES_MAX - 4096
"""Key and headers count too where the log has them, and together they stay far below 4 KiB."""

MADE_STATUS = {
    EventName.JOB_ORDER: "withdrawn",
    EventName.JOB_ORDER_RESPONSE: "withdrawn",
    EventName.VISIT: "cancelled",
}
"""What a retraction says where the type has a status: the value of its schema that comes nearest."""

_REPLACED = ("data", "dataschema", "recordedby")

Output = tuple[str, NewRecord]


class Way(NamedTuple):
    """How one owner's events of one type are written for one decision.

    form: equal forms give equal openings, whatever the alliance. ending: what follows the opening.
    decision: held, so that its identity stays its own.
    """

    topic: str
    form: Showing | Form
    ending: bytes
    decision: Forward


class Writer:
    """Writes the records of one step. at: the step's instant, RFC 3339."""

    def __init__(self, at: str) -> None:
        self._at = at
        self._ways: dict[tuple[int, str, str], Way] = {}

    def write(self, event: Event, decisions: Decisions) -> tuple[list[Output], Decisions]:
        """Return the records that `decisions` ask for, and the decisions as they could be carried out.

        An event too large for the log once the forwarder's attributes are added is withheld.
        """
        outputs: list[Output] = []
        too_large: list[str] = []
        owner, name = event.source.participant, event.name
        key = f"{owner}/{event.attributes['subject']}".encode()
        openings: dict[Showing | Form, bytes] = {}
        headers = None
        for decision in decisions.each:
            if type(decision) is not Forward:
                continue
            topic, form, ending, _ = self._ways.get((id(decision), owner, name)) or self._way(decision, owner, name)
            opening = openings.get(form)
            if opening is None:
                opening = openings[form] = _opening(event, form)
            value = opening + ending
            if len(value) > VALUE_BYTES_MAX:
                too_large.append(decision.alliance)
                continue
            if form is Form.RETRACTED:
                record = NewRecord(value, key, event_headers(Event(orjson.loads(value), stored=True)))
            else:
                headers = headers or event_headers(event)
                record = NewRecord(value, key, headers)
            outputs.append((topic, record))
        return outputs, _without(decisions, too_large) if too_large else decisions

    def _way(self, decision: Forward, owner: str, name: str) -> "Way":
        """Return how one owner's events of a type are written for a decision: the same for all of a step."""
        fields = decision.agreement.agreement.shares.get(name)
        form = showing(name, fields) if decision.form is Form.SHOWN else decision.form
        # All of these are identifiers or times, so nothing in them needs escaping.
        ending = (
            f',"owner":"{owner}","alliance":"{decision.alliance}",'
            f'"agreementversion":{decision.agreement.number},"forwardedtime":"{self._at}"}}'
        )
        way = Way(alliance_topic(decision.alliance, name), form, ending.encode(), decision)
        self._ways[id(decision), owner, name] = way
        return way


def _without(decisions: Decisions, too_large: list[str]) -> Decisions:
    return Decisions.of(
        Withhold(Reason.TOO_LARGE, decision.alliance) if decision.alliance in too_large else decision
        for decision in decisions.each
    )


def _opening(event: Event, form: Showing | Form) -> bytes:
    """Return the value without its end: the same for all alliances that see the same."""
    if isinstance(form, Showing):
        attributes = _forwarded(event, form.show(event.data))
    elif form is Form.ENDED:
        attributes = _forwarded(event, bare(event.name, event.data))
    else:
        attributes = _made(event)
    return orjson.dumps(attributes)[:-1]


def _forwarded(event: Event, data: dict[str, Any]) -> dict[str, Any]:
    """Return the publisher's attributes with what is shown of its data; who recorded it stays with us."""
    attributes = event.attributes.copy()
    for name in _REPLACED:
        attributes.pop(name, None)
    attributes["dataschema"] = _shared_view(event.dataschema)
    attributes["data"] = data
    return attributes


@lru_cache(maxsize=256)
def _shared_view(dataschema: DataSchema) -> str:
    return str(dataschema.shared)


def _made(event: Event) -> dict[str, Any]:
    """Return a retraction: the same thing at the same instant, and nothing of what `event` says."""
    data = {ID_PROPERTIES[EventName(event.name)]: event.subject}
    if event.name in MADE_STATUS:
        data[STATUS_PROPERTIES[event.name]] = MADE_STATUS[EventName(event.name)]
    attributes = {
        "specversion": "1.0",
        "id": made_id(event.attributes["source"], event.id),
        "source": FORWARDER,
        "type": event.attributes["type"],
        "subject": event.subject,
        "time": event.attributes["time"],
        "dataschema": _shared_view(event.dataschema),
        "causedby": event.id,
        "data": data,
    }
    if "traceparent" in event.attributes:
        attributes["traceparent"] = event.attributes["traceparent"]
    return attributes


def made_id(source: str, event_id: str) -> str:
    """Return the id of the event that is made because of another: the same cause always gives the same."""
    return "because-" + sha256(f"{source}\n{event_id}".encode()).hexdigest()[:32]
