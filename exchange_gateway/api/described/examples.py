"""Worked examples in Danish data: Struer's job order and Vestalliancen, from the dataset's own files.

The companies are invented; their numbers have right check digits.
"""

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from typing import Any

import orjson

from exchange_gateway.core.showing import showing
from exchange_gateway.problems import PROBLEMS
from schemas.event import REQUIRED, STRUCTURED, Event
from schemas.identifiers import EventName, mailbox_topic
from schemas.packaged import examples, newest

STRUER, VESTALLIANCEN = "0671", "vestalliancen"
_AT = "2026-11-16T07:15:02.125Z"
_FORWARDED_AT = "2026-11-16T07:15:02.180Z"
CURSOR = "eyJlIjowLCJwIjp7ImFsbGlhbmNlLnZlc3RhbGxpYW5jZW4uam9iLW9yZGVyIjoxfX0"
_INSTANCE = "b1b9c9f2-5b0e-4b52-9d0e-6c0f4f1f8a11"
_SUBSCRIPTION = "sub-5f0c1d2e3a4b5c6d"


@cache
def event(name: str = EventName.JOB_ORDER) -> dict[str, Any]:
    """Return Struer's first example of a type, or the first of all where Struer has none; treat it as frozen."""
    found = examples(name)
    own = [one for one in found.values() if one["source"].split(":")[2] == STRUER]
    return next(iter(own or found.values()))


@cache
def forwarded(name: str = EventName.JOB_ORDER) -> dict[str, Any]:
    """Return the same event as a member of Vestalliancen gets it, by the dataset's default fields."""
    published = event(name)
    told = {key: value for key, value in published.items() if key not in ("data", "dataschema")}
    return told | {
        "dataschema": str(Event(published).dataschema.shared),
        "data": showing(name, None).show(published["data"]),
        "recordedtime": _AT,
        "owner": published["source"].split(":")[2],
        "alliance": VESTALLIANCEN,
        "agreementversion": 1,
        "forwardedtime": _FORWARDED_AT,
    }


def binary_headers(one: dict[str, Any], prefix: str) -> dict[str, str]:
    """Return an event's attributes as headers of binary mode; prefix: `ce-` over HTTP, `ce_` on Kafka."""
    return {prefix + name: one[name] for name in REQUIRED if name != "data"}


def publications() -> dict[str, dict[str, Any]]:
    """Return the examples of what is published, by media type."""
    each = {name.value: {"summary": f"A {name.value}, as Struer sends it", "value": event(name)} for name in EventName}
    order, visit = event(), event(EventName.VISIT)
    lines = b"\n".join(orjson.dumps(one) for one in (order, visit)).decode() + "\n"
    return {
        STRUCTURED: each,
        "application/cloudevents-batch+json": {"two": {"summary": "Two events", "value": [order, visit]}},
        "application/x-ndjson": {"two": {"summary": "Two events, one a line", "value": lines}},
        "application/json": {"binary": {"summary": "`data` alone; the rest is in headers", "value": order["data"]}},
    }


def problem(status: int, name: str | None = None) -> dict[str, Any]:
    """Return the problem details of a status. Raises `KeyError` where no problem has it."""
    rows = [row for row in PROBLEMS.values() if row.status == status and name in (None, row.name)]
    if not rows:
        raise KeyError(status)
    row = rows[0]
    told = {"type": f"/problems/{row.name}", "title": row.title, "status": status, "detail": row.explanation}
    return told | {"retryable": row.retryable}


def _place(*, duplicate: bool = False) -> dict[str, Any]:
    order = event()
    told = {"id": order["id"], "source": order["source"], "topic": "pub.0671.job-order", "offset": 0}
    return told | {"duplicate": duplicate}


def _refused() -> dict[str, Any]:
    violation = {"pointer": "/data/title", "detail": "'title' is missing.", "rule": "required"}
    return problem(422, "schema-violation") | {"errors": [violation]}


def _results(*, refused: bool) -> dict[str, Any]:
    order, visit = event(), event(EventName.VISIT)
    first = {"index": 0, "id": order["id"], "status": "accepted", "topic": "pub.0671.job-order", "offset": 0}
    second = {"index": 1, "id": visit["id"], "status": "accepted", "topic": "pub.0671.visit", "offset": 0}
    if refused:
        second = {"index": 1, "id": visit["id"], "status": "refused", "problem": _refused()}
    return {"accepted": 1 if refused else 2, "duplicates": 0, "refused": int(refused), "results": [first, second]}


def _job_order() -> dict[str, Any]:
    shown = forwarded()
    return {
        "jobOrderId": shown["subject"],
        "owner": STRUER,
        "status": shown["data"]["status"],
        "alliances": [VESTALLIANCEN],
        "recordedAt": _FORWARDED_AT,
        "firstRecordedAt": _FORWARDED_AT,
        "time": shown["time"],
        "event": {"source": shown["source"], "id": shown["id"]},
        "data": shown["data"],
    }


def _subscription() -> dict[str, Any]:
    return {
        "id": _SUBSCRIPTION,
        "name": "Svejsere i Vestalliancen",
        "participant": "0657",
        "types": [EventName.JOB_ORDER.type],
        "alliances": [VESTALLIANCEN],
        "filter": {"occupation": ["svejser"], "status": ["open"]},
        "start": "earliest",
        "cursor": CURSOR,
        "committedAt": None,
        "createdAt": _AT,
        "changedAt": _AT,
        "lag": {"events": 0, "seconds": 0.0, "approximate": True},
    }


def _trace() -> dict[str, Any]:
    order = event()
    told = {name: order[name] for name in ("source", "id", "type", "subject", "time")}
    return {
        "event": told | {"topic": "pub.0671.job-order", "offset": 0},
        "received": {"at": _AT, "door": "http", "by": "opera"},
        "decided": {
            "at": _FORWARDED_AT,
            "shard": 3,
            "agreementsOffset": 8,
            "record": {"topic": "audit.forwarding", "offset": 0},
        },
        "forwarded": [
            {
                "alliance": VESTALLIANCEN,
                "agreementVersion": 1,
                "agreementOffset": 7,
                "form": "shown",
                "cut": ["/agreedAt", "/contactPerson", "/sharing"],
            }
        ],
        "withheld": [{"alliance": None, "reason": "not-named", "meaning": "The publisher named other alliances."}],
    }


def _connector() -> dict[str, Any]:
    return {
        "participant": "0671", "system": "opera", "name": "ordrer", "state": "refusing",
        "lastSeen": "2026-11-23T08:05:02.113Z", "kind": "sql", "waiting": 0, "waitingSince": None, "refused": 2,
        "sent": 14, "lastRun": "2026-11-23T08:05:00Z", "nextRun": "2026-11-23T08:10:00Z", "problem": None,
    }  # fmt: skip


def quarantined() -> dict[str, Any]:
    """Return what stands in quarantine for an order without its title."""
    order = event()
    bad = order | {"data": {name: value for name, value in order["data"].items() if name != "title"}}
    return {
        "participant": STRUER,
        "topic": mailbox_topic(STRUER),
        "offset": 1,
        "receivedAt": _AT,
        "sha256": sha256(orjson.dumps(bad)).hexdigest(),
        "eventId": order["id"],
        "problem": _refused(),
    }


def _stream() -> str:
    shown = forwarded()
    return f"id: {CURSOR}\nevent: {shown['type']}\ndata: {orjson.dumps(shown).decode()}\n\n"


def _record() -> str:
    told = {"topic": "pub.0671.job-order", "offset": 0, "recordedAt": _AT, "event": event()}
    return orjson.dumps(told).decode() + "\n"


def answers(agreement: dict[str, Any], schemas: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """Return one example of an answer by (operation id, status).

    agreement: one that is shown. schemas: the items of the list of schemas.
    """
    lag = {"events": 0, "seconds": 0.0, "approximate": False}
    items = list(schemas)
    order_schema = newest(EventName.JOB_ORDER)
    explained = {key: value for key, value in problem(409, "conflict").items() if key != "detail"}
    explained["explanation"] = PROBLEMS["conflict"].explanation
    subscription, order = _subscription(), _job_order()
    pulled = {"events": [forwarded()], "cursor": CURSOR, "lag": lag}
    validated = {"valid": True, "id": event()["id"], "source": event()["source"], "duplicate": False}
    return {
        ("healthz", "200"): {"status": "alive", "instance": _INSTANCE},
        ("readyz", "200"): {"ready": True, "reasons": []},
        ("readyz", "503"): {"ready": False, "reasons": ["The log does not answer."]},
        ("get_schema", "200"): {key: order_schema[key] for key in ("$schema", "$id", "title", "x-label-da", "type")},
        ("asyncapi_document", "200"): {"asyncapi": "3.0.0", "info": {"title": "Kommunebro", "version": "0.1.0"}},
        ("publish_events", "200"): _place(duplicate=True),
        ("publish_events", "201"): _place(),
        ("publish_events", "207"): _results(refused=True),
        ("validate_events", "200"): validated,
        ("validate_events", "207"): _results(refused=True),
        ("list_job_orders", "200"): {"jobOrders": [order], "next": None},
        ("get_job_order", "200"): order,
        ("list_subscriptions", "200"): {"subscriptions": [subscription], "next": None},
        **{(name, "200"): subscription for name in ("get_subscription", "change_subscription", "move_cursor")},
        ("make_subscription", "201"): subscription,
        ("try_subscription", "200"): {"lookedAt": 812, "found": 1, "complete": True, "events": [forwarded()]},
        ("pull_events", "200"): pulled,
        ("stream_events", "200"): _stream(),
        ("list_alliances", "200"): {"alliances": [agreement | {"version": 1}], "next": None},
        **dict.fromkeys((("get_alliance", "200"), ("put_alliance", "200")), agreement),
        ("put_alliance", "201"): agreement,
        ("list_schemas", "200"): {"schemas": items, "next": None},
        ("replay_records", "200"): _record(),
        ("replay_bounds", "200"): {
            "instance": _INSTANCE,
            "filters": {},
            "topics": {"pub.0671.job-order": {"from": 0, "to": 812}},
        },
        ("trace", "200"): _trace(),
        ("list_quarantine", "200"): {"quarantine": [quarantined() | {"quarantinedAt": _FORWARDED_AT}], "next": None},
        ("list_connectors", "200"): {"connectors": [_connector()], "next": None},
        ("get_problem", "200"): explained,
        ("list_problems", "200"): {"problems": [explained]},
    }
