"""Events for the loads: one realistic job order of about 1.3 KB, and requests with new ones at 0.5 µs each.

Every event is new: its id, which is also the job order's id, is spliced into bytes prepared beforehand.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

PUBLISHER = "0671"
PARTNER = "0657"
"""A municipality that shares an alliance with the publisher."""

EVENTS_IN_BATCH = 100

_HOLE = "00000000-0000-4000-8000-000000000000"
"""Stands where the id goes: as long as one, so that lengths are known beforehand."""


def job_order(publisher: str = PUBLISHER, time: datetime | None = None) -> dict[str, Any]:
    """Return a job order as a municipality would publish it; `_HOLE` is its id."""
    happened = (time or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "specversion": "1.0",
        "id": _HOLE,
        "source": f"urn:kommunebro:{publisher}:opera",
        "type": "dk.kommunebro.job-order",
        "subject": _HOLE,
        "time": happened,
        "dataschema": "urn:kommunebro:schema:job-order:1.0",
        "data": _data(publisher),
    }


def _data(publisher: str) -> dict[str, Any]:
    return {
        "jobOrderId": _HOLE,
        "status": "open",
        "company": {
            "cvr": "93100018",
            "pNumber": "1999000011",
            "name": "Vestjysk Staldinventar A/S",
            "municipality": publisher,
            "industryCodes": [{"system": "DB07", "code": "251100"}],
        },
        "title": "3 klejnsmede/svejsere til staldinventar",
        "occupation": {"label": "Klejnsmed", "codes": [{"system": "DISCO-08", "code": "721400"}]},
        "positions": 3,
        "employmentTypes": ["ordinary"],
        "hoursPerWeek": {"min": 37, "max": 37},
        "startDate": "2027-01-04",
        "workplace": {"municipality": publisher, "postcode": "7600", "city": "Struer"},
        "requirements": ["MAG- eller TIG-svejsning", "Kan læse en arbejdstegning"],
        "description": "Vi bygger inventar til kostalde og søger tre kolleger til svejsehallen. Faglært eller "
        "rutineret ufaglært. Oplæring på svejserobot.",
        "applyVia": "consultant",
        "consultant": {
            "name": "Jens Ove Ramskov",
            "unit": "Jobcenter Struer",
            "phone": "+45 00 00 11 04",
            "email": "jens.ove.ramskov@struer.example",
        },
        "employerAgreed": "named",
        "sharing": {"scope": "alliances"},
        "registeredAt": "2026-11-23T08:05:00+01:00",
    }


class Template:
    """One publisher's job order with a hole for its id.

    run: eight hexadecimal digits that tell this run's events from any other's.
    """

    def __init__(self, run: str, publisher: str = PUBLISHER) -> None:
        self.run, self.publisher = run, publisher
        self._pieces = orjson.dumps(job_order(publisher)).split(_HOLE.encode())
        self._prefix = f"{run}-0000-4000-8000-"

    def ident(self, number: int) -> bytes:
        """Return the id of the event `number`, 36 characters as a UUID's."""
        return f"{self._prefix}{number:012d}".encode()

    def event(self, number: int) -> bytes:
        """Return the event `number`, structured JSON on one line."""
        return self.ident(number).join(self._pieces)

    def single_requests(self, head: "Head") -> "Requests":
        """Return requests that publish one event each."""
        body_bytes = len(self.event(0))
        first, *rest = self._pieces
        return Requests(self, [head.post("application/cloudevents+json", body_bytes) + first, *rest], 1)

    def batch_requests(self, head: "Head", events: int = EVENTS_IN_BATCH) -> "Requests":
        """Return requests that publish `events` events each, as NDJSON."""
        body_bytes = (len(self.event(0)) + 1) * events - 1
        return Requests(self, [head.post("application/x-ndjson", body_bytes)], events)


class Head:
    """What stands before the body of a request to one server. token: None sends no Authorization."""

    def __init__(self, port: int, token: str | None = None, path: str = "/v1/events") -> None:
        self.port, self.path, self._token = port, path, token
        self._authorization = f"Authorization: Bearer {token}\r\n" if token else ""

    def post(self, media_type: str, body_bytes: int) -> bytes:
        """Return the head of a POST."""
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{self._authorization}"
            f"Content-Type: {media_type}\r\nContent-Length: {body_bytes}\r\n\r\n"
        ).encode()

    def post_json(self, path: str, body: object) -> bytes:
        """Return a whole POST request of JSON."""
        content = orjson.dumps(body)
        return Head(self.port, self._token, path).post("application/json", len(content)) + content

    def get(self, path: str, more: str = "") -> bytes:
        """Return a whole GET request. more: whole header lines."""
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{self._authorization}{more}\r\n".encode()


class Requests:
    """The requests of one load: `request(n)` returns the n-th, whose events nobody has sent before."""

    def __init__(self, template: Template, pieces: list[bytes], events: int) -> None:
        self.template, self.events_each = template, events
        self._pieces = pieces

    def request(self, number: int) -> bytes:
        """Return the bytes to send."""
        if self.events_each == 1:
            return self.template.ident(number).join(self._pieces)
        first = number * self.events_each
        return self._pieces[0] + b"\n".join(map(self.template.event, range(first, first + self.events_each)))

    def numbers(self, request: int) -> range:
        """Return the numbers of the events in the n-th request."""
        return range(request * self.events_each, (request + 1) * self.events_each)


def event_id(value: bytes) -> str:
    """Return the id of a stored event, as a reader who parses it would find it."""
    return str(orjson.loads(value)["id"])
