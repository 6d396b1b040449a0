"""`/asyncapi.json`: valid by AsyncAPI's own schema, and true: its examples are played, on a real Kafka.

What it says of a stream is held against what a subscriber's stream brings.
"""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from confluent_kafka import Producer

from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from schemas.event import STRUCTURED
from schemas.identifiers import EventName
from tests.clients.tools import node_modules
from tests.core.agreement_samples import agreement
from tests.processes import bearer, serving
from tests.support import a_gateway, token

WAIT_S = 30
VEJLE = "0630"


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow references within the document."""
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def messages_of(document: dict[str, Any], channel: str) -> dict[str, dict[str, Any]]:
    named = document["channels"][channel]["messages"]
    return {name: resolved(document, message) for name, message in named.items()}


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)


@pytest.fixture(scope="module")
def metaschema() -> jsonschema_rs.Draft7Validator:
    """AsyncAPI 3.0's own JSON Schema, from the package that ships it."""
    return jsonschema_rs.Draft7Validator(
        json.loads((node_modules() / "@asyncapi/specs/schemas/3.0.0.json").read_text("utf-8"))
    )


@pytest.fixture
async def document(tmp_path: Path) -> dict[str, Any]:
    """The document of a gateway on its own log, which needs no token."""
    async with a_gateway(tmp_path, forwarder=False) as (_, client):
        answer = await client.get("/asyncapi.json")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_it_is_valid(document: dict[str, Any], metaschema: jsonschema_rs.Draft7Validator) -> None:
    """By the schema that AsyncAPI publishes; and that schema does find faults."""
    assert [(error.instance_path, error.message) for error in metaschema.iter_errors(document)] == []
    broken = json.loads(json.dumps(document))
    broken["operations"]["streamEvents"]["action"] = "publish"
    assert not metaschema.is_valid(broken)


def test_every_type_is_in_it(document: dict[str, Any]) -> None:
    """Over both doors: on a stream, and in a mailbox in both modes; every reference leads somewhere."""
    types = [name.type for name in EventName]
    assert [message["name"] for message in messages_of(document, "stream").values()] == types
    assert Counter(message["name"] for message in messages_of(document, "mailbox").values()) == dict.fromkeys(types, 2)
    for operation in document["operations"].values():
        assert {resolved(document, message)["title"] for message in operation["messages"]}
    text = json.dumps(document)
    assert "urn:kommunebro:schema:job-order:1.0" in text
    assert "$defs" not in text


def test_every_example_fits_its_message(document: dict[str, Any]) -> None:
    """Headers and payload, by the document itself; each message has an example."""
    for channel in document["channels"]:
        for name, message in messages_of(document, channel).items():
            assert message["examples"], name
            for example in message["examples"]:
                for part in ("headers", "payload"):
                    if part in message:
                        errors = validator(document, message[part]).iter_errors(example[part])
                        assert [error.message for error in errors] == [], (name, part)


def mailbox_examples(document: dict[str, Any]) -> list[tuple[str, dict[str, str], bytes]]:
    """Every example of the native door: its participant, its headers and its value."""
    found = []
    for message in messages_of(document, "mailbox").values():
        for example in message["examples"]:
            headers, payload = example["headers"], example["payload"]
            source = headers.get("ce_source") or payload["source"]
            found.append((source.split(":")[2], headers, json.dumps(payload).encode()))
    return found


def everybody(document: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The participants of all examples, and an agreement by which they share everything, also with Vejle."""
    owners = sorted({owner for owner, _, _ in mailbox_examples(document)})
    body = agreement(
        id="vestalliancen",
        members=[{"participant": owner} for owner in {*owners, VEJLE}],
        shares={name.value: {} for name in EventName},
    )
    return owners, body


async def records_in(gateway: Gateway, space: str) -> list[dict[str, Any]]:
    topics = {name: 0 for name in await gateway.log.topics() if name.startswith(space)}
    if not topics:
        return []
    async with gateway.log.reader(topics) as reader:
        return [json.loads(record.value) for record in await reader.poll(records_max=1_000, timeout_s=0.5)]


async def test_the_examples_of_the_native_door_are_taken_in(
    tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    """Each is written to its participant's mailbox as it stands, and recorded; nothing is in quarantine."""
    changes: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        document = (await client.get("/asyncapi.json")).json()
        address = document["channels"]["mailbox"]["address"]
        assert address == f"{kafka_prefix}in.{{participant}}"
        operator = token(gateway, "drift", Role.OPERATOR) | {"If-None-Match": "*"}
        _, body = everybody(document)
        assert (await client.put(f"/v1/alliances/{body['id']}", json=body, headers=operator)).status_code == 201
        examples = mailbox_examples(document)
        assert len(examples) == 4 * len(EventName)
        async with asyncio.timeout(WAIT_S):
            while not {f"in.{owner}" for owner, _, _ in examples} <= set(await gateway.log.topics()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        producer = Producer({"bootstrap.servers": kafka_bootstrap, "enable.idempotence": True})
        for owner, headers, value in examples:
            pairs = [(name, text.encode()) for name, text in headers.items()]
            producer.produce(address.replace("{participant}", owner), value, headers=pairs)
        assert await asyncio.to_thread(producer.flush, 20) == 0
        auditor = token(gateway, "revision", Role.AUDITOR)
        recorded: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT_S):
            while len(recorded) < len(examples):
                refused = (await client.get("/v1/quarantine", headers=auditor)).json()["quarantine"]
                assert refused == []
                recorded = await records_in(gateway, "pub.")
        structured = [json.loads(value) for _, headers, value in examples if headers["content-type"] == STRUCTURED]
        binary = [json.loads(value) for _, headers, value in examples if headers["content-type"] != STRUCTURED]
        assert all(event["data"] in [one["data"] for one in recorded] for event in structured)
        assert all(data in [one["data"] for one in recorded] for data in binary)


@pytest.mark.timeout(60)
def test_a_stream_brings_what_is_described(tmp_path: Path) -> None:
    """The examples are published by their participants; what Vejle's stream brings fits the document, every type."""
    with serving(tmp_path / "data") as served, httpx.Client(base_url=served.url, timeout=30) as client:
        document = client.get("/asyncapi.json").json()
        operator = bearer(served.data, "drift", "operator") | {"If-None-Match": "*"}
        owners, body = everybody(document)
        assert client.put(f"/v1/alliances/{body['id']}", json=body, headers=operator).status_code == 201
        messages = messages_of(document, "mailbox")
        events = [
            example["payload"]
            for name, message in messages.items()
            for example in message["examples"]
            if name.endswith("Structured")
        ]
        publisher = bearer(served.data, owners[0], "publisher", represents=owners) | {"Content-Type": STRUCTURED}
        for event in events:
            assert client.post("/v1/events", content=json.dumps(event), headers=publisher).status_code == 201
        reader = bearer(served.data, VEJLE, "reader")
        made = client.post("/v1/subscriptions", json={"name": "Vejle"}, headers=reader).json()
        channel = document["channels"]["stream"]
        path = channel["address"].replace("{subscriptionId}", made["id"])
        met = read_stream(client, path, reader, {name.type for name in EventName})
    for headers, payload in met:
        [message] = [one for one in messages_of(document, "stream").values() if one["name"] == headers["event"]]
        assert [error.message for error in validator(document, message["headers"]).iter_errors(headers)] == []
        assert [error.message for error in validator(document, message["payload"]).iter_errors(payload)] == []


def read_stream(
    client: httpx.Client, path: str, headers: dict[str, str], types: set[str]
) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Read a stream until every type has come."""
    met: list[tuple[dict[str, str], dict[str, Any]]] = []
    fields: dict[str, str] = {}
    with client.stream("GET", path, headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "data" in fields:
                met.append(({key: fields[key] for key in ("id", "event")}, json.loads(fields["data"])))
            if {head["event"] for head, _ in met} == types:
                return met
            fields = {}
    raise AssertionError("The stream ended.")
