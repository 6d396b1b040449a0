"""Events as a gateway stores them, for the tests of the core and of the forwarder."""

import json
from pathlib import Path
from typing import Any

import schemas
from broker_adapters.codec import addition, encode_published
from broker_adapters.log import NewRecord, Record
from exchange_gateway.core.known_things import Known, Seen, id_digest
from schemas.event import Event, format_time
from schemas.identifiers import ID_PROPERTIES, EventName, pub_topic

START_US = 1_790_000_000_000_000
RECORDED_AT = "2026-11-18T11:00:00.000Z"

COMPANY = {
    "cvr": "93100018",
    "pNumber": "1999000011",
    "name": "Vestjysk Staldinventar A/S",
    "municipality": "0671",
    "industryCodes": [{"system": "DB07", "code": "251100"}],
}
CONSULTANT = {"name": "Jens Ove Ramskov", "unit": "Struer Jobcenter", "phone": "+45 00 00 11 04"}
PERSON = {"name": "Poul Erik Toftdahl", "phone": "+45 00 00 22 01"}
SHARED = {"scope": "alliances"}

DATA: dict[str, dict[str, Any]] = {
    "job-order": {
        "status": "open",
        "company": COMPANY,
        "title": "3 klejnsmede til staldinventar",
        "occupation": {"label": "Klejnsmed", "codes": [{"system": "DISCO-08", "code": "721400"}]},
        "positions": 3,
        "employmentTypes": ["ordinary"],
        "hoursPerWeek": {"min": 37, "max": 37},
        "workplace": {"municipality": "0671", "postcode": "7600", "city": "Struer"},
        "requirements": ["MAG- eller TIG-svejsning"],
        "description": "Vi bygger inventar til kostalde.",
        "applyVia": "consultant",
        "contactPerson": PERSON,
        "consultant": CONSULTANT,
        "employerAgreed": "named",
        "agreedAt": "2026-11-18",
        "sharing": SHARED,
        "externalIds": [{"system": "DFDG", "id": "8de97cdf"}, {"system": "VITAS", "id": "4711"}],
        "registeredAt": "2026-11-18T08:05:00+01:00",
    },
    "company-contact": {
        "company": COMPANY,
        "occurredAt": "2026-11-18T07:45:00+01:00",
        "channel": "phone",
        "initiatedBy": "company",
        "purposes": ["recruitment"],
        "agreed": "Ringer igen.",
        "outlook": [{"occupation": {"label": "Smed"}, "horizonMonths": 3, "direction": "increase"}],
        "contactPerson": PERSON,
        "consultant": CONSULTANT,
        "sharing": SHARED,
    },
    "visit": {
        "status": "planned",
        "company": COMPANY,
        "start": "2026-11-25T09:00:00+01:00",
        "end": "2026-11-25T10:00:00+01:00",
        "purposes": ["recruitment"],
        "followUp": {"date": "2026-12-01", "action": "Ring", "done": False},
        "contactPerson": PERSON,
        "consultant": CONSULTANT,
        "sharing": SHARED,
    },
    "company-cooperation": {
        "company": COMPANY,
        "forms": ["work-placement"],
        "active": True,
        "band": "1-4",
        "keyConsultant": CONSULTANT,
        "sharing": SHARED,
    },
    "job-order-response": {
        "jobOrderOwner": "0671",
        "jobOrderId": "1001",
        "via": ["vest"],
        "kind": "candidates",
        "candidateCount": 2,
        "message": "To smede er klar.",
        "consultant": CONSULTANT,
    },
}


def example(name: str, index: int) -> dict[str, Any]:
    """Return one of the dataset's own examples."""
    files = sorted((Path(schemas.__file__).parent / name / "examples" / "1.0").glob("*.json"))
    return json.loads(files[index].read_text("utf-8"))  # type: ignore[no-any-return]


def event(
    name: str = "job-order",
    *,
    owner: str = "0671",
    subject: str = "1001",
    id: str = "e1",  # noqa: A002  # CloudEvents' own word
    minute: int = 0,
    system: str = "opera",
    **data: Any,
) -> Event:
    """Build an event whose data is the sample's with `data` on top; a value of ... takes a property out."""
    whole = {ID_PROPERTIES[EventName(name)]: subject, **DATA[name], **data}
    return Event(
        {
            "specversion": "1.0",
            "id": id,
            "source": f"urn:kommunebro:{owner}:{system}",
            "type": f"dk.kommunebro.{name}",
            "subject": subject,
            "time": format_time(START_US + minute * 60_000_000),
            "dataschema": f"urn:kommunebro:schema:{name}:1.0",
            "data": {key: value for key, value in whole.items() if value is not ...},
        }
    )


def published(stored: Event) -> NewRecord:
    """Return the record in which the gateway stores an event."""
    return encode_published(stored, None, addition(RECORDED_AT, "opera-klient"))


def topic_of(stored: Event) -> str:
    return pub_topic(stored.participant, stored.name)


def record(stored: Event, offset: int = 0) -> Record:
    """Return an event's record as it is read from the log."""
    new = published(stored)
    return Record(topic_of(stored), offset, 0, new.key, new.value, new.headers)


def seen(stored: Event, offset: int = 0) -> Seen:
    return Seen(id_digest(stored.attributes["source"], stored.id), offset)


def known(*, shared: tuple[str, ...] = (), closed: tuple[str, ...] = (), before: Event | None = None) -> Known:
    """Build what is known of a thing that was shared in, or closed in, some alliances."""
    newest = before or event(id="e0", minute=-1)
    return Known(newest.time_us, (seen(newest),), (), frozenset(shared), frozenset(closed))
