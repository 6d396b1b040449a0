"""`/v1/schemas`: the shared dataset as JSON Schema, with the views of forwarded events."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from exchange_gateway.core.access import Role
from schemas.identifiers import EventName
from tests.support import a_gateway, token


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    async with a_gateway(tmp_path, forwarder=False) as (gateway, found):
        found.headers.update(token(gateway, "0671", Role.PUBLISHER))
        yield found


async def test_every_schema_that_is_listed_can_be_had(client: httpx.AsyncClient) -> None:
    """Each type and its view; each is JSON Schema 2020-12 whose `$id` an event's `dataschema` names."""
    listed = (await client.get("/v1/schemas")).json()
    assert listed["next"] is None
    names = {item["name"] for item in listed["schemas"]}
    assert names >= {name.value for name in EventName} | {f"{name}-shared" for name in EventName}
    for item in listed["schemas"]:
        answer = await client.get(item["href"])
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["$id"] == item["id"] == f"urn:kommunebro:schema:{item['name']}:{item['version']}"
        Draft202012Validator.check_schema(answer.json())


async def test_pages(client: httpx.AsyncClient) -> None:
    """As in every list."""
    met: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = (await client.get("/v1/schemas", params={"limit": "3", **query})).json()
        met += [item["href"] for item in page["schemas"]]
        if page["next"] is None:
            break
        query = {"after": page["next"]}
    assert met == [item["href"] for item in (await client.get("/v1/schemas")).json()["schemas"]]


async def test_a_schema_that_is_not_there(client: httpx.AsyncClient) -> None:
    """404, and where to look."""
    for path in ("job-order/2.0", "job-order/1", "job-orders/1.0", "job-order", "..%2F/1.0"):
        answer = await client.get(f"/v1/schemas/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), path


async def test_a_token_is_needed(client: httpx.AsyncClient) -> None:
    """As everywhere under /v1."""
    for path in ("/v1/schemas", "/v1/schemas/job-order/1.0"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 401
