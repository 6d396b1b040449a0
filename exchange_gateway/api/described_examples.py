"""Worked examples for the OpenAPI document, in the dataset's own Danish data. Pure."""

import json
from functools import cache
from typing import Any

from exchange_gateway.api.event_components import (
    ALLIANCE_EXAMPLE,
    forwarded_examples,
    published_examples,
)
from exchange_gateway.api.problems import PROBLEMS, explain
from exchange_gateway.api.quarantine import QUARANTINE_EXAMPLE
from exchange_gateway.api.stream import CURSOR_EXAMPLE
from schemas.identifiers import EventName, pub_topic
from schemas.packaged import newest

_AT = "2026-11-23T07:05:00.123Z"
_ID = "sub-5f3a1c9e2b7d4a60"
_ORDER = "struer-klejnsmede-aaben"
_LAG = {"events": 0, "seconds": 0.0, "approximate": False}

SUBSCRIPTION_EXAMPLE: dict[str, Any] = {
    "name": "Svejsere i Vestalliancen",
    "types": ["dk.kommunebro.job-order"],
    "alliances": ["vestalliancen"],
    "filter": {"occupation": ["svejser"], "status": ["open"]},
    "start": "earliest",
}
_SUBSCRIPTION = {
    "id": _ID,
    "name": SUBSCRIPTION_EXAMPLE["name"],
    "participant": "0657",
    "types": SUBSCRIPTION_EXAMPLE["types"],
    "alliances": SUBSCRIPTION_EXAMPLE["alliances"],
    "filter": SUBSCRIPTION_EXAMPLE["filter"],
    "start": "earliest",
    "cursor": CURSOR_EXAMPLE,
    "committedAt": None,
    "createdAt": _AT,
    "changedAt": _AT,
    "lag": _LAG,
}


def body_examples() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what `POST /v1/events` can be given: one event of each type by name, and a batch."""
    firsts = [next(iter(published_examples(name).items())) for name in EventName]
    orders = published_examples(EventName.JOB_ORDER)
    return {_ORDER: orders[_ORDER], **dict(firsts)}, [event for title, event in orders.items() if "struer" in title]


def binary_example() -> dict[str, Any]:
    """Return the event that stands as an example of binary mode."""
    return list(published_examples(EventName.VISIT).values())[-1]


def in_lines(events: list[dict[str, Any]]) -> str:
    """Write events as NDJSON."""
    return "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events)


@cache
def answer_examples() -> dict[str, dict[str, Any]]:
    """Return an example of each operation's answer, by operation and status."""
    return _of_events() | _of_reading() | _of_subscriptions() | _of_operation()


def _of_events() -> dict[str, dict[str, Any]]:
    event = published_examples(EventName.JOB_ORDER)[_ORDER]
    known = {"id": event["id"], "source": event["source"]}
    place = {**known, "topic": pub_topic("0671", "job-order"), "offset": 17}
    refused = QUARANTINE_EXAMPLE["quarantine"][0]["problem"]
    result = {"index": 0, "id": event["id"], "status": "accepted", "topic": place["topic"], "offset": 17}
    some = {
        "accepted": 1,
        "duplicates": 0,
        "refused": 1,
        "results": [result, {"index": 1, "id": "ordre-2-1", "status": "refused", "problem": refused}],
    }
    return {
        "publish_events": {"200": place | {"duplicate": True}, "201": place | {"duplicate": False}, "207": some},
        "validate_events": {"200": {"valid": True, **known, "duplicate": False}, "207": some},
        "list_quarantine": {"200": QUARANTINE_EXAMPLE},
    }


def _of_reading() -> dict[str, dict[str, Any]]:
    event = forwarded_examples(EventName.JOB_ORDER)[_ORDER]
    order = {
        "jobOrderId": event["subject"],
        "owner": "0671",
        "status": event["data"]["status"],
        "alliances": ["vestalliancen"],
        "recordedAt": _AT,
        "firstRecordedAt": _AT,
        "time": event["time"],
        "event": {"source": event["source"], "id": event["id"]},
        "data": event["data"],
    }
    listed = {
        "name": "job-order",
        "version": "1.0",
        "id": "urn:kommunebro:schema:job-order:1.0",
        "title": newest("job-order")["title"],
        "href": "/v1/schemas/job-order/1.0",
    }
    traced = {
        "event": {
            **{name: event[name] for name in ("source", "id", "type", "subject", "time")},
            "topic": pub_topic("0671", "job-order"),
            "offset": 17,
        },
        "received": {"at": event["recordedtime"], "door": "http", "by": "opera"},
        "decided": {
            "at": event["forwardedtime"],
            "shard": "0",
            "agreementsOffset": 7,
            "record": {"topic": "audit.forwarding", "offset": 12},
        },
        "forwarded": [
            {
                "alliance": "vestalliancen",
                "agreementVersion": 1,
                "agreementOffset": 6,
                "form": "shown",
                "cut": ["/agreedAt", "/contactPerson", "/sharing"],
            }
        ],
        "withheld": [],
    }
    return {
        "list_job_orders": {"200": {"jobOrders": [order], "next": None}},
        "get_job_order": {"200": order},
        "list_alliances": {"200": {"alliances": [ALLIANCE_EXAMPLE | {"version": 1}], "next": None}},
        "list_schemas": {"200": {"schemas": [listed], "next": None}},
        "get_schema": {"200": newest("job-order-response")},
        "trace_event": {"200": traced},
    }


def _of_subscriptions() -> dict[str, dict[str, Any]]:
    events = [forwarded_examples(EventName.JOB_ORDER)[_ORDER]]
    return {
        "list_subscriptions": {"200": {"subscriptions": [_SUBSCRIPTION], "next": None}},
        "make_subscription": {"201": _SUBSCRIPTION},
        "try_subscription": {"200": {"lookedAt": 48, "found": 1, "complete": True, "events": events}},
        "get_subscription": {"200": _SUBSCRIPTION},
        "change_subscription": {"200": _SUBSCRIPTION | {"name": "Alle svejsere"}},
        "move_cursor": {"200": _SUBSCRIPTION | {"committedAt": _AT}},
        "pull_events": {"200": {"cursor": CURSOR_EXAMPLE, "lag": _LAG, "events": events}},
    }


def _of_operation() -> dict[str, dict[str, Any]]:
    conflict = explain(PROBLEMS["conflict"])
    return {
        "healthz": {"200": {"status": "alive", "instance": "e2198c97-05fa-4479-9023-30e190746eb9"}},
        "readyz": {
            "200": {"ready": True, "reasons": []},
            "503": {"ready": False, "reasons": ["The log does not answer."]},
        },
        "metrics": {"200": "kommunebro_events_accepted_total 48.0\n"},
        "problems": {"200": {"problems": [conflict]}},
        "problem": {"200": conflict},
        "asyncapi": {"200": {"asyncapi": "3.0.0", "info": {"title": "Kommunebro", "version": "0.1.0"}}},
    }
