"""The CloudEvents project's own SDK writes what we take, and reads what we give."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.v1.event import CloudEvent

from kommunebro import Client
from tests.instances import HERNING, STRUER, Instance, of_one, wanted

STRUCTURED = {"content-type": "application/cloudevents+json"}


def sdk_event(subject: str) -> CloudEvent:
    """Return an order as the SDK holds it."""
    whole = of_one(subject, subject)
    data = whole.pop("data")
    return CloudEvent({**whole, "time": datetime(2026, 11, 20, 9, 15, tzinfo=UTC)}, data)


def post(lasting: Instance, message: HTTPMessage) -> httpx.Response:
    headers = {**message.headers, "Authorization": f"Bearer {lasting.token(STRUER, 'publisher')}"}
    return httpx.post(f"{lasting.url}/v1/events", content=message.body, headers=headers, timeout=30)


def read(text: str | bytes) -> BaseCloudEvent:
    return http.from_http_event(HTTPMessage(STRUCTURED, text if isinstance(text, bytes) else text.encode()))


@pytest.mark.parametrize("to_message", [http.to_structured_event, http.to_binary_event])
def test_what_the_sdk_writes_is_taken(lasting: Instance, to_message: Any) -> None:
    """Structured and binary mode; the same event in the other mode is a duplicate."""
    made = sdk_event(f"sdk-{to_message.__name__}")
    answer = post(lasting, to_message(made))
    assert (answer.status_code, answer.json()["duplicate"]) == (201, False), answer.text
    for other in (http.to_structured_event, http.to_binary_event):
        again = post(lasting, other(made))
        assert (again.status_code, again.json()["duplicate"]) == (200, True), again.text


def test_what_is_pulled_and_streamed_the_sdk_reads(lasting: Instance) -> None:
    """Each event is one that the SDK takes in structured mode, with our extension attributes and the data."""
    with Client(lasting.url, lasting.token(HERNING, "reader")) as herning:
        subscription = herning.create_subscription("SDK", filter=wanted("sdk-delivered"))["id"]
        made = sdk_event("sdk-delivered")
        assert post(lasting, http.to_binary_event(made)).status_code == 201
        pulled = herning.pull(subscription, wait_s=20)["events"]
        streamed = next(herning.stream(subscription)).event
    for got in (pulled[0], streamed):
        seen = read(json.dumps(got))
        assert (seen.get_id(), seen.get_source(), seen.get_time()) == (
            made.get_id(), made.get_source(), made.get_time(),
        )  # fmt: skip
        assert (seen.get_extension("owner"), seen.get_extension("alliance")) == (STRUER, "vestalliancen")
        assert isinstance(seen.get_data(), dict)
        assert seen.get_dataschema() == "urn:kommunebro:schema:job-order-shared:1.0"


def test_what_is_recorded_the_sdk_reads(lasting: Instance) -> None:
    """The stored bytes are structured mode as they are."""
    made = sdk_event("sdk-recorded")
    assert post(lasting, http.to_structured_event(made)).status_code == 201
    with Client(lasting.url, lasting.token("auditor", "auditor")) as auditor:
        (record,) = auditor.replay({"subject": "sdk-recorded", "topic": "pub.0671.*"})
    seen = read(record.event_bytes)
    assert (seen.get_id(), seen.get_data()) == (made.get_id(), made.get_data())
    assert seen.get_extension("recordedtime")
