"""`/asyncapi.json`: valid, whole, and its examples played through a gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import jsonschema_rs
import pytest

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from schemas.identifiers import EventName
from tests.clients.tools import node_modules
from tests.described.parts import references, resolve, validator
from tests.support import a_clock, a_gateway, token

STRUCTURED = "application/cloudevents+json"
READER = "0657"
"""Herning, which reads all types in Vestalliancen."""


class Played(NamedTuple):
    """An example of a mailbox's message, as it is sent over HTTP."""

    name: str
    participant: str
    headers: dict[str, str]
    body: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    async with a_gateway(tmp_path, a_clock(), limits={"stream_s_max": 3.0}) as (gateway, client):
        operator = token(gateway, "drift", Role.OPERATOR)
        for body in packaged_agreements():
            answer = await client.put(
                f"/v1/alliances/{body['id']}", json=body, headers={**operator, "If-None-Match": "*"}
            )
            assert answer.status_code == 201, answer.text
        yield gateway, client


@pytest.fixture
async def document(served: tuple[Gateway, httpx.AsyncClient]) -> dict[str, Any]:
    return (await served[1].get("/asyncapi.json")).json()  # type: ignore[no-any-return]


def messages(document: dict[str, Any], channel: str) -> dict[str, dict[str, Any]]:
    found = document["channels"][channel]["messages"]
    return {name: resolve(document, one["$ref"]) for name, one in found.items()}


def examples(document: dict[str, Any], channel: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, message in messages(document, channel).items():
        for example in message["examples"]:
            yield name, message, example


async def test_it_is_asyncapi_3(document: dict[str, Any]) -> None:
    """The document follows AsyncAPI's own schema, and every reference in it leads somewhere."""
    own = json.loads((node_modules() / "@asyncapi/specs/schemas/3.0.0.json").read_text("utf-8"))
    check = jsonschema_rs.Draft7Validator(own)
    errors = [f"{error.instance_path}: {error.message}" for error in check.iter_errors(document)]
    assert errors == []
    assert [one for one in references(document) if resolve(document, one) is None] == []


async def test_every_event_type_is_in_it(document: dict[str, Any]) -> None:
    """Each type can stand in a mailbox in both modes, and can come in a stream; nothing else can."""
    types = sorted(name.type for name in EventName)
    assert sorted(one["name"] for one in messages(document, "stream").values()) == types
    mailbox = messages(document, "mailbox").values()
    for kind in (STRUCTURED, "application/json"):
        assert sorted(one["name"] for one in mailbox if one["contentType"] == kind) == types
    assert document["channels"]["mailbox"]["address"] == "in.{participant}"
    assert document["channels"]["quarantine"]["address"] == "quarantine"


async def test_examples_follow_their_schemas(document: dict[str, Any]) -> None:
    """Each message's examples are such messages, headers and payload."""
    seen = 0
    for channel in document["channels"]:
        for name, message, example in examples(document, channel):
            for part in ("headers", "payload"):
                if part in message:
                    errors = [error.message for error in validator(document, message[part]).iter_errors(example[part])]
                    assert errors == [], (name, example["name"], part)
                    seen += 1
    assert seen > 60


def over_http(name: str, example: dict[str, Any]) -> Played:
    """Return a message of Kafka's binding as HTTP's: `ce_` becomes `ce-`, its values percent-encoded."""
    headers = {
        key.replace("ce_", "ce-"): quote(value, safe=" /:;+-_.") if key.startswith("ce_") else value
        for key, value in example["headers"].items()
    }
    source = example["headers"].get("ce_source") or example["payload"]["source"]
    return Played(f"{name} {example['name']}", source.split(":")[2], headers, json.dumps(example["payload"]))


async def test_examples_are_taken_in_and_come_as_described(
    document: dict[str, Any], served: tuple[Gateway, httpx.AsyncClient]
) -> None:
    """Each example of a mailbox's message is accepted; what a subscriber's stream then brings fits its own schema."""
    gateway, client = served
    played = [over_http(name, example) for name, _, example in examples(document, "mailbox")]
    assert len({one.name for one in played}) == len(played) > 30
    reader = token(gateway, READER, Role.READER)
    made = (await client.post("/v1/subscriptions", json={"name": "Alt"}, headers=reader)).json()
    for one in played:
        headers = token(gateway, one.participant, Role.PUBLISHER) | one.headers
        answer = await client.post("/v1/events", content=one.body, headers=headers)
        assert answer.status_code == 201, (one.name, answer.text)
    came = await asyncio.wait_for(_stream(client, made["id"], reader), 30)
    described = {message["name"]: message for message in messages(document, "stream").values()}
    assert {fields["event"] for fields, _ in came} == {name.type for name in EventName}
    for fields, event in came:
        message = described[fields["event"]]
        assert event["type"] == fields["event"]
        for value, schema in ((fields, message["headers"]), (event, message["payload"])):
            assert [error.message for error in validator(document, schema).iter_errors(value)] == []


async def _stream(
    client: httpx.AsyncClient, subscription: str, reader: dict[str, str]
) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Read a stream to its end; return each event's fields, and the event."""
    answer = await client.get(f"/v1/subscriptions/{subscription}/stream", headers=reader)
    assert answer.status_code == 200, answer.text
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("id:")]
    parted = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [(fields, json.loads(fields.pop("data"))) for fields in parted]
