"""What one page of a subscription tells, where the gateway's own reader is a moment behind the log."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

from broker_adapters.log import Log, NewRecord
from exchange_gateway.clock import Clock, HandTurnedClock
from exchange_gateway.core.access import Principal, Role
from exchange_gateway.core.subscriptions import Cursor
from exchange_gateway.workers.agreements import BookKeeper
from exchange_gateway.workers.delivery import ALIKE_RECORDS_MAX, Delivery, Page
from exchange_gateway.workers.tail import Tail
from schemas.event import format_time
from tests.contract.stores import Store
from tests.core.agreement_samples import NOW_US, agreement
from tests.workers.forwarding import agree
from tests.workers.test_subscriptions import TOPIC, subscription

OTHER = "alliance.nord.job-order"
READER = Principal("0657", frozenset({Role.READER}))


def record(number: int) -> NewRecord:
    return NewRecord(b'{"number":%d}' % number, key=b"0671/1")


async def followed(log: Log, tail: Tail, end: int) -> None:
    """Let the tail come to an offset in each topic, and stop it there."""
    topics = await log.topics()
    running = asyncio.create_task(tail.run())
    async with asyncio.timeout(20):
        while any(tail.ends([topic]).get(topic, 0) < end for topic in topics):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def begun(store: Store, *topics: str) -> tuple[Log, Tail]:
    """Return a log with a record in each topic, and a tail that begins behind it, at the end of what is there."""
    log = await store.open(*topics)
    tail = Tail(log)
    for topic in topics:
        await log.append(topic, [record(0)])
    await followed(log, tail, 1)
    return log, tail


async def page(log: Log, tail: Tail, place: int, *, patient: bool) -> Page:
    delivery = Delivery(log, BookKeeper(log), tail, Clock())
    wanted = frozenset({TOPIC})
    return await delivery.page(subscription(0), READER, wanted, Cursor(0, {TOPIC: place}), limit=100, patient=patient)


async def test_the_lag_is_that_behind_the_log(store: Store) -> None:
    """Also for who takes what is in memory and leaves the rest for the next time: its lag is no 0 that is exact."""
    log, tail = await begun(store, TOPIC)
    await log.append(TOPIC, [record(number) for number in range(1, 3)])
    await followed(log, tail, 3)
    await log.append(TOPIC, [record(number) for number in range(3, 7)])
    some = await page(log, tail, 1, patient=True)
    assert (len(some.records), some.positions, some.lag_events) == (2, {TOPIC: 3}, 4)
    everything = await page(log, tail, 1, patient=False)
    assert (len(everything.records), everything.positions, everything.lag_events) == (6, {TOPIC: 7}, 0)


async def test_who_may_wait_does_not_fetch_from_brokers_for_one_event(store: Store) -> None:
    """On Kafka it is woken a moment later with everybody else; a file is looked into at once."""
    log, tail = await begun(store, TOPIC)
    await log.append(TOPIC, [record(1)])
    found = await page(log, tail, 1, patient=True)
    assert (len(found.records), found.lag_events) == ((0, 1) if log.remote else (1, 0))


async def test_what_others_read_is_what_each_would_read(store: Store) -> None:
    """Whoever goes on from the same place and wants the same is handed the same, and nobody else's."""
    log, tail = await begun(store, TOPIC, OTHER)
    owners = ("0671", "0657", "0671", "0661")
    records = [NewRecord(b"{}", key=f"{owner}/{place}".encode()) for place, owner in enumerate(owners)]
    for topic in (TOPIC, OTHER):
        await log.append(topic, records)
    await followed(log, tail, 5)
    shared = Delivery(log, BookKeeper(log), tail, Clock())
    places = ({TOPIC: 1, OTHER: 5}, {TOPIC: 5, OTHER: 1}, {TOPIC: 1, OTHER: 2}, {TOPIC: 2}, {TOPIC: 2, OTHER: 0})
    topics = (frozenset({TOPIC}), frozenset({TOPIC, OTHER}))
    wishes = list(
        product(("0657", "0671"), ({}, {"owner": ["0671"]}), (1, 3, 100), (3, 1_000), places, topics, (False, True))
    )

    async def read(delivery: Delivery, wish: tuple[Any, ...]) -> Page:
        participant, filtered, limit, bytes_max, positions, wanted, alone = wish
        # Which topic fills a page is left to chance, and here is to be the same each time.
        random.seed(0)
        return await delivery.page(
            replace(subscription(0), filter=filtered), replace(READER, participant=participant), wanted,
            Cursor(0, positions), limit=limit, bytes_max=bytes_max, fresh=False, alone=alone,
        )  # fmt: skip

    apart = [await read(Delivery(log, BookKeeper(log), tail, Clock()), wish) for wish in wishes]
    for _ in range(2):
        assert [await read(shared, wish) for wish in wishes] == apart
    one, other = [await read(shared, ("0657", {}, 100, 1_000, places[0], topics[1], False)) for _ in range(2)]
    assert one.records
    assert one.records is other.records
    assert one.positions is not other.positions


async def test_what_was_read_is_forgotten_when_the_log_goes_on(store: Store) -> None:
    """Nothing of it is kept for those who come later."""
    log, tail = await begun(store, TOPIC)
    await log.append(TOPIC, [record(1)])
    await followed(log, tail, 2)
    delivery = Delivery(log, BookKeeper(log), tail, Clock())
    found = []
    for end in (2, 3):
        page = await delivery.page(
            subscription(0), READER, frozenset({TOPIC}), Cursor(0, {TOPIC: 1}), limit=100, fresh=False
        )
        found.append((len(page.records), page.positions, len(delivery._alike)))
        await log.append(TOPIC, [record(end)])
        await followed(log, tail, end + 1)
    assert found == [(1, {TOPIC: 2}, 1), (2, {TOPIC: 3}, 1)]


async def test_only_a_short_stretch_is_kept_for_others(store: Store) -> None:
    """A longer one is read by somebody who was away: nobody else comes for it, and it would take its room."""
    log, tail = await begun(store, TOPIC)
    await log.append(TOPIC, [record(number) for number in range(1, ALIKE_RECORDS_MAX + 2)])
    await followed(log, tail, ALIKE_RECORDS_MAX + 2)
    delivery = Delivery(log, BookKeeper(log), tail, Clock())
    kept = []
    for place in (1, 2):
        await delivery.page(
            subscription(0), READER, frozenset({TOPIC}), Cursor(0, {TOPIC: place}), limit=1_000, fresh=False
        )
        kept.append(len(delivery._alike))
    assert kept == [0, 1]


async def test_what_may_be_read_changes_at_an_agreements_instant(store: Store) -> None:
    """Not a moment before or after it, however often it was asked for; and once more where the clock goes back."""
    log = await store.open()
    clock = HandTurnedClock(NOW_US)
    without = [{"participant": code} for code in ("0657", "0665")]
    await agree(log, agreement(members=without))
    await agree(log, agreement(validFrom=format_time(NOW_US + 10_000)))
    delivery = Delivery(log, BookKeeper(log), Tail(log), clock)
    struer = replace(READER, participant="0671")
    found = []
    for later_us in (0, 9_999, 10_000, 9_999):
        clock.us = NOW_US + later_us
        found += [len(await delivery.wanted(subscription(0), struer, fresh=fresh)) for fresh in (True, False)]
    assert [bool(topics) for topics in found] == [False, False, False, False, True, True, False, False]
