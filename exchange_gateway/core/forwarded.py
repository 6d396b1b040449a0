"""Write what goes into an alliance's topic: an event cut to what may be seen, or one that we make. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from broker_adapters.codec import event_headers
from broker_adapters.log import RECORD_BYTES_MAX, NewRecord
from exchange_gateway.core.agreements.fields import STATUS_PROPERTIES
from exchange_gateway.core.routing import Decision, Form, Forward, Reason, Withhold
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

_NOT_FORWARDED = frozenset({"data", "dataschema", "recordedby"})

Output = tuple[str, NewRecord]


def write_outputs(event: Event, decisions: Iterable[Decision], at: str) -> tuple[list[Output], list[Decision]]:
    """Return the records that `decisions` ask for, and the decisions as they could be carried out.

    at: RFC 3339. An event too large for the log once the forwarder's attributes are added is withheld.
    """
    outputs: list[Output] = []
    done: list[Decision] = []
    key = f"{event.participant}/{event.subject}".encode()
    openings: dict[Showing | Form, bytes] = {}
    headers = None
    for decision in decisions:
        if isinstance(decision, Withhold):
            done.append(decision)
            continue
        value = _opening(event, decision, openings) + _ending(event, decision, at)
        if len(value) > VALUE_BYTES_MAX:
            done.append(Withhold(Reason.TOO_LARGE, decision.alliance))
            continue
        if decision.form is Form.RETRACTED:
            record = NewRecord(value, key, event_headers(Event(orjson.loads(value), stored=True)))
        else:
            headers = headers or event_headers(event)
            record = NewRecord(value, key, headers)
        outputs.append((alliance_topic(decision.alliance, event.name), record))
        done.append(decision)
    return outputs, done


def _opening(event: Event, decision: Forward, openings: dict[Showing | Form, bytes]) -> bytes:
    """Return the value without its end, written once for all alliances that see the same."""
    fields = decision.agreement.agreement.shares.get(event.name)
    way = showing(event.name, fields) if decision.form is Form.SHOWN else decision.form
    opening = openings.get(way)
    if opening is None:
        if isinstance(way, Showing):
            attributes = _envelope(event) | {"data": way.show(event.data)}
        elif way is Form.ENDED:
            attributes = _envelope(event) | {"data": bare(event.name, event.data)}
        else:
            attributes = _made(event)
        opening = openings[way] = orjson.dumps(attributes)[:-1]
    return opening


def _ending(event: Event, decision: Forward, at: str) -> bytes:
    # All of these are identifiers or times, so nothing in them needs escaping.
    return (
        f',"owner":"{event.participant}","alliance":"{decision.alliance}",'
        f'"agreementversion":{decision.agreement.number},"forwardedtime":"{at}"}}'
    ).encode()


def _envelope(event: Event) -> dict[str, Any]:
    """Return the publisher's attributes that go with its data; who recorded it stays with us."""
    attributes = {name: value for name, value in event.attributes.items() if name not in _NOT_FORWARDED}
    attributes["dataschema"] = _shared_view(event.dataschema)
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
