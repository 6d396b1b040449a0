"""The job orders' read model: what was in the log is seen, on both logs, and the file can always be made anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from broker_adapters.log import Log, LogUnavailable, NewRecord
from exchange_gateway.core.job_orders import Filters, JobOrder, Place, Sight
from exchange_gateway.workers import read_models
from exchange_gateway.workers.job_order_store import FILE_NAME, FORMAT
from exchange_gateway.workers.read_models import JobOrders, ReadModelBehind
from tests.contract.stores import EmbeddedStore, KafkaStore, Store
from tests.sightings import published, retracted, shared

PUB, VEST, NORD = "pub.0671.job-order", "alliance.vest.job-order", "alliance.nord.job-order"
STRUER = Sight(frozenset({"0671"}), frozenset({"vest"}))
HERNING = Sight(frozenset({"0657"}), frozenset({"vest", "nord"}))
ALL = Filters()


@pytest.fixture(params=["embedded", "kafka"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A place for a log, of each kind."""
    if request.param == "embedded":
        kept: Store = EmbeddedStore(tmp_path / "log")
    else:
        kept = KafkaStore(
            tmp_path / "log", request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("kafka_prefix")
        )
    yield kept
    await kept.close()


@pytest.fixture
async def log(store: Store) -> Log:
    """An open log with the topics of Struer and two alliances."""
    return await store.open(PUB, VEST, NORD)


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Log]:
    """The embedded log alone, where which log it is makes no difference."""
    kept = EmbeddedStore(tmp_path / "log")
    yield await kept.open(PUB, VEST, NORD)
    await kept.close()


@asynccontextmanager
async def a_model(log: Log, folder: Path, instance: str = "one") -> AsyncIterator[JobOrders]:
    """Run a read model."""
    model = JobOrders(log, folder, instance)
    await model.open()
    running = asyncio.create_task(model.run())
    try:
        yield model
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await model.close()


async def listed(model: JobOrders, sight: Sight = STRUER, **filters: Any) -> list[JobOrder]:
    orders, more = await model.page(sight, Filters(**filters), None, 1000)
    assert not more
    return orders


async def ids(model: JobOrders, sight: Sight = STRUER, **filters: Any) -> list[str]:
    return [order.subject for order in await listed(model, sight, **filters)]


async def test_whoever_asks_sees_what_was_recorded_before(log: Log, tmp_path: Path) -> None:
    """Each time, without waiting for a worker's next round: an answer has all that was in the log."""
    async with a_model(log, tmp_path) as model:
        for number in range(10):
            await log.append(PUB, [published(f"order-{number}")])
            assert await ids(model) == [f"order-{n}" for n in range(number, -1, -1)] or number
            assert f"order-{number}" in await ids(model)


async def test_what_was_committed_in_a_transaction_is_seen(log: Log, tmp_path: Path) -> None:
    """What a forwarder commits stands behind markers on Kafka; nobody waits for a record that is none."""
    async with a_model(log, tmp_path) as model, log.processor("forwarder-0") as forwarder:
        for number in range(5):
            outputs = [(VEST, shared("vest", f"order-{number}")), (NORD, shared("nord", f"order-{number}"))]
            await forwarder.commit(outputs=outputs, visible=True)
            (order,) = [one for one in await listed(model, HERNING) if one.subject == f"order-{number}"]
            assert order.alliances == ("nord", "vest")


async def test_a_topic_that_was_just_made_is_seen(log: Log, tmp_path: Path) -> None:
    """The first order that a participant ever publishes is there when it asks for it."""
    async with a_model(log, tmp_path) as model:
        assert await ids(model, Sight(frozenset({"0657"}), frozenset())) == []
        await log.create_topics(["pub.0657.job-order"])
        await log.append("pub.0657.job-order", [published("first", "0657")])
        assert await ids(model, Sight(frozenset({"0657"}), frozenset())) == ["first"]


async def test_a_restart_goes_on_where_it_was(log: Log, tmp_path: Path) -> None:
    """The file says how far it reaches, so only what came since is read."""
    async with a_model(log, tmp_path) as model:
        await log.append(PUB, [published("one")])
        assert await ids(model) == ["one"]
    await log.append(PUB, [published("two")])
    async with a_model(log, tmp_path) as model:
        assert model._positions[PUB] > 0
        assert sorted(await ids(model)) == ["one", "two"]


async def test_a_second_copy_counts_for_nothing(embedded: Log, tmp_path: Path) -> None:
    """Two gateways may take in one event at one instant; the first in the log counts, also against a conflict."""
    first = published("1001", event_id="a", at_s=1, title="først")
    newest = published("1001", event_id="b", at_s=1, title="nyest")
    conflict = published("1001", event_id="a", at_s=9, title="anden")
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [first, newest, first])
        assert await titles(model) == ["nyest"]
        await embedded.append(PUB, [first, conflict])
        assert await titles(model) == ["nyest"]


async def titles(model: JobOrders) -> list[str]:
    found = [order.as_json()["data"] for order in await listed(model)]
    import orjson  # noqa: PLC0415

    return [orjson.loads(orjson.dumps(data))["title"] for data in found]


async def test_a_stale_event_overwrites_nothing(embedded: Log, tmp_path: Path) -> None:
    """Whether it comes in the same read or in a later one."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [published(at_s=5, title="ny"), published(at_s=4, title="gammel")])
        assert await titles(model) == ["ny"]
        await embedded.append(PUB, [published(at_s=3, title="ældst")])
        assert await titles(model) == ["ny"]
        await embedded.append(PUB, [published(at_s=5, title="samme tid")])
        assert await titles(model) == ["samme tid"]


async def test_pages_meet_every_order_once_while_others_are_published(embedded: Log, tmp_path: Path) -> None:
    """New ones and new states of old ones come between two pages, and move nothing."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [published(f"order-{n}") for n in range(25)])
        met: list[str] = []
        after: Place | None = None
        for number in range(100):
            orders, more = await model.page(STRUER, ALL, after, 4)
            met += [order.subject for order in orders]
            if not more:
                break
            after = Place(orders[-1].first_ms, orders[-1].owner, orders[-1].subject)
            await embedded.append(PUB, [published(f"new-{number}"), published(f"order-{number}", at_s=9)])
        assert sorted(met) == sorted(f"order-{n}" for n in range(25))


async def test_a_thing_in_two_alliances_is_listed_once(embedded: Log, tmp_path: Path) -> None:
    """At the place where it was seen first, whichever page that falls on."""
    async with a_model(embedded, tmp_path) as model:
        for number in range(6):
            await embedded.append(VEST, [shared("vest", f"order-{number}")])
        for number in (4, 0, 2):
            await embedded.append(NORD, [shared("nord", f"order-{number}")])
        met: list[str] = []
        after: Place | None = None
        while True:
            orders, more = await model.page(HERNING, ALL, after, 2)
            met += [order.subject for order in orders]
            after = Place(orders[-1].first_ms, orders[-1].owner, orders[-1].subject)
            if not more:
                break
        assert sorted(met) == [f"order-{n}" for n in range(6)]


async def test_filters_join_what_different_alliances_show(embedded: Log, tmp_path: Path) -> None:
    """One shows the workplace, the other the text: asked for both, the order is found."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(VEST, [shared("vest", description=..., title=...)])
        await embedded.append(NORD, [shared("nord", workplace=...)])
        assert await ids(model, HERNING, municipality="0671", words=("kostalde",)) == ["1001"]
        assert await ids(model, Sight(frozenset(), frozenset({"vest"})), words=("kostalde",)) == []
        assert await ids(model, Sight(frozenset(), frozenset({"nord"})), municipality="0671") == []


async def test_every_filter_is_also_one_of_the_database(embedded: Log, tmp_path: Path) -> None:
    """The database must not lose what the exact rules would find."""
    wanted: list[dict[str, Any]] = [
        {"owner": "0671"}, {"alliance": "vest"}, {"municipality": "0671"}, {"occupation": "klejn"},
        {"occupation": "7214"}, {"industry": "db07:25"}, {"status": "open"}, {"since_ms": 1}, {"words": ("øvelse",)},
    ]  # fmt: skip
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [published()])
        await embedded.append(VEST, [shared("vest")])
        for filters in wanted:
            for sight in (STRUER, HERNING):
                assert await ids(model, sight, **filters) == ["1001"], filters
        assert await ids(model, STRUER, alliance="nord") == []
        assert await ids(model, HERNING, since_ms=2**52) == []


async def test_what_many_changed_since_a_time_is_found_too(
    embedded: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are found by their time, many by walking the list; the answer is the same."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(VEST, [shared("vest", f"order-{n}") for n in range(20)])
        few = await ids(model, HERNING, since_ms=1)
        monkeypatch.setattr("exchange_gateway.workers.job_order_query.FEW", 3)
        assert await ids(model, HERNING, since_ms=1) == few
        assert len(few) == 20


async def test_a_retraction_leaves_nothing_behind(embedded: Log, tmp_path: Path) -> None:
    """No text and no filter finds it by what it showed before."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(VEST, [shared("vest", at_s=1), retracted("vest", at_s=2)])
        assert [order.newest.facets.status for order in await listed(model, HERNING)] == ["withdrawn"]
        assert await ids(model, HERNING, words=("klejnsmede",)) == []
        assert await ids(model, HERNING, municipality="0671") == []


async def rows(folder: Path) -> int:
    connection = apsw.Connection(str(folder / FILE_NAME))
    count: int = connection.execute("SELECT count(*) FROM job_order").get
    connection.close()
    return count


@pytest.mark.parametrize("harm", ["garbage", "torn", "format", "empty", "no table"])
async def test_a_damaged_file_is_made_anew(embedded: Log, tmp_path: Path, harm: str) -> None:
    """Nothing in it is the only copy of anything."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [published(f"order-{n}") for n in range(200)])
        assert len(await ids(model)) == 200
    path = tmp_path / FILE_NAME
    if harm == "garbage":
        path.write_bytes(b"not a database at all" * 1000)
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        connection = apsw.Connection(str(path))
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}" if harm == "format" else "DROP TABLE about")
        connection.close()
    async with a_model(embedded, tmp_path) as model:
        assert len(await ids(model)) == 200


async def test_damage_that_shows_while_it_runs_is_repaired(embedded: Log, tmp_path: Path) -> None:
    """The worker notices when it writes, makes the file anew, and answers follow."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [published(f"order-{n}") for n in range(50)])
        assert len(await ids(model)) == 50
        await embedded.append(PUB, [published("broken")])
        model._store.take = damaged(model)  # type: ignore[method-assign]
        assert len(await ids(model)) == 51


def damaged(model: JobOrders) -> Any:
    """Fail once, as SQLite does on a page that it cannot read."""
    take = model._store.take

    def failing(*_: Any) -> None:
        model._store.take = take  # type: ignore[method-assign]
        raise apsw.CorruptError("database disk image is malformed")

    return failing


async def test_another_instances_file_is_not_believed(embedded: Log, tmp_path: Path) -> None:
    """A data folder that was used with another log knows orders that are not in this one."""
    async with a_model(embedded, tmp_path, "one") as model:
        await embedded.append(PUB, [published()])
        assert await ids(model) == ["1001"]
    async with a_model(embedded, tmp_path, "two") as model:
        assert model._positions == {}
        assert await ids(model) == ["1001"]


async def ids_or_none(model: JobOrders) -> list[str] | None:
    try:
        return await ids(model)
    except ReadModelBehind:
        return None


async def test_a_log_that_lost_records_is_read_anew(embedded: Log, tmp_path: Path) -> None:
    """An older copy of the log was put in place: what is beyond its end is not shown any more."""
    (tmp_path / "model").mkdir()
    async with a_model(embedded, tmp_path / "model") as model:
        await embedded.append(PUB, [published("one"), published("two")])
        assert len(await ids(model)) == 2
    older = EmbeddedStore(tmp_path / "older")
    restored = await older.open(PUB, VEST, NORD)
    await restored.append(PUB, [published("one")])
    async with a_model(restored, tmp_path / "model") as model:
        async with asyncio.timeout(10):
            while await ids_or_none(model) != ["one"]:
                pass
    await older.close()


async def test_whoever_asks_too_early_is_told(embedded: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that lacks something is no answer: while the model cannot catch up in time, it says so."""
    monkeypatch.setattr(read_models, "FRESH_S_MAX", 0.05)
    model = JobOrders(embedded, tmp_path, "one")
    await model.open()
    assert await listed(model) == []
    await embedded.append(PUB, [published()])
    with pytest.raises(ReadModelBehind):
        await listed(model)
    await model.close()


async def test_a_file_that_cannot_be_had_is_told_of(embedded: Log, tmp_path: Path) -> None:
    """Its path, and what to do."""
    (tmp_path / FILE_NAME).mkdir()
    model = JobOrders(embedded, tmp_path, "one")
    with pytest.raises(LogUnavailable, match=FILE_NAME):
        await model.open()
    await model.close()


async def test_nothing_is_held_in_memory(embedded: Log, tmp_path: Path) -> None:
    """The model knows topics and positions; the orders are in the file."""
    async with a_model(embedded, tmp_path) as model:
        for start in range(0, 3000, 500):
            await embedded.append(PUB, [published(f"order-{n}") for n in range(start, start + 500)])
        orders, more = await model.page(STRUER, ALL, None, 10)
        assert (len(orders), more) == (10, True)
    assert await rows(tmp_path) == 3000


async def test_many_at_once_are_served(log: Log, tmp_path: Path) -> None:
    """Readers share the file and its connections."""
    async with a_model(log, tmp_path) as model:
        await log.append(PUB, [published(f"order-{n}") for n in range(100)])
        answers = await asyncio.gather(*(ids(model) for _ in range(40)))
        assert all(len(answer) == 100 for answer in answers)


def as_new(value: bytes) -> NewRecord:
    return NewRecord(value)


async def test_what_is_no_event_stops_nothing(embedded: Log, tmp_path: Path) -> None:
    """It is passed over, and what follows is read."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(PUB, [as_new(b"garbage"), published(), as_new(b"{}")])
        assert await ids(model) == ["1001"]


def test_the_pace_leaves_the_processor_to_publishing() -> None:
    """Little under load, more when the load goes on for long, and most of it when it is calm."""
    pace = read_models.Pace()
    # The loop's clock is the machine's, which began long before the gateway; it may start under load.
    began = 5_000.0
    pace.observe(0, began)
    assert pace._share == read_models.CALM_SHARE
    end = 0
    for second in range(1, 70):
        end += 20_000
        pace.observe(end, began + second)
        assert pace._share == (read_models.BUSY_SHARE if second < 60 else read_models.BUSY_LONG_SHARE)
    pace.observe(end + 100, began + 70)
    assert pace._share == read_models.CALM_SHARE


async def test_nobody_who_waits_is_held_up_by_a_pause() -> None:
    """A pause ends when somebody comes to wait, and there is none while they do."""
    pace = read_models.Pace()
    loop = asyncio.get_running_loop()
    pausing = asyncio.create_task(pace.pause(60.0))
    await asyncio.sleep(0)
    began = loop.time()
    pace.wait()
    await pausing
    await pace.pause(60.0)
    assert loop.time() - began < 5
    pace.waited()
    assert not pace._hurry.is_set()


async def test_a_reader_of_very_many_places(embedded: Log, tmp_path: Path) -> None:
    """All municipalities, or more places than SQLite joins in one statement."""
    async with a_model(embedded, tmp_path) as model:
        await embedded.append(VEST, [shared("vest", f"order-{n}") for n in range(5)])
        for places in (98, 390, 600):
            sight = Sight(frozenset(f"{n:04}" for n in range(places)), frozenset({"vest", "nord"}))
            assert len(await ids(model, sight, municipality="0671", words=("smed",), alliance="vest")) == 5
        sight = Sight(frozenset(), frozenset({"vest"} | {f"a{n}" for n in range(500)}))
        assert len(await ids(model, sight, words=("klejnsmede",), status="open")) == 5
