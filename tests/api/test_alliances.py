"""`/v1/alliances`: read by all, changed by their coordinators, one version after another."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker_adapters.log import Fenced, LogUnavailable
from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.core.agreement_samples import agreement
from tests.support import a_gateway, token

New = {"If-None-Match": "*"}
Desk = tuple[Gateway, httpx.AsyncClient]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A gateway without agreements."""
    async with a_gateway(tmp_path, forwarder=False) as found:
        yield found


async def put(
    desk: Desk, body: Any, *, by: str = "0657", role: Role = Role.COORDINATOR, **headers: str
) -> httpx.Response:
    gateway, client = desk
    path = f"/v1/alliances/{body.get('id', 'vest') if isinstance(body, dict) else 'vest'}"
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.put(path, json=body, headers=token(gateway, by, role) | sent)


async def get(desk: Desk, path: str = "", **headers: str) -> httpx.Response:
    gateway, client = desk
    return await client.get(f"/v1/alliances{path}", headers=token(gateway, "0751", Role.READER) | headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_new_agreement_stands_when_it_is_answered(desk: Desk) -> None:
    """201 with its ETag; read again it is what was sent."""
    made = await put(desk, agreement(), if_none_match="*")
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.headers["location"] == "/v1/alliances/vest"
    found = await get(desk, "/vest")
    assert (found.status_code, found.headers["etag"], found.json()) == (200, '"1"', agreement())
    assert made.json() == agreement()


async def test_whoever_has_a_token_may_read_agreements(desk: Desk) -> None:
    """They hold no personal data, and say who receives what; without a token nothing is said."""
    await put(desk, agreement(), if_none_match="*")
    assert (await get(desk)).json() == {"alliances": [{**agreement(), "version": 1}], "next": None}
    assert (await desk[1].get("/v1/alliances")).status_code == 401
    assert (await desk[1].get("/v1/alliances/vest")).status_code == 401
    assert (await desk[1].put("/v1/alliances/vest", json=agreement())).status_code == 401
    assert problem(await get(desk, "/far")) == (404, "not-found")


async def test_the_next_version_needs_the_etag_of_the_one_before(desk: Desk) -> None:
    """Else what somebody else changed meanwhile would be lost."""
    await put(desk, agreement(), if_none_match="*")
    wider = agreement()
    wider["members"].append({"participant": "0615"})
    assert problem(await put(desk, wider)) == (428, "precondition-required")
    assert problem(await put(desk, wider, if_none_match="*")) == (412, "precondition-failed")
    stale = await put(desk, wider, if_match='"7"')
    assert problem(stale) == (412, "precondition-failed")
    assert stale.headers["etag"] == '"1"'
    changed = await put(desk, wider, if_match='"1"')
    assert (changed.status_code, changed.headers["etag"], changed.json()) == (200, '"2"', wider)
    assert (await get(desk, "/vest")).json() == wider
    assert problem(await put(desk, agreement(id="far"), if_match='"1"')) == (412, "precondition-failed")


async def test_the_same_again_is_no_new_version(desk: Desk) -> None:
    """Loading what is there already changes nothing."""
    await put(desk, agreement(), if_none_match="*")
    again = await put(desk, agreement(validUntil=None), if_match='"1"')
    assert (again.status_code, again.headers["etag"]) == (200, '"1"')


async def test_an_unchanged_agreement_is_not_sent_again(desk: Desk) -> None:
    """304 for whoever has the newest version already."""
    await put(desk, agreement(), if_none_match="*")
    assert (await get(desk, "/vest", **{"If-None-Match": '"1"'})).status_code == 304
    assert (await get(desk, "/vest", **{"If-None-Match": '"0"'})).status_code == 200


async def test_who_may_change_an_agreement(desk: Desk) -> None:
    """Its coordinators and operators, nobody else, and nobody by naming themselves in it."""
    assert problem(await put(desk, agreement(), by="0671", if_none_match="*")) == (403, "forbidden")
    await put(desk, agreement(), if_none_match="*")
    mine = agreement(coordinators=["0657", "0671"])
    assert problem(await put(desk, mine, by="0671", if_match='"1"')) == (403, "forbidden")
    assert problem(await put(desk, mine, role=Role.READER, if_match='"1"')) == (403, "forbidden")
    assert (await put(desk, mine, by="drift", role=Role.OPERATOR, if_match='"1"')).status_code == 200


async def test_of_two_who_change_the_same_version_one_is_told(desk: Desk) -> None:
    """Exactly one becomes the next; the others get 412, however many there are."""
    await put(desk, agreement(), if_none_match="*")
    proposals = [agreement(purpose=f"Formål {number}") for number in range(8)]
    answers = await asyncio.gather(*(put(desk, body, if_match='"1"') for body in proposals))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (won,) = [body for body, answer in zip(proposals, answers, strict=True) if answer.status_code == 200]
    assert (await get(desk, "/vest")).json() == won


async def test_of_two_who_make_the_same_agreement_one_is_told(desk: Desk) -> None:
    """The same with `If-None-Match: *`."""
    proposals = [agreement(purpose=f"Formål {number}") for number in range(4)]
    answers = await asyncio.gather(*(put(desk, body, if_none_match="*") for body in proposals))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]


@pytest.mark.parametrize("fault", [Fenced("another"), LogUnavailable("away", outcome_unknown=True)])
async def test_another_gateway_in_between_is_not_the_callers_matter(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Its processor fenced ours, or nobody knows what became of the commit: it is looked up and tried again."""
    gateway, _ = desk
    real = gateway.log.processor
    faults = [fault, fault]

    def processor(name: str) -> Any:
        found = real(name)
        commit = found.commit

        async def failing(**arguments: Any) -> None:
            if faults:
                raise faults.pop()
            await commit(**arguments)

        monkeypatch.setattr(found, "commit", failing)
        return found

    monkeypatch.setattr(gateway.log, "processor", processor)
    assert (await put(desk, agreement(), if_none_match="*")).status_code == 201
    assert faults == []


async def test_a_commit_that_was_not_answered_but_stands_is_a_success(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a failed precondition against our own version."""
    gateway, _ = desk
    real = gateway.log.processor

    def processor(name: str) -> Any:
        found = real(name)
        commit = found.commit

        async def unanswered(**arguments: Any) -> None:
            await commit(**arguments)
            raise LogUnavailable("no answer", outcome_unknown=True)

        monkeypatch.setattr(found, "commit", unanswered)
        return found

    monkeypatch.setattr(gateway.log, "processor", processor)
    made = await put(desk, agreement(), if_none_match="*")
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')


async def test_a_commit_that_stands_only_when_the_next_enters_is_a_success(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Kafka whoever enters ends what hung: our own version comes up between two looks."""
    gateway, _ = desk
    real = gateway.log.processor
    hung: list[dict[str, Any]] = []

    @asynccontextmanager
    async def processor(name: str) -> AsyncIterator[Any]:
        async with real(name) as found:
            if hung:
                await found.commit(**hung[0])
                yield found
                return

            async def hang(**arguments: Any) -> None:
                hung.append(arguments)
                raise LogUnavailable("no answer", outcome_unknown=True)

            monkeypatch.setattr(found, "commit", hang)
            yield found

    monkeypatch.setattr(gateway.log, "processor", processor)
    made = await put(desk, agreement(), if_none_match="*")
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')


async def test_what_is_wrong_is_pointed_at(desk: Desk) -> None:
    """By JSON Pointer into the body; what the software does not act on is not ignored."""
    wrong = await put(desk, agreement(kind="friends"), if_none_match="*")
    assert problem(wrong) == (422, "invalid-agreement")
    assert wrong.json()["errors"][0]["pointer"] == "/kind"
    later = await put(desk, agreement(validUntil="2027-01-01T00:00:00Z"), if_none_match="*")
    assert problem(later) == (422, "not-supported-yet")
    gateway, client = desk
    elsewhere = await client.put(
        "/v1/alliances/far", json=agreement(), headers=token(gateway, "0657", Role.COORDINATOR) | New
    )
    assert problem(elsewhere) == (422, "invalid-agreement")


async def test_a_body_that_cannot_be_read(desk: Desk) -> None:
    """Each way of being no JSON object with one meaning has its status."""
    gateway, client = desk
    headers = token(gateway, "0657", Role.COORDINATOR) | New
    cases: list[tuple[bytes, dict[str, str], tuple[int, str]]] = [
        (b"{", {}, (400, "unreadable")),
        (b'{"id":1,"id":2}', {}, (400, "unreadable")),
        (b"\xef\xbb\xbf{}", {}, (400, "unreadable")),
        (b'{"id":"\xff"}', {}, (400, "unreadable")),
        (b"[" * 70 + b"]" * 70, {}, (400, "unreadable")),
        (b"", {}, (400, "unreadable")),
        (b"[]", {}, (422, "invalid-agreement")),
        (b"null", {}, (422, "invalid-agreement")),
        (b" " * (1024 * 1024 + 1), {}, (413, "body-too-large")),
        (b"{}", {"Content-Type": "text/plain"}, (415, "unsupported-media-type")),
        (b"{}", {"Content-Encoding": "gzip"}, (415, "unsupported-media-type")),
    ]
    for body, changes, expected in cases:
        sent = headers | {"Content-Type": "application/json"} | changes
        answer = await client.put("/v1/alliances/vest", content=body, headers=sent)
        assert problem(answer) == expected, body[:20]


async def test_all_that_ship_with_kommunebro_are_taken_and_listed(desk: Desk) -> None:
    """Page by page, by id."""
    bodies = packaged_agreements()
    for body in bodies:
        answer = await put(desk, body, by="drift", role=Role.OPERATOR, if_none_match="*")
        assert answer.status_code == 201, answer.text
    first = (await get(desk, "?limit=5")).json()
    second = (await get(desk, f"?limit=5&after={first['next']}")).json()
    assert second["next"] is None
    assert [item["id"] for item in first["alliances"] + second["alliances"]] == sorted(body["id"] for body in bodies)


async def test_every_version_is_kept_in_the_log(desk: Desk) -> None:
    """Who changed it, and when, beside what it said."""
    await put(desk, agreement(), if_none_match="*")
    await put(desk, agreement(purpose="Nyt formål"), by="drift", role=Role.OPERATOR, if_match='"1"')
    gateway, _ = desk
    async with gateway.log.reader({"control.agreements": 0}) as reader:
        stored = [json.loads(record.value) for record in await reader.poll()]
    assert [(one["version"], one["changedBy"]) for one in stored] == [(1, "0657"), (2, "drift")]


async def test_a_wrong_parameter_is_named(desk: Desk) -> None:
    """And a cursor from elsewhere is none."""
    for query, named in (("limit=0", "limit"), ("after=%C3%A6", "after"), ("page=2", "page")):
        answer = await get(desk, f"?{query}")
        assert problem(answer) == (422, "bad-parameter")
        assert answer.json()["errors"][0]["pointer"] == f"/{named}"
