"""The forwarder on a real log: what partners get, when, and that it goes on whatever comes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any, Self

import pytest

from broker_adapters.log import Fenced, Log, LogClosed, LogUnavailable, NewRecord, Processor
from exchange_gateway.clock import HandTurnedClock
from exchange_gateway.telemetry import Metrics
from exchange_gateway.workers import forwarder as module
from exchange_gateway.workers import shards as shards_module
from schemas.event import format_time
from schemas.identifiers import AGREEMENTS_TOPIC
from tests.contract.stores import Store, read_all
from tests.core.agreement_samples import agreement
from tests.core.event_samples import event, published
from tests.workers.forwarding import VEST, agree, audits, publish, running, settled, shared, until


async def test_a_job_order_reaches_its_alliance_and_nobody_else(store: Store) -> None:
    """What one member publishes stands in the alliance's topic, cut, and in no other alliance's."""
    log = await store.open()
    await agree(log, VEST, agreement(id="syd", members=[{"participant": "0410"}]))
    await publish(log, event())
    async with running(log):
        await settled(log)
    (arrived,) = await shared(log)
    assert (arrived["owner"], arrived["alliance"], arrived["id"]) == ("0671", "vest", "e1")
    assert "contactPerson" not in arrived["data"]
    assert await shared(log, "syd") == []


async def test_events_of_many_participants_keep_their_order(store: Store) -> None:
    """Each participant's events arrive in the order in which they were published, none twice, none missing."""
    log = await store.open()
    await agree(log, VEST)
    owners = ("0657", "0671", "0665")
    batches = [[event(owner=owner, id=f"{number}", minute=number) for owner in owners] for number in range(60)]
    async with running(log, step_records=7):
        for batch in batches:
            await publish(log, *batch)
        await settled(log)
    arrived = await shared(log)
    for owner in owners:
        assert [one["id"] for one in arrived if one["owner"] == owner] == [str(number) for number in range(60)]


async def test_an_agreement_acknowledged_before_an_event_counts_for_it(store: Store) -> None:
    """Whoever agrees and then publishes finds the event shared, however soon after."""
    log = await store.open()
    await agree(log, agreement(id="first", members=[{"participant": "0410"}]))
    await log.create_topics(["pub.0671.job-order"])
    async with running(log):
        for number in range(10):
            await agree(log, agreement(id=f"new-{number}"))
            await publish(log, event(id=f"e{number}", subject=f"s{number}"))
            await until(partial(shared, log, f"new-{number}"))
    for number in range(10):
        assert (await shared(log, f"new-{number}"))[0]["id"] == f"e{number}"


async def test_a_new_version_counts_for_later_events_only(store: Store) -> None:
    """A changed agreement never shares older events."""
    log = await store.open()
    await agree(log, agreement(shares={"visit": {}}))
    async with running(log):
        await publish(log, event())
        await settled(log)
        await agree(log, agreement(shares={"visit": {}, "job-order": {"fields": ["/title"]}}))
        await publish(log, event(id="e2", subject="2"))
        await settled(log)
    (arrived,) = await shared(log)
    assert (arrived["id"], arrived["agreementversion"]) == ("e2", 2)
    assert arrived["data"].keys() == {"jobOrderId", "status", "title"}


async def test_an_order_is_shared_updated_filled_and_shared_again(store: Store) -> None:
    """The life of an order, as its partners see it, across restarts of the forwarder."""
    log = await store.open()
    await agree(log, VEST)
    states = [
        event(id="1", minute=1),
        event(id="2", minute=2, positions=2),
        event(id="3", minute=3, status="filled"),
        event(id="4", minute=4),
        event(id="5", minute=5, sharing={"scope": "own"}),
        event(id="6", minute=6, title="Igen"),
        event(id="7", minute=7, employerAgreed="no"),
    ]
    for state in states:
        await publish(log, state)
        async with running(log):
            await settled(log)
    arrived = await shared(log)
    assert [one["data"]["status"] for one in arrived] == [
        "open", "open", "filled", "open", "withdrawn", "open", "withdrawn",
    ]  # fmt: skip
    assert [one.get("causedby") for one in arrived] == [None] * 4 + ["5", None, "7"]
    assert [len(one["data"]) for one in arrived if one["data"]["status"] != "open"] == [2, 2, 2]


async def test_a_second_copy_from_another_gateway_is_withheld(store: Store) -> None:
    """Of two copies that two gateways let in at once, the first by offset counts, also after a restart."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, event(), event())
    async with running(log):
        await settled(log)
    await publish(log, event(), event(title="Andet"))
    async with running(log):
        await settled(log)
    assert [one["id"] for one in await shared(log)] == ["e1"]
    reasons = [group["reason"] for step in await audits(log) for group in step["withheld"]]
    assert reasons == ["duplicate", "duplicate", "conflict"]


async def test_a_poison_record_holds_nothing_up(store: Store) -> None:
    """What is no event is withheld with its reason, and what stands behind it is forwarded."""
    log = await store.open("pub.0671.job-order")
    await agree(log, VEST)
    await log.append("pub.0671.job-order", [NewRecord(b"\xff not json", b"1001")])
    await publish(log, event())
    metrics = Metrics()
    async with running(log, metrics=metrics):
        await settled(log)
    assert [one["id"] for one in await shared(log)] == ["e1"]
    (step,) = await audits(log)
    assert step["withheld"] == [{"topic": "pub.0671.job-order", "reason": "unreadable", "offsets": [0]}]
    assert metrics.registry.get_sample_value("kommunebro_withheld_total", {"reason": "unreadable"}) == 1
    counted = metrics.registry.get_sample_value("kommunebro_forwarded_total", {"alliance": "vest", "type": "job-order"})
    assert counted == 1


async def test_a_step_that_writes_too_much_is_cut_in_two(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much one batch gives, each commit stays small, and together they are the same."""
    monkeypatch.setattr(module, "OUTPUT_BYTES_MAX", 3000)
    monkeypatch.setattr(module, "AUDIT_BYTES_MAX", 1200)
    log = await store.open()
    await agree(log, VEST)
    await publish(log, *(event(id=str(number), minute=number) for number in range(40)))
    async with running(log):
        await settled(log)
    assert [one["id"] for one in await shared(log)] == [str(number) for number in range(40)]
    assert len(await audits(log)) > 10


async def test_a_topic_that_comes_later_is_found(store: Store) -> None:
    """A participant that publishes for the first time needs no restart of the forwarder."""
    log = await store.open()
    await agree(log, VEST)
    async with running(log):
        await publish(log, event())
        await settled(log)
        await publish(log, event(owner="0657"), event("visit"))
        await settled(log)
    assert [one["owner"] for one in await shared(log)] == ["0671", "0657"]
    assert [one["type"] for one in await shared(log, name="visit")] == ["dk.kommunebro.visit"]


async def test_the_clock_decides_what_is_in_force_and_never_goes_back(store: Store) -> None:
    """An agreement counts from its instant by the forwarder's clock, and still does when that is set back."""
    log = await store.open()
    clock = HandTurnedClock()
    starts_us = clock.us + 60_000_000
    await agree(log, agreement(validFrom=format_time(starts_us)))
    async with running(log, clock=clock):
        await publish(log, event(id="early"))
        await settled(log)
        clock.us = starts_us
        await publish(log, event(id="in force", subject="2"))
        await settled(log)
        clock.us -= 3_600_000_000
        await publish(log, event(id="clock back", subject="3"))
        await settled(log)
    assert [one["id"] for one in await shared(log)] == ["in force", "clock back"]


async def test_an_unreadable_agreement_stops_sharing_and_not_the_forwarder(store: Store) -> None:
    """While nobody knows what may be shared nothing is; nothing is lost either."""
    log = await store.open()
    await agree(log, VEST)
    await log.append(AGREEMENTS_TOPIC, [NewRecord(b'{"alliance":"vest","version":2}')])
    await publish(log, event())
    async with running(log) as task:
        await asyncio.sleep(0.5)
        assert not task.done()
    assert await shared(log) == []


class Faulty(Processor):
    """A processor whose commits fail now and then, before or after they are durable."""

    def __init__(self, inner: Processor, log: "FaultyLog") -> None:
        self._inner, self._log, self._failed = inner, log, False

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(*error)  # type: ignore[arg-type]

    def positions(self) -> dict[str, int]:
        return self._inner.positions()

    async def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        if self._failed:
            raise LogClosed("a commit failed: enter a new one")
        return await self._inner.load(keys)

    async def commit(self, **step: Any) -> None:
        self._log.commits += 1
        turn = self._log.commits % 4
        self._failed = turn in (1, 3)
        if turn == 1:
            raise LogUnavailable("before the commit")
        await self._inner.commit(**step)
        if turn == 3:
            raise LogUnavailable("after the commit", outcome_unknown=True)


class FaultyLog:
    """A log whose processors are faulty; all else is the real one's."""

    def __init__(self, log: Log) -> None:
        self._log, self.commits = log, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def processor(self, name: str) -> Processor:
        return Faulty(self._log.processor(name), self)


async def test_a_commit_that_fails_is_done_again_exactly_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a failed commit was durable or not, each event arrives once: the processor is entered anew."""
    monkeypatch.setattr(shards_module, "PAUSE_FIRST_S", 0.01)
    monkeypatch.setattr(shards_module, "PAUSE_MAX_S", 0.02)
    log = await store.open()
    await agree(log, VEST)
    await publish(log, *(event(id=str(number), minute=number) for number in range(30)))
    async with running(FaultyLog(log), step_records=3):  # type: ignore[arg-type]
        await settled(log, 60)
    assert [one["id"] for one in await shared(log)] == [str(number) for number in range(30)]


async def test_a_cancelled_forwarder_leaves_nothing_half_done(store: Store) -> None:
    """Stopped at any instant and started again, it goes on where it was."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, *(event(id=str(number), minute=number) for number in range(120)))
    for milliseconds in range(0, 60, 4):
        async with running(log, step_records=4):
            await asyncio.sleep(milliseconds / 1000)
    async with running(log):
        await settled(log)
    assert [one["id"] for one in await shared(log)] == [str(number) for number in range(120)]


async def test_shards_are_run_as_they_are_handed_out(store: Store) -> None:
    """A forwarder runs the shards it is given, and lets go of those that are taken from it."""
    handed: asyncio.Queue[set[int]] = asyncio.Queue()

    async def assignments() -> AsyncIterator[set[int]]:
        while True:
            yield await handed.get()

    log = await store.open()
    await agree(log, VEST)
    await publish(log, event(owner="0671"), event(owner="0657", id="other"), event(owner="0665", id="third"))
    async with running(log, assignments=assignments):
        handed.put_nowait(set())
        await asyncio.sleep(0.3)
        assert await shared(log) == []
        handed.put_nowait({0})
        await until(lambda: shared(log))
        first = {one["owner"] for one in await shared(log)}
        handed.put_nowait({1})
        await settled(log)
    assert first < {"0671", "0657", "0665"} == {one["owner"] for one in await shared(log)}


async def test_who_was_fenced_lets_go_and_comes_back_when_nobody_runs_the_shard(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that was taken over for a moment, and is still ours by assignment, is taken back after a rest."""
    monkeypatch.setattr(shards_module, "FENCED_REST_S", 0.2)
    log = await store.open()
    await agree(log, VEST)
    async with running(log):
        await publish(log, event())
        await settled(log)
        other = await store.second(log)
        for shard in ("forwarder-0", "forwarder-1"):
            async with other.processor(shard):
                pass
        await publish(log, event(id="e2", minute=1))
        await settled(log)
    assert [one["id"] for one in await shared(log)] == ["e1", "e2"]


async def test_a_closed_log_ends_the_work(store: Store) -> None:
    """When the log is closed under it the forwarder stops trying."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, event())
    async with running(log):
        await settled(log)
        await log.close()
        await asyncio.sleep(1.5)
        names = {task.get_name() for task in asyncio.all_tasks() if not task.done()}
        assert not {"forwarder-0", "forwarder-1"} & names


async def test_a_zombie_commits_nothing(store: Store) -> None:
    """Whoever was replaced while it decided is fenced when it commits."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, event())
    zombie = log.processor("forwarder-0")
    async with zombie:
        other = await store.second(log)
        async with running(other):
            await settled(other)
            record = published(event(id="zombie"))
            with pytest.raises(Fenced):
                await zombie.commit(outputs=[("alliance.vest.job-order", record)], positions={"pub.0671.job-order": 0})
    assert [one["id"] for one in await shared(log)] == ["e1"]
    assert len(await read_all(log, "alliance.vest.job-order")) == 1
