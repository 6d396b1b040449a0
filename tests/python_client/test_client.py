"""The Python client, in both its forms, against real gateways on both logs."""

import asyncio
import inspect
import itertools
import threading
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from kommunebro import (
    AsyncClient,
    Client,
    Filter,
    GatewayUnavailable,
    NotAllowed,
    NotFound,
    Problem,
    Refused,
    TokenRefused,
)
from tests.instances import HERNING, STRUER, Instance, of_one, wanted
from tests.processes import replayed, start

_numbers = itertools.count(1)


def event(subject: str, **changes: Any) -> dict[str, Any]:
    """Return an order that is told from other tests' by its occupation."""
    return of_one(subject.partition("-")[0], subject, **changes)


def own(mine: list[str]) -> Filter:
    """Return what a test's own orders are found by: on Kafka those of the test before may still be on their way."""
    return wanted(mine[0].partition("-")[0])


def subjects(count: int) -> list[str]:
    """Return subjects that no other test has."""
    number = next(_numbers)
    return [f"{number}-{place}" for place in range(count)]


def publisher(lasting: Instance) -> Client:
    return Client(lasting.url, lasting.token(STRUER, "publisher"))


def reader(lasting: Instance) -> Client:
    return Client(lasting.url, lasting.token(HERNING, "reader"))


def test_what_is_published_is_pulled(lasting: Instance) -> None:
    """One event, then many; each comes to Herning once, in order, and committed it does not come again."""
    one, *more = mine = subjects(5)
    with publisher(lasting) as struer, reader(lasting) as herning:
        subscription = herning.create_subscription("Herning", filter=own(mine))["id"]
        assert [result.status for result in struer.publish(event(one))] == ["accepted"]
        assert [result.status for result in struer.publish(map(event, more))] == ["accepted"] * 4
        assert [result.status for result in struer.publish(event(one))] == ["duplicate"]
        seen = [got["subject"] for got in itertools.islice(herning.events(subscription, limit=2, wait_s=10), 5)]
        assert seen == [one, *more]
        # The loop ended within its last page, so that page was not committed.
        rest = [got["subject"] for got in herning.events(subscription, follow=False)]
        assert rest in (mine[-1:], mine[-2:])
        assert list(herning.events(subscription, follow=False)) == []


def test_refused_events_raise_and_the_others_are_taken(lasting: Instance) -> None:
    """The exception names each refused event and what is wrong with it; nothing of the others is lost."""
    good, bad, foreign = subjects(3)
    events = [event(good), event(bad, data__positions=0), {**event(foreign), "source": "urn:kommunebro:0657:opera"}]
    with publisher(lasting) as struer:
        with pytest.raises(Refused, match="2 of 3 events were refused") as raised:
            struer.publish(events)
        refused = raised.value
        assert [result.status for result in refused.results] == ["accepted", "refused", "refused"]
        assert [result.problem_name for result in refused.refused] == ["schema-violation", "another-source"]
        assert "/data/positions" in str(refused)
        assert [result.status for result in struer.validate(events)] == ["duplicate", "refused", "refused"]
        assert [result.status for result in struer.send(events[:1])] == ["duplicate"]


def test_job_orders_are_read_page_by_page(lasting: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterator goes through all pages; a single one is picked by its owner; what is not there is `NotFound`."""
    mine = subjects(7)
    monkeypatch.setattr("kommunebro.core.calls.PAGE", 3)
    with publisher(lasting) as struer, reader(lasting) as herning:
        struer.publish(event(subject, data__title=f"Smed {mine[0]}") for subject in mine)
        found: list[str] = []
        while len(found) < len(mine):
            found = [item["jobOrderId"] for item in herning.job_orders(owner=STRUER, q=f"Smed {mine[0]}")]
        assert sorted(found) == mine
        item = herning.job_order(mine[0], owner=STRUER)
        assert (item["owner"], item["alliances"], item["data"]["status"]) == (STRUER, ["vestalliancen"], "open")
        with pytest.raises(NotFound) as raised:
            herning.job_order("nowhere/å?")
    problem = raised.value
    assert (problem.type, problem.name, problem.status) == ("/problems/not-found", "not-found", 404)
    assert (problem.retryable, problem.errors) == (False, ())
    assert problem.request_id


def test_a_subscriptions_whole_life(lasting: Instance) -> None:
    """Tried, made, listed, changed, pulled, committed, rewound, deleted."""
    one, two = mine = subjects(2)
    with publisher(lasting) as struer, reader(lasting) as herning:
        made = herning.create_subscription(
            "Smede", types=["dk.kommunebro.job-order"], alliances=["vestalliancen"],
            filter={**own(mine), "status": ["open"]}, start="earliest",
        )  # fmt: skip
        struer.publish([event(one), event(two)])
        assert made["id"] in [listed["id"] for listed in herning.subscriptions()]
        changed = herning.change_subscription(made["id"], {"name": "Alle", "alliances": None})
        assert (changed["name"], changed["alliances"], changed["filter"]) == ("Alle", None, made["filter"])
        pulled = herning.pull(made["id"], limit=1, wait_s=10)
        while pulled["lag"]["events"] == 0:
            pulled = herning.pull(made["id"], limit=1, wait_s=1)
        assert [got["subject"] for got in pulled["events"]] == [one]
        assert herning.commit(made["id"], pulled["cursor"])["cursor"] == pulled["cursor"]
        assert [got["subject"] for got in herning.pull(made["id"])["events"]] == [two]
        after = herning.pull(made["id"])["cursor"]
        herning.rewind(made["id"], "earliest")
        assert one in [got["subject"] for got in herning.events(made["id"], follow=False)]
        with pytest.raises(Problem) as raised:
            herning.commit(made["id"], after)
        assert raised.value.name == "cursor-rewound"
        assert herning.dry_run(types=["dk.kommunebro.visit"])["events"] == []
        assert herning.subscription(made["id"])["lag"]["events"] == 0
        herning.delete_subscription(made["id"])
        with pytest.raises(NotFound):
            next(herning.stream(made["id"]))


def test_rewinding_while_a_loop_runs_is_followed(lasting: Instance) -> None:
    """The loop's next commit is passed over, and it goes on from where the subscription was rewound to."""
    one, two = mine = subjects(2)
    with publisher(lasting) as struer, reader(lasting) as herning:
        subscription = herning.create_subscription("Herning", filter=own(mine))["id"]
        struer.publish([event(one), event(two)])
        seen, rewound = [], False
        for got in herning.events(subscription, wait_s=5):
            seen.append(got["subject"])
            if seen[-1] == two:
                if rewound:
                    break
                herning.rewind(subscription, "earliest")
                rewound = True
    assert seen == [one, two, one, two]


def test_a_stream_hands_out_places_to_go_on_from(lasting: Instance) -> None:
    """What is given as the last event's place is not sent again; committed, it is not pulled again."""
    mine = subjects(3)
    with publisher(lasting) as struer, reader(lasting) as herning:
        subscription = herning.create_subscription("Herning", filter=own(mine))["id"]
        struer.publish(map(event, mine))
        first, second = itertools.islice(herning.stream(subscription), 2)
        assert [first.event["subject"], second.event["subject"]] == mine[:2]
        third = next(herning.stream(subscription, last_event_id=second.cursor))
        assert third.event["subject"] == mine[2]
        assert first.event["alliance"] == "vestalliancen"
        herning.commit(subscription, third.cursor)
        assert herning.pull(subscription)["events"] == []


def test_an_auditor_traces_and_replays(lasting: Instance) -> None:
    """Records come as they are stored, and within bounds the same bytes again."""
    (one,) = subjects(1)
    auditor = Client(lasting.url, lasting.token("auditor", "auditor"))
    with publisher(lasting) as struer, auditor:
        struer.publish(event(one))
        trace = auditor.trace(f"e-{one}")
        while trace["decided"] is None:
            trace = auditor.trace(f"e-{one}")
        assert [step["alliance"] for step in trace["forwarded"]] == ["vestalliancen"]
        assert [step["event"]["id"] for step in auditor.trace_thing(STRUER, "job-order", one)] == [f"e-{one}"]
        records = list(auditor.replay({"subject": one}))
        assert [record.parsed()["topic"] for record in records] == [
            "pub.0671.job-order", "alliance.vestalliancen.job-order",
        ]  # fmt: skip
        assert all(record.line.endswith(b',"event":' + record.event_bytes + b"}") for record in records)
        bounds = auditor.bounds({"subject": one})
        again = b"".join(auditor.replay_bytes(within=bounds))
        assert again == b"".join(record.line + b"\n" for record in records)
        assert b'"differences":0' in b"".join(auditor.check_forwarding())


def test_agreements_are_changed_by_their_version(lasting: Instance) -> None:
    """Reading gives the ETag that changing asks for; a version that is not the newest is refused."""
    with Client(lasting.url, lasting.token("drift", "operator")) as operator:
        assert "vestalliancen" in [listed["id"] for listed in operator.alliances()]
        before = operator.alliance("7k")
        body = {**before.body, "purpose": f"{before.body['purpose']} {next(_numbers)}"}
        after = operator.put_alliance(body, etag=before.etag)
        assert after.body == body
        with pytest.raises(Problem) as raised:
            operator.put_alliance(before.body, etag=before.etag)
        assert (raised.value.name, raised.value.status) == ("precondition-failed", 412)
        with pytest.raises(Problem):
            operator.put_alliance(before.body)


def test_a_token_is_renewed_once_when_it_does_not_count_any_more(lasting: Instance) -> None:
    """What gets tokens is called at first and after a 401; where the next one does not count either, that is told."""
    good = lasting.token(HERNING, "reader")
    tokens = iter(["bad", good])
    with Client(lasting.url, lambda: next(tokens)) as herning:
        list(herning.subscriptions())
        list(herning.subscriptions())
    asked: list[str] = []

    def bad() -> str:
        asked.append("bad")
        return "bad"

    with Client(lasting.url, bad) as herning, pytest.raises(TokenRefused, match="Make a new token"):
        list(herning.subscriptions())
    assert len(asked) == 2
    with Client(lasting.url, lasting.token(HERNING, "publisher")) as herning, pytest.raises(NotAllowed, match="reader"):
        list(herning.subscriptions())


async def test_the_asynchronous_client_does_the_same(lasting: Instance) -> None:
    """Published, validated, read, pulled, streamed, traced and replayed without blocking; the token is awaited."""
    mine = subjects(3)

    async def token() -> str:
        await asyncio.sleep(0)
        return lasting.token(HERNING, "reader")

    struer = AsyncClient(lasting.url, lasting.token(STRUER, "publisher"))
    auditor = AsyncClient(lasting.url, lasting.token("auditor", "auditor"))
    async with struer, auditor, AsyncClient(lasting.url, token) as herning:
        made = await herning.create_subscription("Herning", filter=own(mine))
        assert [result.status for result in await struer.publish(map(event, mine))] == ["accepted"] * 3
        with pytest.raises(Refused):
            await struer.publish(event(mine[0], data__positions=0))
        assert [result.status for result in await struer.validate(event(mine[0]))] == ["duplicate"]
        seen = []
        async with aclosing(herning.events(made["id"], limit=2, wait_s=10)) as events:
            async for got in events:
                seen.append(got["subject"])
                if len(seen) == 3:
                    break
        assert seen == mine
        rest = [got["subject"] async for got in herning.events(made["id"], follow=False)]
        assert rest in (mine[-1:], mine[-2:])
        await herning.rewind(made["id"], "earliest")
        async with aclosing(herning.stream(made["id"])) as stream:
            streamed = [(await anext(stream)).event["subject"] for _ in mine]
        assert streamed == mine
        assert made["id"] in [listed["id"] async for listed in herning.subscriptions()]
        assert (await herning.job_order(mine[0], owner=STRUER))["jobOrderId"] == mine[0]
        records = [record.parsed()["topic"] async for record in auditor.replay({"subject": mine[0]})]
        assert records == ["pub.0671.job-order", "alliance.vestalliancen.job-order"]
        assert (await auditor.trace(f"e-{mine[0]}"))["event"]["id"] == f"e-{mine[0]}"
        await herning.delete_subscription(made["id"])
        with pytest.raises(NotFound):
            await herning.subscription(made["id"])


def test_both_forms_have_the_same_methods() -> None:
    """What the one can do the other can, with the same parameters and the same words about it."""

    def described(kind: type) -> dict[str, Any]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: (list(inspect.signature(member).parameters), inspect.getdoc(member))
            for name, member in members if not name.startswith("_") and name not in ("close", "aclose")
        }  # fmt: skip

    assert described(Client) == described(AsyncClient)
    assert {"publish", "events", "stream", "replay"} <= described(Client).keys()


def publishing(mortal: Instance, mine: list[str], done: list[str]) -> threading.Thread:
    """Publish one event after another in a thread, until all are taken in."""

    def work() -> None:
        with Client(mortal.url, mortal.token(STRUER, "publisher"), patience_s=60) as struer:
            for subject in mine:
                (result,) = struer.publish(event(subject))
                done.append(result.status)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_gateway_killed_while_publishing_and_streaming_loses_nothing(mortal: Instance) -> None:
    """Publishing goes on by itself when the gateway is back, and so does a stream: nothing lost, none twice."""
    mine = [str(number) for number in range(150)]
    done: list[str] = []
    seen: list[str] = []
    with reader(mortal) as herning:
        subscription = herning.create_subscription("Herning")["id"]

        def listen() -> None:
            for got in herning.stream(subscription):
                seen.append(got.event["subject"])
                if len(seen) == len(mine):
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        thread = publishing(mortal, mine, done)
        while len(done) < 30:
            thread.join(0.01)
        mortal.served.kill()
        mortal.restart()
        thread.join(60)
        listener.join(60)
    assert len(done) == len(mine)
    assert set(done) <= {"accepted", "duplicate"}
    assert seen == mine
    stored = [record["event"]["subject"] for record in replayed(mortal.served, topic="pub.0671.job-order")]
    assert stored == mine


def test_a_limited_rate_is_kept_to(tmp_path: Path) -> None:
    """The gateway's 429 says when to come again, and the client does, until everything is taken in."""
    (tmp_path / "config.toml").write_text("limits = {rate_per_s = 4, rate_burst = 1}\n")
    arguments = ("--config", str(tmp_path / "config.toml"))
    limited = Instance(start(tmp_path / "data", *arguments), arguments)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    try:
        with Client(limited.url, limited.token(STRUER, "publisher"), sleep=sleep) as struer:
            for subject in subjects(3):
                assert [result.status for result in struer.publish(event(subject))] == ["accepted"]
        assert waits
        # What Retry-After says, to the second; nothing of ours.
        assert all(wait >= 1 and wait == int(wait) for wait in waits)
        hasty = Client(limited.url, limited.token(STRUER, "publisher"), patience_s=0)
        with hasty, pytest.raises(GatewayUnavailable) as raised:
            [hasty.publish(event(subject)) for subject in subjects(5)]
        assert raised.value.problem is not None
        assert (raised.value.problem.name, raised.value.problem.retryable) == ("rate-limited", True)
    finally:
        limited.served.stop()
