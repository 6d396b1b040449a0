"""`/v1/subscriptions`: who is sent what, from where on, and how far each has come; on both logs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_adapters.log import NewRecord
from exchange_gateway.core.access import Role
from exchange_gateway.core.subscriptions import BadCursor, Cursor, CursorSigner
from exchange_gateway.main import Gateway
from tests.sightings import retracted, shared
from tests.support import a_gateway, agree, token, two_alliances

VEST, NORD = "alliance.vest.job-order", "alliance.nord.job-order"
PATH = "/v1/subscriptions"
DELIVERED_TWO = 'kommunebro_delivered_total{door="stream"} 2.0'
Answer = dict[str, Any]


class Desk:
    """A gateway with the alliances vest (Herning, Struer, Lemvig) and nord (Struer, Holstebro)."""

    def __init__(self, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.gateway, self.client = gateway, client

    async def share(self, topic: str, *records: NewRecord) -> None:
        await self.gateway.log.create_topics([topic])
        await self.gateway.log.append(topic, list(records))

    async def ask(self, method: str, path: str = "", who: str = "0657", **more: Any) -> httpx.Response:
        bearer = token(self.gateway, who, Role.READER)
        return await self.client.request(method, PATH + path, headers=bearer, **more)

    async def subscribe(self, who: str = "0657", **body: Any) -> Answer:
        answer = await self.ask("POST", who=who, json={"name": "Alt", **body})
        assert answer.status_code == 201, answer.text
        assert answer.headers["Location"] == f"{PATH}/{answer.json()['id']}"
        return answer.json()  # type: ignore[no-any-return]

    async def pull(self, subscription: Answer, who: str = "0657", **query: Any) -> Answer:
        answer = await self.ask("GET", f"/{subscription['id']}/events", who, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def move(self, subscription: Answer, who: str = "0657", **body: str) -> httpx.Response:
        return await self.ask("POST", f"/{subscription['id']}/cursor", who, json=body)


def subjects(pulled: Answer) -> list[str]:
    return [event["subject"] for event in pulled["events"]]


@pytest.fixture(params=["embedded", "kafka"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway on either log, with Struer's order 1001 in both alliances."""
    changes: dict[str, Any] = {}
    if request.param == "kafka":
        changes["kafka_bootstrap"] = request.getfixturevalue("kafka_bootstrap")
        changes["kafka"] = {"prefix": request.getfixturevalue("kafka_prefix")}
    async with a_gateway(tmp_path, forwarder=False, **changes) as (gateway, client):
        desk = Desk(gateway, client)
        await two_alliances(gateway, client)
        await desk.share(VEST, shared("vest", "1001"))
        await desk.share(NORD, shared("nord", "1001"))
        yield desk


async def test_pull_commit_and_pull_again(desk: Desk) -> None:
    """The same comes until it is committed; then what follows, byte for byte as it is stored."""
    new = shared("vest", "1002", title="3 svejsere æøå")
    subscription = await desk.subscribe()
    await desk.share(VEST, new)
    first = await desk.pull(subscription)
    assert subjects(first) == ["1001", "1002"]
    assert first["lag"] == {"events": 0, "seconds": 0.0, "approximate": False}
    raw = await desk.ask("GET", f"/{subscription['id']}/events")
    assert new.value in raw.content
    assert subjects(await desk.pull(subscription)) == ["1001", "1002"]
    committed = await desk.move(subscription, cursor=first["cursor"])
    assert committed.status_code == 200
    assert committed.json()["committedAt"] is not None
    assert subjects(await desk.pull(subscription)) == []
    await desk.share(VEST, shared("vest", "1003"))
    assert subjects(await desk.pull(subscription)) == ["1003"]


async def test_a_limit_loses_nothing(desk: Desk) -> None:
    """Page by page, committing or not, each event comes once and in order within its topic."""
    await desk.share(VEST, *(shared("vest", f"v{number}") for number in range(230)))
    await desk.share(NORD, *(shared("nord", f"n{number}", "0661") for number in range(57)))
    subscription = await desk.subscribe("0779", types=["dk.kommunebro.job-order"])
    struer = await desk.subscribe("0671")
    assert subjects(await desk.pull(subscription, "0779")) == subjects(await desk.pull(subscription, "0779"))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        pulled = await desk.pull(struer, "0671", limit=10, **({} if cursor is None else {"after": cursor}))
        if not pulled["events"]:
            break
        seen += subjects(pulled)
        cursor = pulled["cursor"]
    assert [one for one in seen if one.startswith("n")] == [f"n{number}" for number in range(57)]
    assert not [one for one in seen if one.startswith("v")], "Struer's own"


async def test_own_events_are_left_out_and_others_alliances_too(desk: Desk) -> None:
    """Struer owns the order; Holstebro sees what nord shows; Aarhus is in neither."""
    assert subjects(await desk.pull(await desk.subscribe("0671"), "0671")) == []
    holstebro = await desk.pull(await desk.subscribe("0661"), "0661")
    assert [event["alliance"] for event in holstebro["events"]] == ["nord"]
    assert (await desk.pull(await desk.subscribe("0751"), "0751"))["events"] == []


async def test_where_it_starts(desk: Desk) -> None:
    """At the beginning, the end or a time; a topic that comes later is read from its beginning."""
    latest = await desk.subscribe(start="latest", types=["dk.kommunebro.job-order", "dk.kommunebro.visit"])
    assert subjects(await desk.pull(latest)) == []
    await desk.share(VEST, shared("vest", "1002"))
    await desk.share("alliance.vest.visit", shared("vest", "9001", data={"visitId": "9001", "status": "planned"}))
    assert sorted(subjects(await desk.pull(latest))) == ["1002", "9001"]
    timed = await desk.subscribe(start="2020-01-01T00:00:00Z")
    assert sorted(subjects(await desk.pull(timed))) == ["1001", "1002", "9001"]
    for wrong in ("yesterday", "2100-01-01T00:00:00Z", ""):
        assert (await desk.ask("POST", json={"name": "x", "start": wrong})).status_code == 422


async def test_rewinding(desk: Desk) -> None:
    """To the beginning, the end or a time; and a client that still works on older events cannot take it back."""
    subscription = await desk.subscribe()
    old = await desk.pull(subscription)
    await desk.move(subscription, cursor=old["cursor"])
    assert (await desk.move(subscription, rewind="earliest")).status_code == 200
    assert subjects(await desk.pull(subscription)) == ["1001"]
    late = await desk.move(subscription, cursor=old["cursor"])
    assert (late.status_code, late.json()["type"]) == (409, "/problems/cursor-rewound")
    await desk.move(subscription, rewind="latest")
    assert subjects(await desk.pull(subscription)) == []
    await desk.move(subscription, rewind="2020-01-01T00:00:00+01:00")
    assert subjects(await desk.pull(subscription)) == ["1001"]
    assert (await desk.move(subscription, rewind="soon")).status_code == 422
    assert (await desk.move(subscription)).status_code == 422


async def test_a_commit_never_goes_backwards(desk: Desk) -> None:
    """Whatever order commits come in."""
    subscription = await desk.subscribe()
    early = await desk.pull(subscription)
    await desk.share(VEST, shared("vest", "1002"))
    late = await desk.pull(subscription)
    await desk.move(subscription, cursor=late["cursor"])
    await desk.move(subscription, cursor=early["cursor"])
    assert subjects(await desk.pull(subscription)) == []


async def test_cursors_that_are_no_good(desk: Desk) -> None:
    """Another subscription's, a damaged one, one cut short, nonsense: each is told, and changes nothing."""
    mine, other = await desk.subscribe(), await desk.subscribe()
    pulled = await desk.pull(mine)
    cursor: str = pulled["cursor"]
    flipped = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    stranger = (await desk.pull(other))["cursor"]
    for bad in (stranger, flipped, cursor[:-4], "", "x", "æ", "A" * 100_000, cursor + "=="):
        committed = await desk.move(mine, cursor=bad)
        assert (committed.status_code, committed.json()["type"]) == (422, "/problems/bad-cursor"), bad[:50]
        if bad and len(bad) < 10_000:
            again = await desk.ask("GET", f"/{mine['id']}/events", params={"after": bad})
            assert again.status_code == 422
    assert subjects(await desk.pull(mine)) == ["1001"]


async def test_cursors_from_the_future(desk: Desk) -> None:
    """Signed by us, but beyond the log's end, as after a restore from an older copy: told, and nothing is changed."""
    subscription = await desk.subscribe()
    ahead = desk.gateway.cursors.write(subscription["id"], Cursor(0, {VEST: 10**9}))
    answer = await desk.ask("GET", f"/{subscription['id']}/events", params={"after": ahead})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-cursor")
    assert "restored from an older copy" in answer.json()["detail"]
    stream = await desk.ask("GET", f"/{subscription['id']}/stream", params={"after": ahead})
    assert stream.status_code == 422
    assert subjects(await desk.pull(subscription)) == ["1001"]


@settings(max_examples=300, deadline=None, database=None)
@given(damage=st.data())
def test_no_damaged_cursor_is_read(damage: st.DataObject) -> None:
    """Whatever bits are turned, cut or put in: a cursor is read as it was written, or not at all."""
    signer = CursorSigner(b"a key of the instance" * 2)
    cursor = Cursor(damage.draw(st.integers(0, 5)), {VEST: damage.draw(st.integers(0, 2**40)), NORD: 7})
    text = signer.write("sub-1", cursor)
    assert signer.read("sub-1", text) == cursor
    place = damage.draw(st.integers(0, len(text) - 1))
    put_in = damage.draw(st.text(max_size=4))
    damaged = text[:place] + put_in + text[place + damage.draw(st.integers(0, 4)) :]
    try:
        read = signer.read("sub-1", damaged)
    except BadCursor:
        return
    assert read == cursor
    with pytest.raises(BadCursor):
        signer.read("sub-2", damaged)


async def test_a_long_poll_ends_with_the_first_event(desk: Desk) -> None:
    """Also where its topic is not there yet; and with nothing when time is up."""
    subscription = await desk.subscribe(start="latest")
    loop = asyncio.get_running_loop()
    for topic, record in ((VEST, shared("vest", "1002")), ("alliance.vest.visit", shared("vest", "9001"))):
        before = await desk.pull(subscription)
        waiting = asyncio.create_task(desk.pull(subscription, wait=20, after=before["cursor"]))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        began = loop.time()
        await desk.share(topic, record)
        pulled = await waiting
        assert len(pulled["events"]) == 1
        assert loop.time() - began < 3
        await desk.move(subscription, cursor=pulled["cursor"])
    began = loop.time()
    assert (await desk.pull(subscription, wait=0.3))["events"] == []
    assert 0.25 < loop.time() - began < 5


async def test_whoever_joins_reads_from_the_beginning(desk: Desk) -> None:
    """Lemvig is made a member of nord: what stands there comes, without a new subscription."""
    subscription = await desk.subscribe("0665", start="latest")
    assert subjects(await desk.pull(subscription, "0665")) == []
    now = (await desk.client.get("/v1/alliances/nord", headers=token(desk.gateway, "0665", Role.READER))).json()
    await agree(desk.gateway, desk.client, now | {"members": [*now["members"], {"participant": "0665"}]})
    assert [event["alliance"] for event in (await desk.pull(subscription, "0665"))["events"]] == ["nord"]


async def test_a_filter_and_the_end_of_things(desk: Desk) -> None:
    """Every property named must fit; an end comes whatever the filter says, since it has nothing left to fit."""
    await desk.share(
        VEST,
        shared("vest", "sj", occupation={"label": "Smed", "codes": [{"system": "ESCO", "code": "7212.1"}]}),
        shared("vest", "hs", workplace={"municipality": "0657"}, positions=4),
        shared("vest", "pa", status="paused"),
        retracted("vest", "1001"),
        shared("vest", "le", "0665", company={"industryCodes": [{"system": "DB07", "code": "561010"}]}),
    )
    for asked, expected in {
        '{"municipality": ["0657"]}': ["hs", "1001"],
        '{"occupation": ["ESCO:72"]}': ["sj", "1001"],
        '{"occupation": ["KLEJN"]}': ["1001", "hs", "pa", "1001", "le"],
        '{"industry": ["56"]}': ["1001", "le"],
        '{"industry": ["DB07:2511"], "status": ["paused"]}': ["pa", "1001"],
        '{"positionsMin": 4}': ["hs", "1001"],
        '{"owner": ["0665"]}': ["le"],
        "{}": ["1001", "sj", "hs", "pa", "1001", "le"],
    }.items():
        subscription = await desk.subscribe(filter=json.loads(asked), types=["dk.kommunebro.job-order"])
        assert subjects(await desk.pull(subscription)) == expected, asked
        dry = await desk.ask("POST", ":dry-run", json={"name": "x", "filter": json.loads(asked)})
        assert (dry.json()["found"], dry.json()["complete"]) == (len(expected), True), dry.text
        assert dry.json()["lookedAt"] == 6


async def test_managing(desk: Desk) -> None:
    """Listing, looking, changing and deleting; and nobody else's are there."""
    one, two = await desk.subscribe(name="En"), await desk.subscribe(name="To", alliances=["vest"])
    listed = (await desk.ask("GET")).json()
    assert sorted(item["name"] for item in listed["subscriptions"]) == ["En", "To"]
    page = (await desk.ask("GET", params={"limit": 1})).json()
    rest = (await desk.ask("GET", params={"after": page["next"]})).json()
    assert {page["subscriptions"][0]["id"], rest["subscriptions"][0]["id"]} == {one["id"], two["id"]}
    assert (await desk.ask("GET", f"/{one['id']}")).json()["lag"]["events"] == 1
    changed = await desk.ask("PATCH", f"/{one['id']}", json={"name": "Et", "alliances": ["nord"]})
    assert (changed.json()["name"], changed.json()["alliances"]) == ("Et", ["nord"])
    assert subjects(await desk.pull(one)) == []
    assert (await desk.ask("PATCH", f"/{one['id']}", json={"alliances": None})).json()["alliances"] is None
    assert subjects(await desk.pull(one)) == ["1001"]
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None),
        ("GET", "/events", None), ("GET", "/stream", None), ("POST", "/cursor", {"rewind": "latest"}),
    ):  # fmt: skip
        answer = await desk.ask(method, f"/{one['id']}{path}", "0751", json=body)
        assert answer.status_code == 404, (method, path)
    assert (await desk.ask("DELETE", f"/{one['id']}")).status_code == 204
    assert (await desk.ask("GET", f"/{one['id']}")).status_code == 404
    assert len((await desk.ask("GET")).json()["subscriptions"]) == 1


async def test_what_is_wrong_is_told_where(desk: Desk) -> None:
    """Unknown properties, types, alliances' ids that cannot be, filters that are none, no JSON, another media type."""
    for body, pointer in (
        ({}, "/name"),
        ({"name": "x", "color": "red"}, "/color"),
        ({"name": "x", "types": ["job-order"]}, "/types/0"),
        ({"name": "x", "alliances": ["Vest Alliancen"]}, "/alliances/0"),
        ({"name": "x", "filter": {"municipality": ["671"]}}, "/filter/municipality/0"),
        ({"name": "x", "filter": {"positionsMin": 0}}, "/filter/positionsMin"),
        ({"name": ""}, "/name"),
    ):
        answer = await desk.ask("POST", json=body)
        assert answer.status_code == 422, answer.text
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    stray = await desk.ask("POST", json={"name": "x", "filter": {"kommune": ["0671"]}})
    assert "/filter/kommune: It is not known here. Known are: owner, municipality, occ" in stray.json()["detail"]
    assert (await desk.ask("POST", content=b'{"name":1,"name":2}')).status_code == 415
    bearer = {**token(desk.gateway, "0657", Role.READER), "Content-Type": "application/json"}
    twice = await desk.client.post(PATH, headers=bearer, content=b'{"name":"a","name":"b"}')
    assert twice.status_code == 400
    publisher = token(desk.gateway, "0657", Role.PUBLISHER)
    assert (await desk.client.get(PATH, headers=publisher)).status_code == 403
    assert (await desk.ask("GET", params={"colour": "red"})).status_code == 422


async def test_a_participant_has_only_so_many(tmp_path: Path) -> None:
    """The limit is a setting, and another participant's count is its own."""
    async with a_gateway(tmp_path, forwarder=False, limits={"subscriptions_max": 2}) as (gateway, client):
        desk = Desk(gateway, client)
        await desk.subscribe()
        await desk.subscribe()
        refused = await desk.ask("POST", json={"name": "Tre"})
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-subscriptions")
        await desk.subscribe("0671")


async def test_another_gateway_and_a_restart_know_it_all(
    tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    """Made and committed at one gateway, pulled at another of the same instance, and after both began anew."""
    first_folder, second_folder = tmp_path / "a", tmp_path / "b"
    kafka: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(first_folder, forwarder=False, **kafka) as (gateway, client):
        first = Desk(gateway, client)
        await two_alliances(first.gateway, first.client)
        await first.share(VEST, shared("vest", "1001"), shared("vest", "1002"))
        subscription = await first.subscribe()
        kafka["keys"] = first_folder / "instance.keys"
        async with a_gateway(second_folder, forwarder=False, **kafka) as (other, other_client):
            second = Desk(other, other_client)
            pulled = await second.pull(subscription, limit=1)
            await first.move(subscription, cursor=pulled["cursor"])
            assert subjects(await second.pull(subscription)) == ["1002"]
    async with a_gateway(second_folder, forwarder=False, **kafka) as (gateway, client):
        assert subjects(await Desk(gateway, client).pull(subscription)) == ["1002"]


async def test_an_expired_cursor_says_where_to_go_on(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> None:
    """410 with the oldest place that the log keeps, over both ways of reading; from there everything left comes."""
    kafka: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(tmp_path, forwarder=False, **kafka) as (gateway, client):
        desk = Desk(gateway, client)
        await two_alliances(gateway, client)
        await desk.share(VEST, *(shared("vest", str(number)) for number in range(6)))
        subscription = await desk.subscribe()
        pulled = await desk.pull(subscription, limit=2)
        assert (await desk.move(subscription, cursor=pulled["cursor"])).status_code == 200
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(kafka_prefix + VEST, 0): RecordsToDelete(before_offset=4)})
    await admin.close()
    # What a gateway has in memory it still gives; this one has nothing yet.
    async with a_gateway(tmp_path, forwarder=False, **kafka) as (gateway, client):
        desk = Desk(gateway, client)
        for way in ("events", "stream"):
            expired = await desk.ask("GET", f"/{subscription['id']}/{way}")
            assert (expired.status_code, expired.json()["type"]) == (410, "/problems/cursor-expired")
        oldest = expired.json()["oldest"]
        left = await desk.pull(subscription, after=oldest)
        assert subjects(left) == ["4", "5"]
        assert (await desk.move(subscription, cursor=oldest)).status_code == 200
        assert subjects(await desk.pull(subscription)) == ["4", "5"]
        assert (await desk.ask("GET", f"/{subscription['id']}")).json()["lag"]["events"] == 2


async def test_a_stream_ends_when_its_subscription_is_deleted_elsewhere(
    tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    """Deleted at one gateway, the stream that another gateway sends ends within moments, after what it had to send."""
    kafka: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(tmp_path / "a", forwarder=False, **kafka) as (gateway, client):
        first = Desk(gateway, client)
        await two_alliances(gateway, client)
        await first.share(VEST, shared("vest", "1001"))
        subscription, kept = await first.subscribe(), await first.subscribe()
        kafka["keys"] = tmp_path / "a" / "instance.keys"
        async with a_gateway(tmp_path / "b", forwarder=False, **kafka) as (other, other_client):
            second = Desk(other, other_client)
            streams = [asyncio.create_task(second.ask("GET", f"/{one['id']}/stream")) for one in (subscription, kept)]
            async with asyncio.timeout(20):
                while DELIVERED_TWO not in (await other_client.get("/metrics")).text:  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0.1)
            assert not streams[0].done()
            assert (await first.ask("DELETE", f"/{subscription['id']}")).status_code == 204
            async with asyncio.timeout(20):
                ended = await streams[0]
            assert ended.text.startswith("retry: ")
            assert ended.text.count("event: dk.kommunebro.job-order") == 1
            assert not streams[1].done()
            assert (await second.ask("GET", f"/{subscription['id']}/stream")).status_code == 404
            streams[1].cancel()
