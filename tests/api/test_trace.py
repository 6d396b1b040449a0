"""`/v1/trace`: where an event went and why, why not elsewhere, and for whom; on both logs, from what was recorded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.core.agreement_samples import agreement
from tests.support import a_gateway, an_event, token

STRUER_OPERA = "urn:kommunebro:0671:opera"


class Desk:
    """A gateway with a forwarder, and the alliances vest (Herning, Struer, Lemvig) and nord (Struer, Holstebro)."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.gateway, self.client = gateway, client

    async def agree(self) -> None:
        nord = agreement(
            id="nord", name="Nord", members=[{"participant": "0671"}, {"participant": "0661"}],
            shares={"job-order": {"fields": ["/title", "/company/name"]}},
        )  # fmt: skip
        operator = token(self.gateway, "drift", Role.OPERATOR)
        for body in (agreement(), nord):
            answer = await self.client.put(
                f"/v1/alliances/{body['id']}", json=body, headers={**operator, "If-None-Match": "*"}
            )
            assert answer.status_code == 201, answer.text

    async def publish(self, event: dict[str, Any]) -> None:
        headers = {**token(self.gateway, "0671", Role.PUBLISHER), "Content-Type": "application/cloudevents+json"}
        answer = await self.client.post("/v1/events", json=event, headers=headers)
        assert answer.status_code == 201, answer.text

    async def ask(self, event_id: str, who: str = "revisor", role: Role = Role.AUDITOR, **more: str) -> httpx.Response:
        asked = {"source": STRUER_OPERA, "id": event_id, **more}
        return await self.client.get("/v1/trace", params=asked, headers=token(self.gateway, who, role))

    async def trace(self, event_id: str, **more: str) -> dict[str, Any]:
        """Ask until the forwarder has come to the event."""
        for _ in range(200):
            answer = await self.ask(event_id, **more)
            assert answer.status_code == 200, answer.text
            if answer.json()["decided"] is not None:
                break
            await asyncio.sleep(0.05)
        return answer.json()  # type: ignore[no-any-return]


@pytest.fixture(params=["embedded", "kafka"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway on either log."""
    changes: dict[str, Any] = {}
    if request.param == "kafka":
        changes["kafka_bootstrap"] = request.getfixturevalue("kafka_bootstrap")
        changes["kafka"] = {"prefix": request.getfixturevalue("kafka_prefix")}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        desk = Desk(gateway, client)
        await desk.agree()
        yield desk


async def test_where_it_went(desk: Desk) -> None:
    """Received when and by whom; into both alliances, each by its version, with what it cut; and the step's record."""
    event = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(event)
    found = await desk.trace(event["id"], participant="0661")
    assert found["event"]["topic"] == "pub.0671.job-order"
    assert found["event"]["subject"] == event["subject"]
    assert found["received"]["door"] == "http"
    assert found["received"]["at"].endswith("Z")
    assert found["decided"]["record"]["topic"] == "audit.forwarding"
    by_alliance = {one["alliance"]: one for one in found["forwarded"]}
    assert set(by_alliance) == {"nord", "vest"}
    assert by_alliance["nord"]["agreementVersion"] == 1
    assert {"/sharing", "/occupation", "/company/cvr"} <= set(by_alliance["nord"]["cut"])
    assert not {"/title", "/company/name", "/company"} & set(by_alliance["nord"]["cut"])
    assert "/sharing" in by_alliance["vest"]["cut"]
    assert found["participant"] == {"participant": "0661", "received": ["nord"], "why": []}
    nobody = await desk.trace(event["id"], participant="0751")
    assert nobody["participant"]["received"] == []
    assert nobody["participant"]["why"] == ["The participant is in none of the alliances that the event went to."]


async def test_why_not(desk: Desk) -> None:
    """What the publisher keeps, and what comes late."""
    kept = an_event(data__sharing={"scope": "own"})
    await desk.publish(kept)
    found = await desk.trace(kept["id"], participant="0657")
    assert found["forwarded"] == []
    assert [one["reason"] for one in found["withheld"]] == ["scope-own"]
    assert found["participant"]["why"] == ["all others: The publisher keeps it."]
    newer = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    older = {**newer, "id": newer["id"] + "-late", "time": "2026-11-22T11:00:00Z"}
    await desk.publish(newer)
    await desk.publish(older)
    assert [one["reason"] for one in (await desk.trace(older["id"]))["withheld"]] == ["stale"]


async def test_an_agreement_that_changed_since(desk: Desk) -> None:
    """What was cut is told by the version by which it was decided, not by today's."""
    event = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(event)
    before = await desk.trace(event["id"])
    operator = token(desk.gateway, "drift", Role.OPERATOR)
    now = await desk.client.get("/v1/alliances/nord", headers=operator)
    body = now.json() | {"shares": {"job-order": {"fields": ["/title", "/company/name", "/occupation"]}}}
    put = await desk.client.put("/v1/alliances/nord", json=body, headers={**operator, "If-Match": now.headers["ETag"]})
    assert put.status_code == 200, put.text
    assert await desk.trace(event["id"]) == before


async def test_who_may_trace(desk: Desk) -> None:
    """An auditor all, a publisher or reader their own; others learn nothing, not even that it exists."""
    event = an_event()
    await desk.publish(event)
    assert (await desk.ask(event["id"], "0671", Role.PUBLISHER)).status_code == 200
    assert (await desk.ask(event["id"], "0671", Role.READER)).status_code == 200
    foreign, nothing = await desk.ask(event["id"], "0657", Role.READER), await desk.ask("none", "0657", Role.READER)
    assert (foreign.status_code, nothing.status_code) == (404, 404)
    assert foreign.json()["type"] == nothing.json()["type"]
    assert (await desk.ask(event["id"], "0671", Role.MANAGER)).status_code == 403
    assert (await desk.ask("nothing")).status_code == 404
    assert (await desk.ask(event["id"], source="opera")).status_code == 422
    assert (await desk.ask(event["id"], participant="Herning!")).status_code == 422


async def test_what_was_forwarded_is_what_the_rules_decide(desk: Desk) -> None:
    """Over HTTP, while the forwarder runs: every step is decided once more, and none differs."""
    for number in range(30):
        await desk.publish(an_event(data__sharing={"scope": "alliances"}, data__status=["open", "filled"][number % 2]))
    event = an_event()
    await desk.publish(event)
    await desk.trace(event["id"])
    auditor = token(desk.gateway, "revisor", Role.AUDITOR)
    answer = await desk.client.get("/v1/audit/forwarding:check", headers=auditor)
    assert answer.status_code == 200
    (line,) = answer.text.splitlines()
    assert line.endswith('"differences":0}')
    reader = token(desk.gateway, "0657", Role.READER)
    assert (await desk.client.get("/v1/audit/forwarding:check", headers=reader)).status_code == 403
