"""An event's trace, from its publisher through the gateway, the forwarder and a subscriber: as a receiver gets it."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange_gateway.core.access import Role
from exchange_gateway.spans import EVENT_SPANS_MAX, Tracing, context_of, sampled_context
from exchange_gateway.telemetry import Metrics
from tests.core.agreement_samples import agreement
from tests.processes import Served, bearer, serving
from tests.support import a_clock, a_gateway, an_event, token
from tests.telemetry.conftest import Receiver, attributes

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
STRUER, HERNING = "0671", "0657"


def a_traceparent(flags: str = "01") -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{flags}"


def ids(traceparent: str) -> tuple[bytes, bytes]:
    _, trace_id, span_id, _ = traceparent.split("-")
    return bytes.fromhex(trace_id), bytes.fromhex(span_id)


@pytest.fixture(params=["embedded", "kafka"])
def served(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Served]:
    """A gateway's process on either log that sends its spans to the receiver."""
    lines = [f'telemetry = {{otlp_endpoint = "{receiver.url}", sample_ratio = 0.0}}']
    if request.param == "kafka":
        lines.append(f'kafka_bootstrap = "{request.getfixturevalue("kafka_bootstrap")}"')
        lines.append(f'kafka = {{prefix = "{request.getfixturevalue("kafka_prefix")}"}}')
    config = tmp_path / "settings.toml"
    config.write_text("\n".join(lines))
    with serving(tmp_path / "data", "--config", str(config)) as running:
        operator = {**bearer(running.data, "drift", "operator"), "If-None-Match": "*"}
        agreed = agreement(id="vestalliancen")
        answer = httpx.put(f"{running.url}/v1/alliances/vestalliancen", json=agreed, headers=operator)
        assert answer.status_code == 201, answer.text
        yield running


def test_a_trace_goes_through_publish_forward_and_deliver(served: Served, receiver: Receiver) -> None:
    """One trace, the publisher's own, has a span at each hop; the event itself is stored as it was published."""
    publisher, reader = bearer(served.data, STRUER, "publisher"), bearer(served.data, HERNING, "reader")
    with httpx.Client(base_url=served.url, timeout=30) as client:
        made = client.post("/v1/subscriptions", json={"name": "Alt", "start": "earliest"}, headers=reader).json()
        carried, asked, pulling = a_traceparent(), a_traceparent(), a_traceparent()
        event = an_event(STRUER, traceparent=carried)
        answer = client.post(
            "/v1/events", content=json.dumps(event), headers={**publisher, **STRUCTURED, "traceparent": asked}
        )
        assert answer.status_code == 201, answer.text
        path = f"/v1/subscriptions/{made['id']}"
        pulled = client.get(f"{path}/events", params={"wait": 20}, headers={**reader, "traceparent": pulling})
        assert [one["traceparent"] for one in pulled.json()["events"]] == [carried]
        with client.stream("GET", f"{path}/stream", headers=reader) as stream:
            next(line for line in stream.iter_lines() if line.startswith("data: "))
            streaming = stream.headers["x-request-id"]
    spans = receiver.await_spans(lambda spans: sum(span.name == "deliver" for span in spans) == 2)
    trace_id, span_id = ids(carried)
    hops = [span for span in spans if span.trace_id == trace_id]
    assert [span.name for span in sorted(hops, key=lambda span: span.end_time_unix_nano)] == [
        "publish", "forward", "deliver", "deliver",
    ]  # fmt: skip
    assert {span.parent_span_id for span in hops} == {span_id}
    by_name = {(span.name, attributes(span).get("kommunebro.door")): span for span in hops}
    request = next(span for span in spans if span.name == "POST /v1/events")
    assert (request.trace_id, request.parent_span_id) == ids(asked)
    publish, forward = by_name["publish", "http"], by_name["forward", None]
    assert [(link.trace_id, link.span_id) for link in request.links] == [(trace_id, span_id)]
    assert [link.span_id for link in publish.links] == [request.span_id]
    place = {"kommunebro.topic": f"pub.{STRUER}.job-order", "kommunebro.offset": answer.json()["offset"]}
    request_id = {"kommunebro.request_id": answer.headers["x-request-id"]}
    assert attributes(publish) == place | request_id | {"kommunebro.door": "http", "kommunebro.outcome": "accepted"}
    assert attributes(request) == request_id | {"http.response.status_code": 201}
    assert attributes(forward).items() >= place.items()
    shared = attributes(forward)["kommunebro.shared_in"].values
    assert [one.string_value for one in shared] == ["alliance.vestalliancen.job-order"]
    pull, stream_span = by_name["deliver", "pull"], by_name["deliver", "stream"]
    assert [(link.trace_id, link.span_id) for link in pull.links] == [ids(pulling)]
    assert attributes(pull)["kommunebro.subscription"] == made["id"]
    assert attributes(pull)["kommunebro.request_id"] == pulled.headers["x-request-id"]
    assert attributes(stream_span)["kommunebro.request_id"] == streaming
    everything = b"".join(one.SerializeToString() for one in receiver.requests)
    for secret in (event["id"], event["subject"], event["data"]["title"], publisher["Authorization"].split()[1]):
        assert secret.encode() not in everything


async def _sent(client: httpx.AsyncClient, headers: dict[str, str], event: dict[str, Any]) -> int:
    answer = await client.post("/v1/events", content=json.dumps(event), headers={**headers, **STRUCTURED})
    return answer.status_code


async def test_what_is_traced_is_what_was_chosen(tmp_path: Path, receiver: Receiver) -> None:
    """A trace that is not sampled, a damaged `traceparent`, and a request by itself at ratio 0 have no span."""
    telemetry = {"otlp_endpoint": receiver.url, "sample_ratio": 0.0}
    async with a_gateway(tmp_path, a_clock(), telemetry=telemetry) as (gateway, client):
        headers = token(gateway, STRUER, Role.PUBLISHER)
        assert await _sent(client, headers, an_event(STRUER, traceparent=a_traceparent("00"))) == 201
        assert await _sent(client, {**headers, "traceparent": a_traceparent("00")}, an_event(STRUER)) == 201
        assert await _sent(client, {**headers, "traceparent": "00-nothing"}, an_event(STRUER)) == 201
        void = f"00-{'0' * 32}-1234567890abcdef-01"
        assert await _sent(client, headers, an_event(STRUER, traceparent=void)) == 201
        assert await _sent(client, {**headers, "traceparent": a_traceparent()}, an_event(STRUER, type="x")) == 422
    (refused,) = receiver.spans()
    assert attributes(refused).items() >= {"http.response.status_code": 422, "error.type": "not-an-event"}.items()


async def test_every_request_is_traced_at_ratio_one(tmp_path: Path, receiver: Receiver) -> None:
    """Without a `traceparent` of its own a request begins a trace; a batch gets no more spans than its limit."""
    telemetry = {"otlp_endpoint": receiver.url, "sample_ratio": 1.0}
    async with a_gateway(tmp_path, a_clock(), forwarder=False, telemetry=telemetry) as (gateway, client):
        headers = token(gateway, STRUER, Role.PUBLISHER)
        assert await _sent(client, headers, an_event(STRUER)) == 201
        many = "\n".join(json.dumps(an_event(STRUER, traceparent=a_traceparent())) for _ in range(EVENT_SPANS_MAX + 20))
        answer = await client.post(
            "/v1/events", content=many, headers={**headers, "Content-Type": "application/x-ndjson"}
        )
        assert answer.json()["accepted"] == EVENT_SPANS_MAX + 20
    names = [span.name for span in receiver.spans()]
    assert names.count("POST /v1/events") == 2
    assert 20 <= names.count("publish") <= 2 * EVENT_SPANS_MAX


async def test_a_receiver_that_is_away_costs_nothing_but_spans(
    tmp_path: Path, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told once, publishing goes on, and stopping does not wait long."""
    receiver.status = 404
    metrics = Metrics()
    tracing = Tracing(receiver.url, ratio=1.0, version="test", metrics=metrics)
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        with tracing.request("POST /v1/events", [], "r-1"):
            pass
        await asyncio.to_thread(tracing._processor.force_flush)
    await asyncio.to_thread(tracing.close)
    assert asyncio.get_running_loop().time() - began < 10
    assert capfd.readouterr().out.count("spans_not_sent") == 1
    assert metrics.registry.get_sample_value("kommunebro_spans_total", {"outcome": "lost"}) == 3


def test_contexts_are_read_as_the_standard_says() -> None:
    """What is no `traceparent`, or no valid one, is no context."""
    good = a_traceparent()
    assert context_of(good) is not None
    for bad in ("", good[:-1], good + "-x", good.upper(), "01" + good[2:], f"00-{'0' * 32}-{'1' * 16}-01"):
        assert context_of(bad) is None, bad
    assert sampled_context(b'{"id":"1"}') is None
    assert sampled_context(f'{{"traceparent" : "{good}","id":"1"}}'.encode()) == context_of(good)
    assert sampled_context(f'{{"traceparent":"{good[:-2]}00"}}'.encode()) is None
