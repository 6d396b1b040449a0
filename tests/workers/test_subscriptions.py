"""The book of subscriptions is kept in a file beside the log, which a start believes only where it fits the log."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from broker_adapters.log import Log
from exchange_gateway.clock import Clock
from exchange_gateway.core.subscriptions import Cursor, Moved, Subscription
from exchange_gateway.workers import subscriptions
from exchange_gateway.workers.subscriptions import FILE_NAME, SubscriptionKeeper
from schemas.identifiers import CURSORS_TOPIC, SUBSCRIPTIONS_TOPIC
from tests.contract.stores import Store

TOPIC, AT = "alliance.vest.job-order", "2026-11-26T12:00:00Z"


def subscription(number: int, **changes: Any) -> Subscription:
    whole: dict[str, Any] = {
        "id": f"s{number}", "participant": "0657", "version": 1, "name": "Alt", "types": ("job-order",),
        "alliances": None, "filter": {}, "start": "earliest", "positions": {}, "created_at": AT, "changed_at": AT,
        "changed_by": "opera", "deleted": False,
    }  # fmt: skip
    return Subscription(**whole | changes)


def moved(number: int, offset: int, *, rewound: bool = False) -> Moved:
    return Moved(f"s{number}", Cursor(0, {TOPIC: offset}), rewound, AT, "opera")


async def filled(log: Log) -> None:
    await log.append(SUBSCRIPTIONS_TOPIC, [subscription(number).record() for number in range(3)])
    await log.append(CURSORS_TOPIC, [moved(offset % 2, offset).record() for offset in range(1, 100)])
    await log.append(CURSORS_TOPIC, [moved(2, 7, rewound=True).record()])
    await log.append(SUBSCRIPTIONS_TOPIC, [subscription(1, version=2, deleted=True).record()])


async def opened(log: Log, folder: Path, instance: str = "ours") -> SubscriptionKeeper:
    keeper = SubscriptionKeeper(log, Clock(), folder, instance)
    await keeper.open()
    return keeper


def committed(keeper: SubscriptionKeeper) -> dict[str, Cursor]:
    return {one.subscription.id: one.committed for one in keeper.book.all()}


EXPECTED = {"s0": Cursor(0, {TOPIC: 98}), "s2": Cursor(1, {TOPIC: 7})}


async def test_a_start_goes_on_from_what_was_kept(store: Store, tmp_path: Path) -> None:
    """The file is believed, and what the log has beyond it is read; subscriptions come back as they were."""
    log = await store.open(SUBSCRIPTIONS_TOPIC, CURSORS_TOPIC)
    await filled(log)
    first = await opened(log, tmp_path)
    assert committed(first) == EXPECTED
    await first.close()
    kept = orjson.loads((tmp_path / FILE_NAME).read_bytes())
    # Something that the log does not say shows that nothing was read again.
    kept["book"][0][2] = {TOPIC: 1_000}
    (tmp_path / FILE_NAME).write_bytes(orjson.dumps(kept))
    await log.append(CURSORS_TOPIC, [Moved("s2", Cursor(1, {TOPIC: 9}), False, AT, "opera").record()])
    second = await opened(log, tmp_path)
    assert committed(second) == {"s0": Cursor(0, {TOPIC: 1_000}), "s2": Cursor(1, {TOPIC: 9})}
    assert [one.subscription for one in second.book.all()] == [one.subscription for one in first.book.all()]


async def test_what_does_not_fit_is_not_believed(store: Store, tmp_path: Path) -> None:
    """Damaged, of another format or instance, or of a log that was longer: then the log alone counts."""
    log = await store.open(SUBSCRIPTIONS_TOPIC, CURSORS_TOPIC)
    await filled(log)
    await (await opened(log, tmp_path)).close()
    good = (tmp_path / FILE_NAME).read_bytes()
    kept = orjson.loads(good)
    kept["book"] = []
    for wrong in (
        good[: len(good) // 2], b"", b"[]", b"null",
        orjson.dumps(kept | {"format": 99}),
        orjson.dumps(kept | {"instance": "another"}),
        orjson.dumps(kept | {"positions": {SUBSCRIPTIONS_TOPIC: 10**9, CURSORS_TOPIC: 10**9}}),
        orjson.dumps(kept | {"book": [[{"id": "s0"}, 0, {}, None]]}),
    ):  # fmt: skip
        (tmp_path / FILE_NAME).write_bytes(wrong)
        assert committed(await opened(log, tmp_path)) == EXPECTED, wrong[:40]
    (tmp_path / FILE_NAME).unlink()
    assert committed(await opened(log, tmp_path)) == EXPECTED


async def test_it_is_kept_now_and_then(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a gateway that is killed need not read everything again; a full disk is no reason to stop."""
    monkeypatch.setattr(subscriptions, "KEPT_EVERY", 10)
    log = await store.open(SUBSCRIPTIONS_TOPIC, CURSORS_TOPIC)
    await filled(log)
    await opened(log, tmp_path)
    assert committed(await opened(log, tmp_path)) == EXPECTED
    assert (tmp_path / FILE_NAME).exists()
    unwritable = tmp_path / "a-file"
    unwritable.write_text("")
    assert committed(await opened(log, unwritable)) == EXPECTED
