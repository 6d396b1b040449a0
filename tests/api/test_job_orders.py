"""`/v1/job-orders`: who sees what, by which filter, page by page, and how wrong questions are answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_adapters.log import NewRecord
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.core.agreement_samples import agreement
from tests.sightings import published, retracted, shared
from tests.support import a_gateway, agree, an_event, token, two_alliances


class House:
    """A gateway with the alliances vest (Herning, Struer, Lemvig) and nord (Struer, Holstebro)."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.gateway, self.client = gateway, client

    async def record(self, topic: str, *records: NewRecord) -> None:
        await self.gateway.log.create_topics([topic])
        await self.gateway.log.append(topic, list(records))

    async def get(
        self, participant: str, path: str = "", represents: tuple[str, ...] = (), **query: Any
    ) -> httpx.Response:
        bearer = token(self.gateway, participant, Role.READER, represents=represents)
        return await self.client.get(f"/v1/job-orders{path}", params=query, headers=bearer)

    async def listed(self, participant: str, **query: Any) -> list[dict[str, Any]]:
        answer = await self.get(participant, **query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["jobOrders"]
        return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Struer's order 1001, which both alliances show, each something else."""
    async with a_gateway(tmp_path, forwarder=False) as (gateway, client):
        house = House(gateway, client)
        await two_alliances(gateway, client)
        await house.record("pub.0671.job-order", published())
        await house.record("alliance.vest.job-order", shared("vest", description=...))
        await house.record("alliance.nord.job-order", shared("nord", title=...))
        yield house


async def test_an_item_has_what_the_contract_says(house: House) -> None:
    """And where its state comes from, so that it can be traced."""
    answer = await house.get("0657")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["next"] is None
    (item,) = answer.json()["jobOrders"]
    assert (item["jobOrderId"], item["owner"], item["status"], item["alliances"]) == ("1001", "0671", "open", ["vest"])
    assert item["recordedAt"].endswith("Z")
    assert item["data"]["title"]
    assert "description" not in item["data"]
    assert item["event"]["source"] == "urn:kommunebro:0671:opera"
    assert (await house.get("0657", "/1001")).json() == item


async def test_each_sees_their_own(house: House) -> None:
    """Struer all, Herning and Holstebro what their alliance shows, Aarhus nothing."""
    seen = {code: await house.listed(code) for code in ("0671", "0657", "0661", "0751")}
    assert [set(item["data"]) & {"title", "description"} for item in seen["0671"]] == [{"title", "description"}]
    assert seen["0671"][0]["alliances"] == ["nord", "vest"]
    assert [set(item["data"]) & {"title", "description"} for item in seen["0657"]] == [{"title"}]
    assert [set(item["data"]) & {"title", "description"} for item in seen["0661"]] == [{"description"}]
    assert seen["0751"] == []
    assert (await house.get("0751", "/1001")).status_code == 404


async def test_a_job_centre_that_serves_several_sees_what_either_may(house: House) -> None:
    """One item, with all that both alliances show."""
    answer = await house.get("0657", represents=("0661",))
    (item,) = answer.json()["jobOrders"]
    assert item["alliances"] == ["nord", "vest"]
    assert {"title", "description"} <= set(item["data"])


FILTERS: list[tuple[dict[str, str], int]] = [
    ({"owner": "0671"}, 1),
    ({"owner": "0657"}, 0),
    ({"alliance": "vest"}, 1),
    ({"alliance": "nord"}, 0),
    ({"alliance": "unheard-of"}, 0),
    ({"municipality": "0671"}, 1),
    ({"occupation": "klejnSMED"}, 1),
    ({"occupation": "DISCO-08:7214"}, 1),
    ({"industry": "25"}, 1),
    ({"industry": "DB07:251100"}, 1),
    ({"industry": "11"}, 0),
    ({"status": "open"}, 1),
    ({"status": "filled"}, 0),
    ({"since": "2026-01-01T00:00:00Z"}, 1),
    ({"since": "2100-01-01T00:00:00+01:00"}, 0),
    ({"q": "staldinventar vestjysk"}, 1),
    ({"q": "kostalde"}, 0),
    ({"q": ""}, 1),
    ({"q": "% _ '"}, 0),
]


async def test_a_filter_finds_by_what_herning_sees(house: House) -> None:
    """Never by the description, or the alliance, that Herning does not see."""
    for query, count in FILTERS:
        assert len(await house.listed("0657", **query)) == count, query


async def test_since_takes_what_an_item_says(house: House) -> None:
    """Recorded at that instant counts; a plus sign that nobody escaped is understood."""
    (item,) = await house.listed("0657")
    assert len(await house.listed("0657", since=item["recordedAt"])) == 1
    bearer = token(house.gateway, "0657", Role.READER)
    answer = await house.client.get("/v1/job-orders?since=2026-01-01T00:00:00+01:00", headers=bearer)
    assert len(answer.json()["jobOrders"]) == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "limit"),
    ({"limit": 1001}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"after": "nowhere"}, "after"),
    ({"after": "æ"}, "after"),
    ({"owner": "671"}, "owner"),
    ({"owner": ""}, "owner"),
    ({"alliance": "Vest!"}, "alliance"),
    ({"municipality": "671"}, "municipality"),
    ({"industry": "stål"}, "industry"),
    ({"status": "åben"}, "status"),
    ({"since": "i går"}, "since"),
    ({"since": "2026-02-30T00:00:00Z"}, "since"),
    ({"q": "a " * 101}, "q"),
    ({"q": "a b c d e f g h i j k"}, "q"),
    ({"occupation": "x" * 201}, "occupation"),
    ({"muncipality": "0671"}, "muncipality"),
    ({"status": ["open", "filled"]}, "status"),
]


async def test_a_wrong_parameter_is_named(house: House) -> None:
    """Also one that does not exist: it would be ignored, and the answer too wide."""
    for query, named in WRONG:
        answer = await house.get("0657", **query)
        assert answer.status_code == 422, query
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["type"], problem["retryable"]) == ("/problems/bad-parameter", False)
        assert [error["pointer"] for error in problem["errors"]] == [f"/{named}"]


async def test_two_owners_of_one_id(house: House) -> None:
    """Whoever sees both picks one; whoever sees one only never learns of the other."""
    await house.record("pub.0665.job-order", published(owner="0665"))
    await house.record("alliance.vest.job-order", shared("vest", owner="0665", title="Lemvigs"))
    both = await house.get("0657", "/1001")
    assert both.status_code == 409
    assert both.json()["type"] == "/problems/ambiguous"
    assert both.json()["owners"] == ["0665", "0671"]
    assert (await house.get("0657", "/1001", owner="0665")).json()["data"]["title"] == "Lemvigs"
    assert (await house.get("0661", "/1001")).json()["owner"] == "0671"
    assert (await house.get("0661", "/1001", owner="0665")).status_code == 404


async def test_what_is_not_there_is_404(house: House) -> None:
    """The same for what does not exist and what the reader may not see."""
    for name in ("2002", "no%20such", "x" * 70, "..%2F..%2Fetc", "%00"):
        answer = await house.get("0657", f"/{name}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), name


async def test_a_retracted_order_says_no_more_than_how_it_ended(house: House) -> None:
    """In the list, by itself, and to filters."""
    await house.record("alliance.vest.job-order", retracted("vest", at_s=1, status="filled"))
    (item,) = await house.listed("0657")
    assert (item["status"], item["data"]) == ("filled", {"jobOrderId": "1001", "status": "filled"})
    assert await house.listed("0657", municipality="0671") == []
    assert (await house.listed("0661"))[0]["status"] == "open"


async def test_pages(house: House) -> None:
    """`next` leads on until it is null; the newest come first."""
    await house.record("pub.0671.job-order", *(published(f"order-{n:02}") for n in range(12)))
    met: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = (await house.get("0671", limit=5, **after)).json()
        met += [item["jobOrderId"] for item in page["jobOrders"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert met[-1] == "1001"
    assert sorted(met) == ["1001", *(f"order-{n:02}" for n in range(12))]


async def test_a_full_last_page_has_no_next(house: House) -> None:
    """Nobody asks for an empty page."""
    assert (await house.get("0671", limit=1)).json()["next"] is None


async def test_another_role_is_not_enough(house: House) -> None:
    """An auditor replays, an operator operates; reading job orders is the reader's."""
    for role in set(Role) - {Role.READER}:
        answer = await house.client.get("/v1/job-orders", headers=token(house.gateway, "0671", role))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert (await house.client.get("/v1/job-orders")).status_code == 401
    assert (await house.client.get("/v1/job-orders/1001")).status_code == 401


async def test_who_joins_sees_from_the_beginning(house: House) -> None:
    """At once: the agreement is read when the question comes."""
    assert await house.listed("0615") == []
    body = agreement()
    body["members"].append({"participant": "0615", "reads": ["job-order"]})
    await agree(house.gateway, house.client, body)
    assert [item["owner"] for item in await house.listed("0615")] == ["0671"]


async def test_a_member_that_does_not_read_job_orders_sees_none(house: House) -> None:
    """Membership alone gives nothing."""
    body = agreement()
    body["members"].append({"participant": "0615", "reads": ["visit"]})
    await agree(house.gateway, house.client, body)
    assert await house.listed("0615") == []


async def test_behind_is_an_answer_to_try_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with `Retry-After`, when the log runs ahead of the model."""
    monkeypatch.setattr("exchange_gateway.workers.read_models.FRESH_S_MAX", 0.0)
    await house.record("pub.0671.job-order", *(published(f"order-{n}") for n in range(300)))
    answer = await house.get("0671")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/read-model-behind")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) > 0


async def test_published_over_http_it_is_seen_and_forwarded(tmp_path: Path) -> None:
    """The whole way: the owner at once, the partner as soon as the forwarder has been by."""
    async with a_gateway(tmp_path) as (gateway, client):
        house = House(gateway, client)
        await two_alliances(gateway, client)
        event = an_event("0671", data__employerAgreed="named", data__sharing={"scope": "alliances"})
        headers = token(gateway, "0671", Role.PUBLISHER) | {"Content-Type": "application/cloudevents+json"}
        answer = await client.post("/v1/events", content=json.dumps(event), headers=headers)
        assert answer.status_code == 201, answer.text
        (own,) = await house.listed("0671")
        assert own["data"] == event["data"]
        async with asyncio.timeout(10):
            while not (forwarded := await house.listed("0657")):
                pass
        assert forwarded[0]["jobOrderId"] == event["subject"]
        assert forwarded[0]["alliances"] == ["vest"]
        assert "sharing" not in forwarded[0]["data"]
