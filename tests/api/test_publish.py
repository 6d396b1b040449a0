"""`POST /v1/events`: every form, every refusal, and that nothing is recorded twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.support import a_clock, a_gateway, an_event, token

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
Door = tuple[Gateway, httpx.AsyncClient, dict[str, str]]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A gateway, a client, and the headers of Struer's publisher."""
    async with a_gateway(tmp_path, a_clock(), forwarder=False) as (gateway, client):
        yield gateway, client, token(gateway, "0671", Role.PUBLISHER)


async def send(
    door: Door, content: Any, kind: dict[str, str], path: str = "/v1/events", **headers: str
) -> httpx.Response:
    _, client, bearer = door
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await client.post(path, content=body, headers={**bearer, **kind, **headers})


async def stored(gateway: Gateway, topic: str = "pub.0671.job-order") -> list[dict[str, Any]]:
    if topic not in await gateway.log.topics():
        return []
    async with gateway.log.reader({topic: 0}) as reader:
        return [json.loads(record.value) for record in await reader.poll()]


async def test_one_event_is_durable_when_it_is_answered(door: Door) -> None:
    """201 tells the place, and there the event stands, with what the gateway adds."""
    event = an_event()
    answer = await send(door, event, STRUCTURED)
    assert answer.status_code == 201
    place = {"topic": "pub.0671.job-order", "offset": 0, "duplicate": False}
    assert answer.json() == {"id": event["id"], "source": event["source"], **place}
    assert await stored(door[0]) == [
        {**event, "recordedtime": "2026-11-22T12:00:00.000Z", "recordedby": (await stored(door[0]))[0]["recordedby"]}
    ]
    assert answer.headers["x-request-id"]


async def test_the_same_again_is_a_duplicate_however_it_is_spelled(door: Door) -> None:
    """Key order, escapes, white space, 37.0 for 37, binary mode: content decides, not spelling."""
    event = an_event()
    await send(door, event, STRUCTURED)
    spelled = json.dumps(dict(reversed(event.items())), ensure_ascii=True, indent=1).replace("37,", "37.0,").encode()
    binary = {f"ce-{name}": str(event[name]) for name in event if name not in ("data", "datacontenttype")}
    for answer in (
        await send(door, spelled, STRUCTURED),
        await send(door, event["data"], {"Content-Type": "application/json"}, **binary),
    ):
        assert answer.status_code == 200
        assert answer.json()["duplicate"] is True
        assert answer.json()["offset"] == 0
    assert len(await stored(door[0])) == 1


async def test_the_same_id_with_other_content_is_a_conflict(door: Door) -> None:
    """409, and the first stays."""
    event = an_event()
    await send(door, event, STRUCTURED)
    answer = await send(door, {**event, "time": "2026-11-22T11:00:00Z"}, STRUCTURED)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/conflict"
    assert len(await stored(door[0])) == 1


async def test_duplicates_are_known_across_a_restart(tmp_path: Path) -> None:
    """Also when the local index is lost, the log tells."""
    event = an_event()
    for lost in (False, False, True):
        if lost:
            (tmp_path / "known-events.sqlite3").unlink()
        async with a_gateway(tmp_path, a_clock()) as (gateway, client):
            headers = {**token(gateway, "0671", Role.PUBLISHER), **STRUCTURED}
            answer = await client.post("/v1/events", json=event, headers=headers)
            assert answer.json()["offset"] == 0
            assert len(await stored(gateway)) == 1
    assert answer.json()["duplicate"] is True


async def test_sent_at_once_it_is_recorded_once(door: Door) -> None:
    """Of twenty equal requests at the same instant one is new, and all learn the same place."""
    event = an_event()
    answers = await asyncio.gather(*(send(door, event, STRUCTURED) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert {answer.json()["offset"] for answer in answers} == {0}
    assert len(await stored(door[0])) == 1


@pytest.mark.parametrize("form", ["ndjson", "batch"])
async def test_one_bad_event_never_spoils_the_others(door: Door, form: str) -> None:
    """Each gets its result, in order; 207 when anything was refused."""
    good, bad, other = an_event(), an_event(data__positions=0), an_event()
    events = [good, bad, good, {"id": 7}, other]
    if form == "ndjson":
        lines = [json.dumps(event).encode() for event in events]
        answer = await send(door, b"\n".join([*lines, b"{not json", b""]), NDJSON)
    else:
        answer = await send(door, events, BATCH)
    assert answer.status_code == 207
    body = answer.json()
    statuses = [result["status"] for result in body["results"]]
    assert statuses[:5] == ["accepted", "refused", "duplicate", "refused", "accepted"]
    assert [result["index"] for result in body["results"]] == list(range(len(statuses)))
    assert body["results"][1]["problem"]["errors"][0]["pointer"] == "/data/positions"
    assert (body["accepted"], body["duplicates"]) == (2, 1)
    assert body["refused"] == len(statuses) - 3
    if form == "ndjson":
        assert body["results"][5]["id"] is None
        assert body["results"][5]["problem"]["type"] == "/problems/unreadable"
    assert [event["id"] for event in await stored(door[0])] == [good["id"], other["id"]]


async def test_a_large_batch_keeps_its_order(door: Door) -> None:
    """A thousand events of two types stand in each topic in the order in which they were sent."""
    events = [an_event(name="visit" if number % 3 else "job-order") for number in range(1000)]
    answer = await send(door, b"\n".join(json.dumps(event).encode() for event in events), NDJSON)
    assert answer.json()["accepted"] == 1000
    offsets: dict[str, list[int]] = {}
    for result in answer.json()["results"]:
        offsets.setdefault(result["topic"], []).append(result["offset"])
    assert all(places == sorted(places) for places in offsets.values())


@pytest.mark.parametrize(
    ("headers", "status", "problem"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer nonsense"}, 401, "unauthorized"),
        ({"Authorization": "Basic eDp5"}, 401, "unauthorized"),
    ],
)
async def test_no_token_no_event(door: Door, headers: dict[str, str], status: int, problem: str) -> None:
    """401 with a challenge, and a problem that says what to do."""
    answer = await door[1].post("/v1/events", json=an_event(), headers={**STRUCTURED, **headers})
    assert answer.status_code == status
    assert answer.json()["type"] == f"/problems/{problem}"
    assert "Bearer" in answer.headers["www-authenticate"]


async def test_anothers_source_and_a_lacking_role_are_forbidden(door: Door) -> None:
    """A token publishes as its participant, or one it represents, and only with the role."""
    gateway, client, _ = door
    holstebro = an_event("0661")
    for bearer, status in (
        (token(gateway, "0671", Role.PUBLISHER), 403),
        (token(gateway, "0661", Role.READER), 403),
        (token(gateway, "0671", Role.PUBLISHER, represents=("0661",)), 201),
    ):
        answer = await client.post("/v1/events", json=holstebro, headers={**bearer, **STRUCTURED})
        assert answer.status_code == status


BAD_BODIES = {
    "no json": b"{",
    "empty": b"",
    "key twice": b'{"id":"1","id":"2"}',
    "nan": b'{"id":NaN}',
    "byte-order mark": b"\xef\xbb\xbf{}",
    "bad utf-8": b'{"id":"\xff"}',
    "lone surrogate": b'{"id":"\\ud800"}',
    "deep": b"[" * 65 + b"]" * 65,
    "very deep": b"[" * 100_000,
    "integer": b'{"id":9007199254740993}',
    "huge integer": b'{"id":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("form", ["single", "array"])
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_what_is_not_json_with_one_meaning_is_400(door: Door, name: str, form: str) -> None:
    """Each bad form that the contract names is unreadable, alone and in an array."""
    body = BAD_BODIES[name]
    kind = STRUCTURED if form == "single" else BATCH
    answer = await send(door, body if form == "single" else b"[" + body + b"]", kind)
    if form == "array" and not body:
        assert answer.status_code == 200  # an empty array is a batch of none
        return
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/unreadable"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {},
        {"Content-Type": "application/json"},
        {**STRUCTURED, "Content-Encoding": "gzip"},
        {"Content-Type": "application/cloudevents+json; charset=latin-1"},
    ],
)
async def test_another_media_type_or_encoding_is_415(door: Door, headers: dict[str, str]) -> None:
    """What the gateway would have to guess at it does not take."""
    answer = await send(door, an_event(), headers)
    assert answer.status_code == 415


async def test_what_is_too_large_is_413(tmp_path: Path) -> None:
    """An event, a request and a number of events over their limits are refused before they are read."""
    limits = {"event_bytes_max": 4000, "request_bytes_max": 20_000, "request_events_max": 5}
    async with a_gateway(tmp_path, a_clock(), limits=limits) as (gateway, client):
        bearer = token(gateway, "0671", Role.PUBLISHER)
        small = json.dumps(an_event()).encode()
        for kind, body, status in (
            (STRUCTURED, json.dumps(an_event(data__description="x" * 4000)).encode(), 413),
            (NDJSON, b"\n".join([small] * 6), 413),
            (NDJSON, b" " * 20_001, 413),
            (STRUCTURED, small, 201),
        ):
            answer = await client.post("/v1/events", content=body, headers={**bearer, **kind})
            assert answer.status_code == status, answer.text


async def test_a_time_far_ahead_is_refused(door: Door) -> None:
    """Ten minutes are forgiven, eleven are not."""
    assert (await send(door, an_event(time="2026-11-22T12:09:59Z"), STRUCTURED)).status_code == 201
    answer = await send(door, an_event(time="2026-11-22T12:11:00Z"), STRUCTURED)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/time-in-future"


async def test_a_citizens_number_is_refused_and_never_repeated(door: Door) -> None:
    """The answer says where, and does not echo what it found."""
    answer = await send(door, an_event(data__description="Kandidaten er 010190-1234"), STRUCTURED)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/citizen-number"
    assert "010190" not in answer.text


async def test_validate_answers_the_same_and_records_nothing(door: Door) -> None:
    """The same refusals and statuses, but nothing in the log."""
    good, bad = an_event(), an_event(data__positions=0)
    assert (await send(door, good, STRUCTURED, "/v1/events:validate")).json()["valid"] is True
    assert (await send(door, bad, STRUCTURED, "/v1/events:validate")).status_code == 422
    lines = b"\n".join(json.dumps(event).encode() for event in (good, bad))
    assert (await send(door, lines, NDJSON, "/v1/events:validate")).json()["refused"] == 1
    assert await stored(door[0]) == []


async def test_an_unknown_path_method_or_problem_is_told_as_a_problem(door: Door) -> None:
    """Every error, the framework's own included, is problem details."""
    for method, path, status in (
        ("GET", "/v1/events", 405), ("GET", "/nowhere", 404), ("POST", "/healthz", 405), ("GET", "/problems/x", 404),
    ):  # fmt: skip
        answer = await door[1].request(method, path, headers=door[2])
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/alliances/vest", "GET, PUT"), ("/v1/subscriptions/x", "DELETE, GET, PATCH"), ("/v1/job-orders", "GET")],
)
async def test_allow_names_every_method_of_a_path(door: Door, path: str, methods: str) -> None:
    """Also where a path's methods are routes of their own."""
    answer = await door[1].request("TRACE", path, headers=door[2])
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


async def test_health_metrics_and_description_answer(door: Door) -> None:
    """What an operator and a programmer look at first."""
    await send(door, an_event(), STRUCTURED)
    client = door[1]
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).json() == {"ready": True, "reasons": []}
    metrics = (await client.get("/metrics")).text
    assert 'kommunebro_events_total{door="http",outcome="accepted",type="job-order"} 1.0' in metrics
    document = (await client.get("/openapi.json")).json()
    assert {"/v1/events", "/v1/events:validate", "/v1/job-orders"} <= document["paths"].keys()
    assert (await client.get("/problems/conflict")).json()["status"] == 409
