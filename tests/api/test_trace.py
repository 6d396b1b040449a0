"""`/v1/trace`: where an event went and why, why not elsewhere, and for whom; on both logs, from what was recorded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.core.agreement_samples import agreement
from tests.support import a_gateway, agree, an_event, token, two_alliances

STRUER_OPERA = "urn:kommunebro:0671:opera"


class Desk:
    """A gateway with a forwarder, and the alliances vest (Herning, Struer, Lemvig) and nord (Struer, Holstebro)."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.gateway, self.client = gateway, client

    async def publish(self, event: dict[str, Any]) -> None:
        by = event["source"].split(":")[2]
        headers = {**token(self.gateway, by, Role.PUBLISHER), "Content-Type": "application/cloudevents+json"}
        answer = await self.client.post("/v1/events", json=event, headers=headers)
        assert answer.status_code == 201, answer.text

    async def ask(self, event_id: str, who: str = "revisor", role: Role = Role.AUDITOR, **more: str) -> httpx.Response:
        return await self.get(who, role, **{"source": STRUER_OPERA, "id": event_id, **more})

    async def get(self, who: str = "revisor", role: Role = Role.AUDITOR, **asked: Any) -> httpx.Response:
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

    async def shared(self, alliance: str) -> list[dict[str, Any]]:
        """Return what stands in an alliance's topic."""
        topic = f"alliance.{alliance}.job-order"
        async with self.gateway.log.reader({topic: 0}) as reader:
            return [orjson.loads(record.value) for record in await reader.poll(timeout_s=5.0)]


@pytest.fixture(params=["embedded", "kafka"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway on either log."""
    changes: dict[str, Any] = {}
    if request.param == "kafka":
        changes["kafka_bootstrap"] = request.getfixturevalue("kafka_bootstrap")
        changes["kafka"] = {"prefix": request.getfixturevalue("kafka_prefix")}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        desk = Desk(gateway, client)
        await two_alliances(gateway, client, shares={"job-order": {"fields": ["/title", "/company/name"]}})
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
    assert found["participant"] == {"participant": "0661", "received": ["nord"], "later": [], "why": []}
    nobody = (await desk.trace(event["id"], participant="0751"))["participant"]
    assert nobody["received"] == []
    assert [(one["alliance"], one["reason"]) for one in nobody["why"]] == [
        ("nord", "was-not-a-member"), ("vest", "was-not-a-member")
    ]  # fmt: skip


async def test_what_was_cut_is_what_is_not_there(desk: Desk) -> None:
    """The list is exact: what it names is in what was published and not in what stands in the alliance's topic."""
    event = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(event)
    found = await desk.trace(event["id"])
    for one in found["forwarded"]:
        (stored,) = await desk.shared(one["alliance"])
        missing = [pointer for pointer, _ in leaves(event["data"]) if pointer not in dict(leaves(stored["data"]))]
        assert one["cut"]
        assert [pointer for pointer in missing if not any(covers(cut, pointer) for cut in one["cut"])] == []
        assert [cut for cut in one["cut"] if any(covers(cut, pointer) for pointer, _ in leaves(stored["data"]))] == []
        published = dict(leaves(event["data"]))
        assert [pointer for pointer, value in leaves(stored["data"]) if published[pointer] != value] == one["changed"]


def leaves(value: Any, before: str = "") -> list[tuple[str, Any]]:
    """Return every value that is no object, by its JSON Pointer."""
    if not isinstance(value, dict):
        return [(before, value)]
    return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{before}/{name}")]


def covers(wider: str, pointer: str) -> bool:
    return pointer == wider or pointer.startswith(wider + "/")


async def test_why_not(desk: Desk) -> None:
    """What the publisher keeps, and what comes late."""
    kept = an_event(data__sharing={"scope": "own"})
    await desk.publish(kept)
    found = await desk.trace(kept["id"], participant="0657")
    assert found["forwarded"] == []
    assert [one["reason"] for one in found["withheld"]] == ["scope-own"]
    (why,) = found["participant"]["why"]
    assert why == {"alliance": None, "reason": "scope-own", "meaning": "The publisher keeps it."}
    own = await desk.trace(kept["id"], participant="0671")
    assert [one["reason"] for one in own["participant"]["why"]] == ["own"]
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
    now = await desk.client.get("/v1/alliances/nord", headers=token(desk.gateway, "0671", Role.READER))
    wider = {"job-order": {"fields": ["/title", "/company/name", "/occupation"]}}
    await agree(desk.gateway, desk.client, now.json() | {"shares": wider})
    assert await desk.trace(event["id"]) == before


async def test_a_participant_that_joined_later(desk: Desk) -> None:
    """It did not receive the event then, and can read it since; one that does not read the type never could."""
    event = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(event)
    await desk.trace(event["id"])
    members = [{"participant": code} for code in ("0657", "0671", "0665", "0751")]
    await agree(desk.gateway, desk.client, agreement(members=[*members, {"participant": "0779", "reads": ["visit"]}]))
    aarhus = (await desk.trace(event["id"], participant="0751"))["participant"]
    assert (aarhus["received"], aarhus["later"]) == ([], ["vest"])
    assert {one["reason"] for one in aarhus["why"]} == {"was-not-a-member"}
    skive = (await desk.trace(event["id"], participant="0779"))["participant"]
    assert (skive["received"], skive["later"]) == ([], [])
    after = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(after)
    skive = (await desk.trace(after["id"], participant="0779"))["participant"]
    assert {one["alliance"]: one["reason"] for one in skive["why"]} == {
        "nord": "was-not-a-member", "vest": "type-not-read"
    }  # fmt: skip
    assert (await desk.trace(after["id"], participant="0751"))["participant"]["received"] == ["vest"]


async def test_the_id_alone(desk: Desk) -> None:
    """It is enough where one source has it; where several have, they are named, to whoever may trace them."""
    event = an_event()
    await desk.publish(event)
    alone = await desk.get(id=event["id"])
    assert alone.status_code == 200, alone.text
    assert alone.json()["event"]["source"] == STRUER_OPERA
    await desk.publish({**an_event(), "id": event["id"], "source": "urn:kommunebro:0671:vitas"})
    await desk.publish({**an_event("0657"), "id": event["id"]})
    several = await desk.get(id=event["id"])
    assert (several.status_code, several.json()["type"]) == (409, "/problems/ambiguous")
    assert several.json()["sources"] == [
        "urn:kommunebro:0657:opera", STRUER_OPERA, "urn:kommunebro:0671:vitas"
    ]  # fmt: skip
    mine = await desk.get("0657", Role.READER, id=event["id"])
    assert mine.json()["event"]["source"] == "urn:kommunebro:0657:opera"
    assert (await desk.get("0661", Role.READER, id=event["id"])).status_code == 404
    assert (await desk.get(id="because-0")).status_code == 404


async def test_every_event_of_a_thing(desk: Desk) -> None:
    """In order, page by page, with what took it back and why; to its owner and to auditors."""
    first = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    await desk.publish(first)
    filled = {**first, "id": first["id"] + "-2", "time": "2026-11-22T12:01:00Z"}
    kept = {**first, "id": first["id"] + "-3", "time": "2026-11-22T12:02:00Z"}
    kept["data"] = {**first["data"], "sharing": {"scope": "own"}}
    for event in (filled, kept, an_event()):
        await desk.publish(event)
    await desk.trace(kept["id"])
    thing = {"owner": "0671", "type": "job-order", "subject": first["subject"]}
    answer = (await desk.get(**thing, participant="0657")).json()
    assert answer["thing"] == thing | {"type": "dk.kommunebro.job-order"}
    assert [one["event"]["id"] for one in answer["events"]] == [first["id"], filled["id"], kept["id"]]
    assert answer["next"] is None
    last = answer["events"][-1]
    assert {(one["alliance"], one["form"], one["reason"]) for one in last["forwarded"]} == {
        ("nord", "retracted", "scope-own"), ("vest", "retracted", "scope-own")
    }  # fmt: skip
    assert [one["participant"]["received"] for one in answer["events"]] == [["vest"]] * 3
    paged = [(await desk.get(**thing, limit=2)).json()]
    paged.append((await desk.get(**thing, limit=2, after=paged[0]["next"])).json())
    assert [one["event"]["id"] for page in paged for one in page["events"]] == [first["id"], filled["id"], kept["id"]]
    assert paged[1]["next"] is None
    assert (await desk.get("0671", Role.READER, **thing)).status_code == 200
    assert (await desk.get("0657", Role.READER, **thing)).status_code == 404
    assert (await desk.get(**thing | {"subject": "none"})).status_code == 404


async def test_what_the_forwarder_made_leads_to_its_cause(desk: Desk) -> None:
    """A retraction stands in the alliances' topics with an id of its own; so does what is only forwarded."""
    first = an_event(data__sharing={"scope": "alliances"}, data__employerAgreed="named")
    kept = {**first, "id": first["id"] + "-kept", "time": "2026-11-22T12:01:00Z"}
    kept["data"] = {**first["data"], "sharing": {"scope": "own"}}
    await desk.publish(first)
    await desk.publish(kept)
    await desk.trace(kept["id"])
    forwarded, made = await desk.shared("vest")
    assert made["source"] == "urn:kommunebro:kommunebro:forwarder"
    for source in ({"source": made["source"]}, {}):
        found = (await desk.get(**source, id=made["id"])).json()
        assert found["asked"] == {"source": made["source"], "id": made["id"]}
        assert found["event"]["id"] == made["causedby"] == kept["id"]
        assert {one["made"]["id"] for one in found["forwarded"]} == {made["id"]}
    same = (await desk.get(source=forwarded["source"], id=forwarded["id"])).json()
    assert same["event"]["id"] == first["id"]
    assert "asked" not in same
    assert (await desk.get("0671", Role.READER, id=made["id"])).status_code == 200
    assert (await desk.get("0657", Role.READER, id=made["id"])).status_code == 404


async def test_questions_that_have_no_answer(desk: Desk) -> None:
    """Each is told what is missing or too much."""
    wrong: list[tuple[dict[str, str], str]] = [
        ({}, "id"),
        ({"source": STRUER_OPERA}, "id"),
        ({"id": "a", "source": "opera"}, "source"),
        ({"id": "a", "after": "x"}, "after"),
        ({"id": "a", "subject": "1"}, "id"),
        ({"owner": "0671", "subject": "1"}, "type"),
        ({"owner": "0671", "type": "order", "subject": "1"}, "type"),
        ({"owner": "0671", "type": "visit", "subject": "a b"}, "subject"),
        ({"owner": "0671", "type": "visit", "subject": "1", "after": "!"}, "after"),
        ({"type": "visit", "subject": "1"}, "owner"),
        ({"id": "a", "form": "long"}, "form"),
    ]
    for asked, named in wrong:
        answer = await desk.get(**asked)
        assert answer.status_code == 422, (asked, answer.text)
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{named}"], asked


async def test_among_thousands_and_after_a_restart(tmp_path: Path) -> None:
    """The indexes are kept, and one that is damaged is made anew from the log."""
    events = [an_event(id=f"many-{number}", subject=f"order-{number % 50}") for number in range(3000)]
    body = b"\n".join(map(orjson.dumps, events))
    async with a_gateway(tmp_path) as (gateway, client):
        headers = {**token(gateway, "0671", Role.PUBLISHER), "Content-Type": "application/x-ndjson"}
        assert (await client.post("/v1/events", content=body, headers=headers)).json()["accepted"] == 3000
        assert (await Desk(gateway, client).get(id="many-2999")).status_code == 200
    for damaged in (False, True):
        if damaged:
            (tmp_path / "event-index.sqlite3").write_bytes(b"no database at all, but long enough to be looked at")
        async with a_gateway(tmp_path) as (gateway, client):
            desk = Desk(gateway, client)
            assert (await desk.get(id="many-1500")).json()["event"]["offset"] == 1500
            thing = await desk.get(owner="0671", type="job-order", subject="order-7", limit=1000)
            assert [one["event"]["offset"] for one in thing.json()["events"]] == list(range(7, 3000, 50))


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
