"""A participant's own producer writes to its mailbox: taken in as over HTTP, or in quarantine with a reason."""

import hashlib
import json

import pytest

from exchange_gateway.core.access import Role
from tests.native_door.conftest import Municipality
from tests.support import an_event, token


async def test_both_modes(struer: Municipality) -> None:
    """Structured and binary; recorded with the door it came through, and forwarded like any other."""
    first, second = (an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named") for _ in range(2))
    await struer.structured(first)
    await struer.binary(second)
    recorded = await struer.published(2)
    assert [event["id"] for event in recorded] == [first["id"], second["id"]]
    assert {event["recordedby"] for event in recorded} == {"native:0671"}
    assert [event["data"] for event in recorded] == [first["data"], second["data"]]
    shared = await struer.published(2, "alliance.vest.job-order")
    assert [event["id"] for event in shared] == [first["id"], second["id"]]
    assert (await struer.quarantine())["quarantine"] == []
    scraped = (await struer.client.get("/metrics")).text
    assert 'kommunebro_events_total{door="native",outcome="accepted",type="job-order"} 2.0' in scraped


async def test_what_is_refused_stands_in_quarantine(struer: Municipality) -> None:
    """With its place, its hash and the reason, but not its bytes; what is right goes on around it."""
    wrong = an_event()
    del wrong["data"]["title"]
    value = json.dumps(wrong).encode()
    before, after = an_event(), an_event()
    await struer.structured(before)
    await struer.produce(value)
    await struer.produce(b"\xffnot JSON")
    await struer.produce(json.dumps(an_event("0657")).encode())
    await struer.structured(after)
    items = (await struer.quarantine(3))["quarantine"]
    assert [item["problem"]["type"] for item in items] == [
        "/problems/another-source", "/problems/unreadable", "/problems/schema-violation",
    ]  # fmt: skip
    assert {item["topic"] for item in items} == {"in.0671"}
    told = items[-1]
    assert told["eventId"] == wrong["id"]
    assert told["sha256"] == hashlib.sha256(value).hexdigest()
    assert told["offset"] == 1
    assert told["problem"]["errors"][0]["pointer"] == "/data"
    assert wrong["data"]["description"] not in json.dumps(items)
    assert [event["id"] for event in await struer.published(2)] == [before["id"], after["id"]]


async def test_duplicates_across_doors(struer: Municipality) -> None:
    """The same event by HTTP, structured and binary is recorded once and leaves nothing; changed, it is a conflict."""
    event = an_event()
    headers = {**token(struer.gateway, "0671", Role.PUBLISHER), "Content-Type": "application/cloudevents+json"}
    assert (await struer.client.post("/v1/events", json=event, headers=headers)).status_code == 201
    await struer.structured(event)
    await struer.binary(event)
    changed = json.loads(json.dumps(event))
    changed["data"]["title"] = "En anden"
    await struer.structured(changed)
    (item,) = (await struer.quarantine(1))["quarantine"]
    assert item["problem"]["type"] == "/problems/conflict"
    last = an_event()
    await struer.structured(last)
    assert [one["id"] for one in await struer.published(2)] == [event["id"], last["id"]]
    again = await struer.client.post("/v1/events", json=last, headers=headers)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)


async def test_who_sees_the_quarantine(struer: Municipality) -> None:
    """Its participant; an auditor or operator everybody's; nobody else."""
    await struer.produce(b"1", participant="0671")
    await struer.produce(b"2", participant="0657")
    assert len((await struer.quarantine(2, "revisor", Role.AUDITOR))["quarantine"]) == 2
    assert len((await struer.quarantine(2, "drift", Role.OPERATOR))["quarantine"]) == 2
    assert [item["topic"] for item in (await struer.quarantine(1))["quarantine"]] == ["in.0671"]
    assert [item["topic"] for item in (await struer.quarantine(1, "0657", Role.READER))["quarantine"]] == ["in.0657"]
    only = await struer.quarantine(1, "revisor", Role.AUDITOR, participant="0657")
    assert [item["participant"] for item in only["quarantine"]] == ["0657"]

    async def status(who: str, role: Role, **query: str) -> int:
        answer = await struer.client.get("/v1/quarantine", params=query, headers=token(struer.gateway, who, role))
        return answer.status_code

    assert await status("0671", Role.READER, participant="0657") == 403
    assert await status("0671", Role.MANAGER) == 403
    assert await status("0671", Role.READER, participant="Struer!") == 422
    assert await status("0671", Role.READER, after="x") == 422
    assert await status("0671", Role.READER, since="i går") == 422


async def test_pages(struer: Municipality) -> None:
    """Newest first, page by page, each once."""
    for number in range(5):
        await struer.produce(b"%d" % number)
    offsets, after = [], {}
    await struer.quarantine(5)
    while True:
        page = await struer.quarantine(limit=2, **after)
        offsets += [item["offset"] for item in page["quarantine"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert offsets == [4, 3, 2, 1, 0]
    newest = (await struer.quarantine(limit=1))["quarantine"][0]
    assert (await struer.quarantine(since="2100-01-01T00:00:00Z"))["quarantine"] == []
    assert (await struer.quarantine(since=newest["quarantinedAt"], limit=1))["quarantine"] == [newest]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
async def test_compressed(struer: Municipality, codec: str) -> None:
    """A producer may compress; the broker stores it as it was before."""
    struer.producer = type(struer.producer)(
        {"bootstrap.servers": struer.gateway.settings.kafka_bootstrap, "compression.type": codec}
    )
    event = an_event()
    await struer.structured(event)
    assert (await struer.published(1))[0]["id"] == event["id"]


async def test_a_bomb_is_refused_by_the_broker(struer: Municipality) -> None:
    """A megabyte of a thousand: what it becomes is over the mailbox's limit."""
    producer = type(struer.producer)(
        {
            "bootstrap.servers": struer.gateway.settings.kafka_bootstrap,
            "compression.type": "zstd",
            "message.max.bytes": 100_000_000,
        }
    )
    failures: list[object] = []
    producer.produce(f"{struer.prefix}in.0671", bytes(50_000_000), on_delivery=lambda error, _: failures.append(error))
    producer.flush(20)
    assert failures[0] is not None
    event = an_event()
    await struer.structured(event)
    assert (await struer.published(1))[0]["id"] == event["id"]
