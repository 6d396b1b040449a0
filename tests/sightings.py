"""Records of job orders as they stand in `pub` and `alliance` topics, for the tests of reading."""

from itertools import count
from typing import Any

import orjson

from broker_adapters.log import NewRecord, Record
from exchange_gateway.core.job_orders import Row, row_of
from exchange_gateway.core.things import Sighting, sighting_of
from schemas.event import format_time

START_US = 1_795_000_000_000_000
_numbers = count(1)

DATA: dict[str, Any] = {
    "status": "open",
    "company": {
        "cvr": "93100018",
        "pNumber": "1999000011",
        "name": "Vestjysk Staldinventar A/S",
        "industryCodes": [{"system": "DB07", "code": "251100"}],
    },
    "title": "3 klejnsmede til staldinventar",
    "occupation": {"label": "Klejnsmed", "codes": [{"system": "DISCO-08", "code": "721400", "label": "Smed"}]},
    "workplace": {"municipality": "0671", "postcode": "7600", "city": "Struer"},
    "description": "Vi bygger inventar til kostalde. Øvelse kræves.",
}


def data(subject: str, **changes: Any) -> dict[str, Any]:
    """Return a job order's data; a value of ... takes a property out."""
    changed = {"jobOrderId": subject, **DATA, **changes}
    return {name: value for name, value in changed.items() if value is not ...}


def published(subject: str = "1001", owner: str = "0671", at_s: float = 0, **changes: Any) -> NewRecord:
    """Return a record for `pub.<owner>.job-order`. at_s: the event's time, after `START_US`."""
    return NewRecord(orjson.dumps(_event(subject, owner, at_s, changes)), subject.encode())


def shared(alliance: str, subject: str = "1001", owner: str = "0671", at_s: float = 0, **changes: Any) -> NewRecord:
    """Return a record for `alliance.<alliance>.job-order`."""
    event = _event(subject, owner, at_s, changes) | {"owner": owner, "alliance": alliance, "agreementversion": 1}
    return NewRecord(orjson.dumps(event), f"{owner}/{subject}".encode())


def retracted(
    alliance: str, subject: str = "1001", owner: str = "0671", at_s: float = 0, status: str = "withdrawn"
) -> NewRecord:
    """Return a record that says no more than an id and how the order ended."""
    event = {**_event(subject, owner, at_s, {}), "owner": owner, "alliance": alliance}
    return NewRecord(
        orjson.dumps(event | {"data": {"jobOrderId": subject, "status": status}}), f"{owner}/{subject}".encode()
    )


def _event(subject: str, owner: str, at_s: float, changes: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": changes.pop("event_id", None) or f"e{next(_numbers)}",
        "source": f"urn:kommunebro:{owner}:opera",
        "type": "dk.kommunebro.job-order",
        "subject": subject,
        "time": format_time(START_US + int(at_s * 1e6)),
        "dataschema": "urn:kommunebro:schema:job-order:1.0",
        "data": changes.pop("data", None) or data(subject, **changes),
    }


def record(topic: str, new: NewRecord, offset: int = 0, at_ms: int = 1_795_000_000_000) -> Record:
    """Return a record as the log would give it."""
    return Record(topic, offset, at_ms, new.key, new.value)


def sighting(topic: str, new: NewRecord, at_ms: int = 1_795_000_000_000) -> Sighting:
    """Return what a record says."""
    found = sighting_of(record(topic, new, at_ms=at_ms))
    assert found is not None
    return found


def row(new: NewRecord, at_ms: int = 1_795_000_000_000) -> Row:
    """Return what is stored of a record."""
    event = orjson.loads(new.value)
    holder = f"alliance.{event['alliance']}" if "alliance" in event else f"pub.{event['source'].split(':')[2]}"
    return row_of(sighting(f"{holder}.job-order", new, at_ms))
