"""What a connector keeps on its own disk: books, the outbox, and what was set aside."""

import itertools
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer, main_thread
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kommunebro import GatewayUnavailable, Result
from municipality_connectors.mapping.changes import Publish, Thing, decide
from municipality_connectors.running.draining import Draining
from municipality_connectors.state import store as store_module
from municipality_connectors.state.outbox import Outbox, Place, Refusal, State
from municipality_connectors.state.store import Store, StoreUnusable, book_of, default_folder
from schemas.event import format_time, parse_time

SOURCE = "urn:kommunebro:0671:opera"
URL = "http://127.0.0.1:8080"
NOW_US = 1_795_348_800_000_000
SCHEMA = "urn:kommunebro:schema:job-order:1.0"


def state(subject: str, revision: int = 1, content: bytes = b"a") -> State:
    data = orjson.dumps({"jobOrderId": subject, "title": content.decode()})
    thing = Thing(revision, content, NOW_US + revision * 1000)
    return State("job-order", subject, thing, SCHEMA, data, Place("ordrer.xlsx", "Jobordrer", 2))


def outbox_of(store: Store, gateway: str = "g") -> Outbox:
    return Outbox(store.database, book_of(store.database, url=URL, source=SOURCE, gateway=gateway))


def known(store: Store, subject: str) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = store.database.execute(
        "SELECT revision, content, settled, refused FROM things WHERE subject=?", (subject,)
    ).fetchone()
    return row


def test_what_is_kept_waits_in_its_order_until_it_is_settled(tmp_path: Path) -> None:
    """Over a restart; what was taken in is struck out, the rest waits."""
    with Store(tmp_path / "s.sqlite3") as store:
        outbox_of(store).keep([state("3"), state("1"), state("2")], now_us=NOW_US)
    with Store(tmp_path / "s.sqlite3") as store:
        outbox = outbox_of(store)
        waiting = outbox.next(10)
        assert [kept.subject for kept in waiting] == ["3", "1", "2"]
        outbox.settle(waiting[:1], [], now_us=NOW_US)
        assert [kept.subject for kept in outbox.next(10)] == ["1", "2"]
        assert outbox.waiting() == (2, NOW_US)
        assert known(store, "3") == (1, b"a", b"a", None)


def test_a_things_states_go_one_after_another(tmp_path: Path) -> None:
    """The second leaves when the first has its answer: a refusal of the first changes the second's number."""
    with Store(tmp_path / "s.sqlite3") as store:
        outbox = outbox_of(store)
        outbox.keep([state("1", 1, b"a"), state("2"), state("1", 2, b"b")], now_us=NOW_US)
        first = outbox.next(10)
        assert [(kept.subject, kept.thing.revision) for kept in first] == [("1", 1), ("2", 1)]
        outbox.settle(first[1:], [Refusal(first[0], "citizen-number", "Slet nummeret.")], now_us=NOW_US)
        [second] = outbox.next(10)
        assert (second.subject, second.thing.revision, second.thing.content) == ("1", 1, b"b")
        assert known(store, "1") == (1, b"b", None, b"a")


def test_reading_some_does_not_cost_more_the_more_wait() -> None:
    """After weeks without a gateway hundreds of thousands do, here or for another gateway. Counted in steps of SQLite's
    machine, not in seconds.
    """

    def steps(waiting: int, of_another: int) -> int:
        with Store(None) as store:
            outbox, another, count = outbox_of(store), outbox_of(store, "h"), itertools.count()
            another.keep([state(str(number)) for number in range(of_another)], now_us=NOW_US)
            outbox.keep([state(str(number)) for number in range(waiting)], now_us=NOW_US)
            store.database.set_progress_handler(lambda: next(count) < 0, 1)
            first = outbox.next(100)
            assert len(outbox.next(100, after=first[-1].number)) == 100
            return next(count)

    few = steps(300, 0)
    assert steps(2_000, 0) == pytest.approx(few, rel=0.1)
    assert steps(300, 2_000) == pytest.approx(few, rel=0.1)


def test_a_refused_state_is_set_aside_with_its_reason_until_it_is_mended(tmp_path: Path) -> None:
    """What is known goes back to what was taken in; a later state that is taken in clears the list."""
    with Store(tmp_path / "s.sqlite3") as store:
        outbox = outbox_of(store)
        for number, content in enumerate((b"a", b"b"), 1):
            outbox.keep([state("1", number, content)], now_us=NOW_US)
            [kept] = outbox.next(10)
            refused = [Refusal(kept, "schema-violation", "Titlen er for lang.")] if content == b"b" else []
            outbox.settle([] if refused else [kept], refused, now_us=NOW_US + number)
        [aside] = outbox.set_aside()
        assert (aside.state.subject, aside.message, aside.refused_us) == ("1", "Titlen er for lang.", NOW_US + 2)
        assert known(store, "1") == (1, b"a", b"a", b"b")
        outbox.keep([state("1", 2, b"c")], now_us=NOW_US)
        outbox.settle(outbox.next(10), [], now_us=NOW_US)
        assert (list(outbox.set_aside()), known(store, "1")) == ([], (2, b"c", b"c", None))


def test_what_was_set_aside_can_be_mended_and_sent_again(tmp_path: Path) -> None:
    """With the next free number; a number that is not there is told."""
    with Store(tmp_path / "s.sqlite3") as store:
        outbox = outbox_of(store)
        outbox.keep([state("1")], now_us=NOW_US)
        outbox.settle([], [Refusal(kept, "x", "y") for kept in outbox.next(10)], now_us=NOW_US)
        [aside] = outbox.set_aside()
        assert outbox.send_again(aside.state.number + 1, b"m", b"{}", now_us=NOW_US) is False
        assert outbox.send_again(aside.state.number, b"m", b'{"mended":1}', now_us=NOW_US) is True
        [again] = outbox.next(10)
        assert (again.thing.revision, again.data, outbox.set_aside_count()) == (1, b'{"mended":1}', 0)


def test_books_are_kept_apart_and_go_by_the_instances_name(tmp_path: Path) -> None:
    """What one instance knows, another at the same address does not; while none answers, the last one is meant."""
    with Store(tmp_path / "s.sqlite3") as store:
        database = store.database
        provisional = book_of(database, url=URL, source=SOURCE, gateway=None)
        first = book_of(database, url=URL, source=SOURCE, gateway="aa")
        assert provisional == first
        second = book_of(database, url=URL, source=SOURCE, gateway="bb")
        assert second != first
        assert book_of(database, url=URL, source=SOURCE, gateway=None) == second
        assert book_of(database, url=URL, source=SOURCE, gateway="aa") == first
        assert book_of(database, url=URL, source=SOURCE + "2", gateway="aa") not in (first, second)


def test_what_waits_for_a_new_address_follows_once_the_gateway_is_known(tmp_path: Path) -> None:
    """The gateway moved while it was away: what was kept for its new address is not forgotten."""
    with Store(tmp_path / "a.sqlite3") as store:
        old = book_of(store.database, url="http://old", source="s", gateway="town")
        Outbox(store.database, old).keep([state("1", content=b"a")], now_us=NOW_US)
        nameless = book_of(store.database, url="http://new", source="s", gateway=None)
        Outbox(store.database, nameless).keep([state("1", content=b"b"), state("2", content=b"c")], now_us=NOW_US)
        assert nameless != old
        assert book_of(store.database, url="http://new", source="s", gateway="town") == old
        assert Outbox(store.database, old).waiting()[0] == 3


def test_a_store_of_a_format_before_is_brought_forward(tmp_path: Path) -> None:
    """What it remembers and what waits in it stay."""
    path = tmp_path / "a.sqlite3"
    with Store(path) as store:
        book = book_of(store.database, url="http://town", source="s", gateway="town")
        outbox = Outbox(store.database, book)
        outbox.keep([state("1", content=b"a"), state("2", content=b"b")], now_us=NOW_US, keep_data=True)
        outbox.settle(outbox.next(1), [], now_us=NOW_US)
        store.database.executescript(
            "ALTER TABLE things DROP COLUMN settled_us; ALTER TABLE things DROP COLUMN settled_data;"
            "DROP INDEX outbox_order; PRAGMA user_version=2;"
        )
    with Store(path) as store:
        assert Outbox(store.database, book).waiting()[0] == 1
        found = store.database.execute("SELECT subject, settled_us, settled_data NOT NULL FROM things ORDER BY subject")
        assert found.fetchall() == [("1", NOW_US + 1000, 1), ("2", None, 0)]
        indices = {name for (name,) in store.database.execute("SELECT name FROM sqlite_schema WHERE type='index'")}
        assert "outbox_order" in indices


def test_two_runs_at_once_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits a while, then says so; looking is open to everybody."""
    monkeypatch.setattr(store_module, "LOCK_TIMEOUT_S", 0.1)
    path = tmp_path / "s.sqlite3"
    with Store(path) as store:
        outbox_of(store).keep([state("1")], now_us=NOW_US)
        looking = Store(path).opened()
        assert looking.execute("SELECT count(*) FROM outbox").fetchone() == (1,)
        looking.close()
        with pytest.raises(StoreUnusable, match="En anden kørsel"):
            Store(path).__enter__()
    with Store(path) as store:
        assert outbox_of(store).waiting()[0] == 1


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file where the folder should be, and a store of a later format."""
    (tmp_path / "fil").write_text("x")
    with pytest.raises(StoreUnusable, match="--state"):
        Store(tmp_path / "fil" / "s.sqlite3").__enter__()
    later = sqlite3.connect(tmp_path / "s.sqlite3")
    later.execute("PRAGMA user_version=99")
    later.close()
    with pytest.raises(StoreUnusable, match="--state"):
        Store(tmp_path / "s.sqlite3").__enter__()


def test_it_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """What was kept before `kill -9` is there afterwards, and the lock is gone with the process."""
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from municipality_connectors.state.store import Store\n"
        "from tests.connectors.test_store import NOW_US, outbox_of, state\n"
        "store = Store(Path(sys.argv[1])).__enter__()\n"
        "outbox_of(store).keep([state('1')], now_us=NOW_US)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "s.sqlite3"
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60, cwd=root)
    with Store(path) as store:
        assert [kept.subject for kept in outbox_of(store).next(10)] == ["1"]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """It holds what the events hold: contact persons, too."""
    with Store(tmp_path / "s.sqlite3"):
        assert (tmp_path / "s.sqlite3").stat().st_mode & 0o077 == 0


def test_the_default_folder_is_the_users_own() -> None:
    """Not beside the sheet, where colleagues would share it by accident."""
    assert default_folder().is_relative_to(Path.home())


# --- with a gateway that refuses, forgets to answer, and knows more than we do --------------------


@dataclass
class Town:
    """A gateway's knowledge of ids, with one content that it refuses and answers that get lost."""

    refused: bytes = b"x"
    lost: list[bool] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def send(self, events: Any) -> list[Result]:
        """Answer as `POST /v1/events` does, or take the events in and lose the answer."""
        results = [self._take(index, orjson.loads(raw), keep=True) for index, raw in enumerate(list(events))]
        if self.lost and self.lost.pop():
            raise GatewayUnavailable("No answer.")
        return results

    def validate(self, events: list[bytes]) -> list[Result]:
        """Answer as `POST /v1/events:validate` does."""
        return [self._take(index, orjson.loads(raw), keep=False) for index, raw in enumerate(events)]

    def _take(self, index: int, event: dict[str, Any], *, keep: bool) -> Result:
        if event["data"]["title"] == self.refused.decode():
            return Result(index, event["id"], "refused", problem={"type": "/problems/schema-violation"})
        for taken in self.events:
            if taken["id"] == event["id"]:
                if taken == event:
                    return Result(index, event["id"], "duplicate")
                problem = {"type": "/problems/conflict", "time": taken["time"]}
                return Result(index, event["id"], "refused", problem=problem)
        if keep:
            self.events.append(event)
        return Result(index, event["id"], "accepted")


@dataclass
class Connector:
    """A store and a town; changes are noticed, and sent when the town answers."""

    store: Store
    town: Town
    wanted: dict[str, list[bytes]] = field(default_factory=dict)

    def notice(self, subject: str, content: bytes) -> None:
        """Keep what is new."""
        outbox = outbox_of(self.store)
        row = known(self.store, subject)
        thing = None
        if row is not None and row[0]:
            time_us = self.store.database.execute("SELECT time_us FROM things WHERE subject=?", (subject,)).fetchone()
            thing = Thing(row[0], row[1], time_us[0])
        decision = decide(thing, content, now_us=NOW_US, refused=None if row is None else row[3])
        if isinstance(decision, Publish):
            data = orjson.dumps({"jobOrderId": subject, "title": content.decode()})
            newest = Thing(decision.revision, content, decision.time_us)
            outbox.keep([State("job-order", subject, newest, SCHEMA, data, Place("s"))], now_us=NOW_US)

    def drain(self) -> None:
        """Send what waits."""
        draining = Draining(
            self.town, outbox_of(self.store), SOURCE, clock_us=lambda: NOW_US,  # type: ignore[arg-type]
            worded=lambda _state, _result: "nej", counted=lambda _taken, _had: None, sleep=lambda _s: None,
        )  # fmt: skip
        try:
            draining.run()
        except GatewayUnavailable:
            return


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["1", "2"]), st.sampled_from([b"a", b"b", b"c", b"x"])), st.just("drain"),
        st.just("lose"),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_each_change_arrives_once_and_in_order_whatever_happens(steps: list[Any]) -> None:
    """Refusals between, answers that are lost: of each thing just the changes that can be, numbered without a gap."""
    with Store(None) as store:
        connector = Connector(store, Town())
        written: dict[str, list[bytes]] = {"1": [], "2": []}
        for step in steps:
            if step == "lose":
                connector.town.lost = [True]
            elif isinstance(step, tuple):
                written[step[0]].append(step[1])
                connector.notice(*step)
            if step in ("drain", "lose"):
                connector.drain()
        connector.town.lost = []
        connector.drain()
        for subject, contents in written.items():
            events = [event for event in connector.town.events if event["subject"] == subject]
            titles = [event["data"]["title"].encode() for event in events]
            assert [event["id"] for event in events] == [f"job-order/{subject}/{n + 1}" for n in range(len(events))]
            times = [parse_time(event["time"]) for event in events]
            assert times == sorted(set(times))
            assert all(one != other for one, other in itertools.pairwise(titles))
            allowed = [content for content in contents if content != b"x"]
            rest = iter(allowed)
            assert all(title in rest for title in titles), "in the order in which they were written"
            assert titles[-1:] == allowed[-1:]
        assert outbox_of(store).waiting()[0] == 0


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4), st.sampled_from([b"a", b"b", b"c"]))
def test_a_store_that_is_behind_comes_after_what_the_gateway_has(before: list[bytes], ours: bytes) -> None:
    """Somebody else published the thing, or the store was lost: its newest state is ours in the end, once."""
    states = [content for place, content in enumerate(before) if place == 0 or content != before[place - 1]]
    town = Town()
    for number, content in enumerate(states, 1):
        town.events.append(
            {
                "specversion": "1.0", "id": f"job-order/1/{number}", "source": SOURCE,
                "type": "dk.kommunebro.job-order", "subject": "1", "dataschema": SCHEMA,
                "time": format_time(NOW_US + number * 1_000_000),
                "data": {"jobOrderId": "1", "title": content.decode()},
            }
        )  # fmt: skip
    with Store(None) as store:
        connector = Connector(store, town)
        connector.notice("1", ours)
        connector.drain()
        titles = [event["data"]["title"].encode() for event in town.events]
        assert titles == (states if states[-1] == ours else [*states, ours])
        assert known(store, "1") is not None
        assert (known(store, "1") or ())[0] == len(titles)
        assert outbox_of(store).waiting()[0] == 0


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    """Nor what SQLite keeps beside it, from the first write on; nor a folder that was made for it."""
    path = tmp_path / "husket" / "a.sqlite3"
    with Store(path) as store:
        book_of(store.database, url="g", source="s", gateway="g")
        found = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        assert {"a.sqlite3", "a.sqlite3-wal", "a.sqlite3-shm"} <= found.keys()
        assert set(found.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class SilentTown:
    """A gateway that takes its time to answer."""

    def send(self, events: Any) -> list[Any]:  # whatever it is
        Event().wait(30)
        return []


def test_who_ends_a_run_does_not_wait_for_the_gateway() -> None:
    """What was on its way waits still."""
    with Store(None) as store:
        Connector(store, Town()).notice("1", b"a")
        draining = Draining(
            SilentTown(), outbox_of(store), SOURCE, clock_us=lambda: NOW_US,  # type: ignore[arg-type]
            worded=lambda _state, _result: "nej", counted=lambda _taken, _had: None,
        )  # fmt: skip
        ident = main_thread().ident
        assert ident is not None
        # A process of the suite may be told to ignore it.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        Timer(0.3, lambda: signal.pthread_kill(ident, signal.SIGINT)).start()
        began = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                draining.run()
        finally:
            signal.signal(signal.SIGINT, before)
        assert time.monotonic() - began < 5
        assert outbox_of(store).waiting()[0] == 1
