"""`/v1/audit/records`: for auditors, whole or broken off, and the same from a stopped instance's folder."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from broker_adapters.log import LogFolderUnusable, LogLocked, LogUnavailable, NewRecord
from exchange_gateway.api.app import App
from exchange_gateway.core.access import Role
from exchange_gateway.core.replay import WrongParameter
from exchange_gateway.main import Gateway
from exchange_gateway.replay_offline import replay_folder
from exchange_gateway.serving import listen
from tests.sightings import published, shared
from tests.support import a_gateway, settings, token

PUB, VEST = "pub.0671.job-order", "alliance.vest.job-order"
PATH, BOUNDS = "/v1/audit/records", "/v1/audit/bounds"


async def fill(gateway: Gateway) -> None:
    """Record orders of Struer and Herning, one of them shared."""
    await gateway.log.create_topics([PUB, VEST, "pub.0657.job-order"])
    await gateway.log.append(PUB, [published("1001"), published("1002")])
    await gateway.log.append("pub.0657.job-order", [published("1001", "0657", company={"cvr": "11111111"})])
    await gateway.log.append(VEST, [shared("vest", "1001")])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """A gateway with a few orders, and an auditor's client."""
    async with a_gateway(tmp_path, forwarder=False) as (gateway, client):
        await fill(gateway)
        client.headers.update(token(gateway, "revisor", Role.AUDITOR))
        yield gateway, client


async def places(client: httpx.AsyncClient, **query: str) -> list[str]:
    parameters = {name.strip("_").replace("_", "-"): value for name, value in query.items()}
    answer = await client.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [f"{line['topic']}/{line['offset']}" for line in map(json.loads, answer.text.splitlines())]


async def test_a_line_holds_the_stored_bytes(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """Topic, offset and time before them, in this order, and nothing else."""
    gateway, client = desk
    async with gateway.log.reader({PUB: 0}) as reader:
        record = (await reader.poll())[0]
    line = (await client.get(PATH, params={"topic": PUB})).content.splitlines()[0]
    head, _, rest = line.partition(b',"event":')
    assert rest == record.value + b"}"
    assert list(json.loads(head + b"}")) == ["topic", "offset", "recordedAt"]


async def test_every_filter(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """Each by itself, and together."""
    _, client = desk
    assert sorted(await places(client)) == [f"{VEST}/0", "pub.0657.job-order/0", f"{PUB}/0", f"{PUB}/1"]
    assert await places(client, topic="alliance.*") == [f"{VEST}/0"]
    assert await places(client, topic=PUB, from_="1") == [f"{PUB}/1"]
    assert await places(client, topic=PUB, to="1") == [f"{PUB}/0"]
    assert await places(client, participant="0657") == ["pub.0657.job-order/0"]
    assert sorted(await places(client, subject="1001", participant="0671")) == [f"{VEST}/0", f"{PUB}/0"]
    assert await places(client, cvr="11111111") == ["pub.0657.job-order/0"]
    assert await places(client, type="visit") == []
    assert len(await places(client, type="dk.kommunebro.job-order")) == 4
    assert await places(client, from_="2100-01-01T00:00:00Z") == []
    assert await places(client, to="2020-01-01T00:00:00+01:00") == []
    assert await places(client, as_of="2020-01-01T00:00:00Z") == []
    assert await places(client, topic="control.instance") == ["control.instance/0"]
    assert await places(client, topic="state.*") == []


async def test_a_wrong_parameter_is_named(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """Before anything is sent."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"from": "1"}, "from"),
        ({"topic": PUB, "from": "99"}, "from"),
        ({"topic": PUB, "from": "2", "to": "1"}, "to"),
        ({"as-of": "2100-01-01T00:00:00Z"}, "as-of"),
        ({"as_of": "2020-01-01T00:00:00Z"}, "as_of"),
        ({"begin": "1"}, "begin"),
        ({"cvr": "1"}, "cvr"),
        ({"type": "order"}, "type"),
        ({"participant": "Struer"}, "participant"),
        ({"subject": "a b"}, "subject"),
        ({"topic": ["pub.*", "alliance.*"]}, "topic"),
    ]
    for query, named in wrong:
        answer = await desk[1].get(PATH, params=query)
        assert answer.status_code == 422, query
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{named}"]


async def test_bounds_given_back_give_the_same_bytes(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """With filters, of several topics, of one from a time on, of none; whatever is recorded meanwhile."""
    gateway, client = desk
    asked: list[dict[str, str]] = [
        {}, {"participant": "0671", "subject": "1001"}, {"topic": PUB, "from": "1"}, {"topic": "control.*"},
        {"from": "2020-01-01T00:00:00Z", "cvr": "11111111"}, {"topic": "pub.9999.*"}, {"type": "visit"},
    ]  # fmt: skip
    kept = []
    for parameters in asked:
        answer = await client.get(BOUNDS, params=parameters)
        assert answer.status_code == 200, answer.text
        kept.append((answer.json(), (await client.get(PATH, params=parameters)).content))
    assert kept[2][0]["topics"] == {PUB: {"from": 1, "to": 2}}
    await gateway.log.append(PUB, [published("1001"), published("1003")])
    for bounds, told in kept:
        answer = await client.post(PATH, json=bounds)
        assert answer.status_code == 200, answer.text
        assert answer.content == told


async def test_bounds_that_cannot_be_had(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """Another instance's, of what is not there, of what a replay does not give, or no bounds at all."""
    gateway, client = desk
    ours = {"instance": gateway.instance.name, "filters": {}, "topics": {PUB: {"from": 0, "to": 2}}}
    assert (await client.post(PATH, json=ours)).status_code == 200
    wrong: list[tuple[Any, str]] = [
        ([], "bounds"),
        ({**ours, "topic": PUB}, "bounds"),
        ({**ours, "instance": "another"}, "instance"),
        ({**ours, "instance": 7}, "instance"),
        ({**ours, "filters": {"as-of": "2026-01-01T00:00:00Z"}}, "filters"),
        ({**ours, "filters": {"cvr": 11111111}}, "filters"),
        ({**ours, "filters": {"cvr": "1"}}, "cvr"),
        ({**ours, "topics": []}, "topics"),
        ({**ours, "topics": {PUB: {"from": 0, "to": 3}}}, "topics"),
        ({**ours, "topics": {PUB: {"from": 1, "to": 0}}}, "topics"),
        ({**ours, "topics": {PUB: {"from": False, "to": True}}}, "topics"),
        ({**ours, "topics": {PUB: {"from": 0, "to": 1.5}}}, "topics"),
        ({**ours, "topics": {PUB: 0}}, "topics"),
        ({**ours, "topics": {"pub.9999.visit": {"from": 0, "to": 0}}}, "topics"),
        ({**ours, "topics": {"in.0671": {"from": 0, "to": 0}}}, "topics"),
        ({**ours, "filters": {"subject": "1"}, "topics": {"control.agreements": {"from": 0, "to": 0}}}, "topics"),
        ({**ours, "sha256": "0"}, "sha256"),
    ]
    for body, named in wrong:
        answer = await client.post(PATH, json=body)
        assert answer.status_code == 422, body
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{named}"], body
    reader = token(gateway, "0671", Role.READER)
    assert (await client.post(PATH, json=ours, headers=reader)).status_code == 403
    assert (await client.get(BOUNDS, headers=reader)).status_code == 403


async def test_it_is_the_auditors(desk: tuple[Gateway, httpx.AsyncClient]) -> None:
    """Who sees everything that all participants published has been given that role by the operator."""
    gateway, client = desk
    for role in set(Role) - {Role.AUDITOR}:
        answer = await client.get(PATH, headers=token(gateway, "0671", role))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert (await client.get(PATH, headers={"Authorization": ""})).status_code == 401


async def test_a_stopped_instance_gives_the_same_bytes(tmp_path: Path) -> None:
    """With every filter; and while it runs its folder is not touched."""
    asked: list[dict[str, str]] = [{}, {"topic": "*"}, {"subject": "1001"}, {"topic": PUB, "from": "1"}]
    async with a_gateway(tmp_path, forwarder=False) as (gateway, client):
        await fill(gateway)
        client.headers.update(token(gateway, "revisor", Role.AUDITOR))
        over_http = [(await client.get(PATH, params=parameters)).content for parameters in asked]
        with pytest.raises(LogLocked):
            await replay_folder(tmp_path, {}, io.BytesIO())
    for parameters, expected in zip(asked, over_http, strict=True):
        out = io.BytesIO()
        await replay_folder(tmp_path, parameters, out)
        assert out.getvalue() == expected
        assert expected


async def test_a_folder_without_a_log_is_told_of_and_left_alone(tmp_path: Path) -> None:
    """Nothing is made in it."""
    with pytest.raises(LogFolderUnusable, match="no embedded log"):
        await replay_folder(tmp_path, {}, io.BytesIO())
    with pytest.raises(LogFolderUnusable):
        await replay_folder(tmp_path / "nowhere", {}, io.BytesIO())
    with pytest.raises(WrongParameter):
        await replay_folder(tmp_path, {"cvr": "x"}, io.BytesIO())
    assert names(tmp_path) == []


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_answer_that_breaks_off_does_not_look_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a real connection: the client gets an error, not an end."""
    async with Gateway(settings(tmp_path, forwarder=False)) as gateway:
        await gateway.log.create_topics([PUB])
        await gateway.log.append(PUB, [NewRecord(b'{"x":"%b"}' % (b"y" * 10_000))] * 400)
        break_off(gateway, monkeypatch)
        listening = listen("127.0.0.1", 0)
        config = uvicorn.Config(App(gateway), lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
        async with httpx.AsyncClient(headers=token(gateway, "revisor", Role.AUDITOR)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(url)
        server.should_exit = True
        await serving


def break_off(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the log go away after the third read."""
    make = gateway.log.reader
    reads = iter(range(100))

    def reader(positions: Any) -> Any:
        found = make(positions)
        poll = found.poll_page

        async def failing(**arguments: Any) -> Any:
            if next(reads) > 2:
                raise LogUnavailable("away")
            return await poll(**arguments | {"bytes_max": 1_000_000})

        monkeypatch.setattr(found, "poll_page", failing)
        return found

    monkeypatch.setattr(gateway.log, "reader", reader)
