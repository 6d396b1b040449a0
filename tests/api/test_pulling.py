"""The shortest way of a pull: over real connections, and no different from the ordinary way."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from exchange_gateway.api import app as app_module
from exchange_gateway.api.direct import REPLY
from exchange_gateway.api.pulling import PIECE_BYTES, pulled
from exchange_gateway.core.access import Role
from tests.api.test_direct import Running, running
from tests.sightings import shared
from tests.support import token, two_alliances

VEST = "alliance.vest.job-order"
UNUSUAL = "010"
"""A limit that is taken, but not the shortest way."""


class Partner:
    """Herning's system, with a subscription to what vest shares."""

    def __init__(self, it: Running, subscription: str, bearer: str) -> None:
        self.it, self._path, self._bearer = it, f"/v1/subscriptions/{subscription}/events", bearer

    def pull(self, query: str = "?limit=10", version: str = "1.1", **headers: str) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return (
            f"GET {self._path}{query} HTTP/{version}\r\nHost: gateway\r\nAuthorization: {self._bearer}\r\n{lines}\r\n"
        ).encode()


@pytest.fixture
async def partner(tmp_path: Path) -> AsyncIterator[Partner]:
    async with running(tmp_path) as it:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{it.port}") as client:
            await two_alliances(it.gateway, client)
            await it.gateway.log.create_topics([VEST])
            await it.gateway.log.append(VEST, [shared("vest", "1001"), shared("vest", "1002")])
            bearer = token(it.gateway, "0657", Role.READER)
            made = await client.post("/v1/subscriptions", json={"name": "Alt"}, headers=bearer)
            assert made.status_code == 201, made.text
        yield Partner(it, made.json()["id"], bearer["Authorization"])


def subjects(body: Any) -> list[str]:
    return [event["subject"] for event in body["events"]]


async def test_it_answers_as_the_ordinary_way(partner: Partner) -> None:
    """Status, headers and body are the same, and the connection goes on."""
    client = await partner.it.client()
    status, headers, body = await client.send(partner.pull())
    ordinary_status, ordinary_headers, ordinary = await client.send(partner.pull(f"?limit={UNUSUAL}"))
    assert (status, ordinary_status) == (200, 200)
    assert subjects(body) == ["1001", "1002"]
    assert body == ordinary
    changing = {"x-request-id": "", "date": ""}
    assert headers | changing == ordinary_headers | changing
    assert headers["x-request-id"] != ordinary_headers["x-request-id"]


async def test_pulls_behind_one_another_are_answered_in_order(partner: Partner) -> None:
    """On one connection, which ends where that is asked for."""
    client = await partner.it.client()
    client.writer.write(
        partner.pull("?limit=1") + partner.pull(f"?limit={UNUSUAL}") + partner.pull("?limit=1", Connection="close")
    )
    answers = [await client.answer() for _ in range(3)]
    assert [subjects(body) for _, _, body in answers] == [["1001"], ["1001", "1002"], ["1001"]]
    assert ["connection" in headers for _, headers, _ in answers] == [False, False, True]
    assert await client.reader.read() == b""


async def test_an_old_client_gets_its_answer_and_the_end(partner: Partner) -> None:
    """HTTP/1.0 knows no connection that goes on."""
    client = await partner.it.client()
    status, headers, body = await client.send(partner.pull(version="1.0"))
    assert (status, subjects(body), headers["connection"]) == (200, ["1001", "1002"], "close")
    assert await client.reader.read() == b""


async def test_a_large_page_comes_in_pieces(partner: Partner) -> None:
    """It is whole, and the next answer follows it."""
    log = partner.it.gateway.log
    await log.append(VEST, [shared("vest", f"v{number}") for number in range(200)])
    client = await partner.it.client()
    _, headers, body = await client.send(partner.pull("?limit=1000"))
    assert len(orjson.dumps(body)) > PIECE_BYTES
    assert len(subjects(body)) == 202
    assert subjects((await client.send(partner.pull()))[2])[:2] == ["1001", "1002"]
    assert headers["cache-control"] == "no-store"


async def test_a_client_that_leaves_as_it_is_answered_is_no_error(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection is closing, which is not known to its request yet: nobody is told of a server's mistake."""

    async def leaving(gateway: Any, reader: Any, pull: Any, waiting: Any) -> bytes:
        body = await pulled(gateway, reader, pull, waiting)
        waiting.scope[REPLY]._protocol.transport.close()
        return body

    client, other = await partner.it.client(), await partner.it.client()
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(app_module, "pulled", leaving)
        client.writer.write(partner.pull())
        assert await client.reader.read() == b""
    assert (await other.send(partner.pull()))[0] == 200
    assert [record.getMessage() for record in caplog.records] == []
