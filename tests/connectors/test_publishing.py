"""Publishing sheets to a real gateway: once, again, changed, changed back, after a crash, without memory."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kommunebro import Client, Result
from municipality_connectors.report import PublishReport
from municipality_connectors.running.publishing import STORE_NAME
from municipality_connectors.sheets.make_example_sheets import sheet_files
from schemas.event import parse_time
from tests.connectors.conftest import Publisher
from tests.connectors.sheets import column_of, messages, orders, set_cells, write_orders
from tests.processes import bearer, serving
from tests.support import an_event

ENDINGS = [".xlsx", ".csv"]


def counts(report: PublishReport) -> tuple[int, int, int]:
    """Accepted, unchanged, refused."""
    return report.accepted, report.unchanged, report.refused


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_second_run_publishes_nothing_twice(struer: Publisher, tmp_path: Path, ending: str) -> None:
    """What the sheet says is known; nothing is sent."""
    path = write_orders(tmp_path / f"jobordrer{ending}", orders(3))
    assert counts(struer.publish(path)) == (3, 0, 0)
    assert counts(struer.publish(path)) == (0, 3, 0)
    assert [event["subject"] for event in struer.events()] == ["JO-1001", "JO-1002", "JO-1003"]


def test_an_event_says_what_its_row_says(struer: Publisher, tmp_path: Path) -> None:
    """Source, type, subject and schema by the contract; `data` as in the example."""
    struer.publish(write_orders(tmp_path / "jobordrer.xlsx", orders(1)))
    [event] = struer.events()
    assert event["source"] == f"urn:kommunebro:0671:{struer.system}"
    assert (event["type"], event["subject"]) == ("dk.kommunebro.job-order", "JO-1001")
    assert event["dataschema"] == "urn:kommunebro:schema:job-order:1.0"
    assert event["data"] == orders(1)[0]


def test_every_example_sheet_is_taken_whole(struer: Publisher, tmp_path: Path) -> None:
    """Five workbooks; their CSV variants say the same, so nothing new."""
    for name, content in sheet_files().items():
        (tmp_path / name).write_bytes(content)
    workbooks, others = sorted(tmp_path.glob("*.xlsx")), sorted(tmp_path.glob("*.csv"))
    first = struer.publish(*workbooks)
    assert (first.refusals, first.accepted, first.exit_status) == ([], 30, 0)
    second = struer.publish(*workbooks, *others)
    assert (second.refusals, second.accepted, second.unchanged) == ([], 0, 90)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_changed_row_publishes_its_new_state_also_when_changed_back(
    struer: Publisher, tmp_path: Path, ending: str
) -> None:
    """Open, filled, open again: three events with ids of their own and growing times."""
    path = tmp_path / f"jobordrer{ending}"
    things = orders(2)
    for status in ("open", "filled", "open"):
        things[0]["status"] = status
        struer.publish(write_orders(path, things))
    states = [event for event in struer.events() if event["subject"] == "JO-1001"]
    assert [event["data"]["status"] for event in states] == ["open", "filled", "open"]
    assert len({event["id"] for event in states}) == 3
    times = [parse_time(event["time"]) for event in states]
    assert times == sorted(set(times))
    assert len(struer.events()) == 4


def test_time_grows_although_the_clock_stands_or_jumps_back(struer: Publisher, tmp_path: Path) -> None:
    """An older event would be stale, and the change be lost."""
    now = struer.clock_us()
    path, things = tmp_path / "jobordrer.xlsx", orders(1)
    for minute, title in ((0, "A"), (0, "B"), (-60, "C")):
        struer.clock_us = lambda minute=minute: now + minute * 60_000_000  # type: ignore[misc]  # bound now
        things[0]["title"] = title
        struer.publish(write_orders(path, things))
    times = [parse_time(event["time"]) for event in struer.events()]
    assert times == sorted(set(times))
    assert len(times) == 3


def test_sorting_the_sheet_changes_nothing(struer: Publisher, tmp_path: Path) -> None:
    """A thing is known by its id, not by its row."""
    path = tmp_path / "jobordrer.xlsx"
    struer.publish(write_orders(path, orders(4)))
    assert counts(struer.publish(write_orders(path, orders(4)[::-1]))) == (0, 4, 0)


def test_a_vanished_row_is_no_withdrawal(struer: Publisher, tmp_path: Path) -> None:
    """A filter, a slip of the mouse: nothing is withdrawn but by its status."""
    path = tmp_path / "jobordrer.xlsx"
    struer.publish(write_orders(path, orders(3)))
    assert counts(struer.publish(write_orders(path, orders(1)))) == (0, 1, 0)
    assert len(struer.events()) == 3


# --- ids that fill themselves -------------------------------------------------------------------


def without_ids(path: Path, things: list[dict[str, Any]]) -> Path:
    """Write orders of which the last two have neither id nor time of registration."""
    for thing in things[-2:]:
        thing["jobOrderId"] = thing["registeredAt"] = None
    if path.suffix == ".csv":
        for thing in things[-2:]:
            thing["jobOrderId"] = ""
            del thing["registeredAt"]
        return write_orders(path, things)
    for thing in things[-2:]:
        thing["jobOrderId"], thing["registeredAt"] = "x", "2026-11-16"
    write_orders(path, things)
    rows = range(len(things), len(things) + 2)
    set_cells(path, {(row, title): None for row in rows for title in ("Id", "Registreret")})
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_missing_ids_are_written_into_the_sheet(struer: Publisher, tmp_path: Path, ending: str) -> None:
    """Then the rows have them for good: a second run changes neither sheet nor log."""
    path = without_ids(tmp_path / f"jobordrer{ending}", orders(3))
    report = struer.publish(path)
    assert (counts(report), report.filled) == ((3, 0, 0), 4)
    content = path.read_bytes()
    assert counts(struer.publish(path)) == (0, 3, 0)
    assert path.read_bytes() == content
    subjects = [event["subject"] for event in struer.events()]
    assert subjects[0] == "JO-1001"
    assert all(subject.startswith("JO-") and len(subject) == 14 for subject in subjects[1:])
    if ending == ".xlsx":
        assert column_of(path, "Id") == subjects


def test_a_row_without_id_in_an_open_sheet_waits(struer: Publisher, tmp_path: Path) -> None:
    """The others go on; the message says what to do, and afterwards it works."""
    path = without_ids(tmp_path / "jobordrer.xlsx", orders(3))
    lock = tmp_path / "~$jobordrer.xlsx"
    lock.touch()
    report = struer.publish(path)
    assert counts(report) == (1, 0, 2)
    assert {refusal.problem for refusal in report.refusals} == {"locked"}
    assert "Luk arket" in messages(report)
    assert report.exit_status == 1
    lock.unlink()
    assert counts(struer.publish(path)) == (2, 1, 0)


# --- crashes and lost memory --------------------------------------------------------------------


class Killed(BaseException):
    """The process dies here."""


class DyingClient(Client):
    """Dies after the gateway has acknowledged, or before anything was sent."""

    def __init__(self, publisher: Publisher, *, sent: bool) -> None:
        super().__init__(publisher.served.url, publisher.token)
        self._sent = sent

    def send(self, events: Iterable[dict[str, Any] | bytes]) -> list[Result]:
        """Die at the first request."""
        if self._sent:
            super().send(events)
        raise Killed


@pytest.mark.parametrize("sent", [True, False])
def test_a_crash_around_the_acknowledgement_sends_nothing_twice(
    struer: Publisher, tmp_path: Path, *, sent: bool
) -> None:
    """The next run sends the very same bytes, and goes on with the sheet as it is by then."""
    path, things = tmp_path / "jobordrer.xlsx", orders(3)
    with pytest.raises(Killed):
        struer.publish(write_orders(path, things), client=DyingClient(struer, sent=sent))
    things[0]["status"] = "filled"
    struer.publish(write_orders(path, things))
    states = [(event["subject"], event["data"]["status"]) for event in struer.events()]
    assert sorted(states) == sorted({*states})
    assert [status for subject, status in states if subject == "JO-1001"] == ["open", "filled"]
    assert len(states) == 4


def forget(publisher: Publisher) -> None:
    shutil.rmtree(publisher.state)


def test_lost_memory_publishes_nothing_twice(struer: Publisher, tmp_path: Path) -> None:
    """The gateway knows where each thing stands; after an A-B-A, too."""
    path, things = tmp_path / "jobordrer.xlsx", orders(3)
    for title in ("A", "B", "A"):
        things[1]["title"] = title
        struer.publish(write_orders(path, things))
    before = struer.events()
    forget(struer)
    report = struer.publish(path)
    assert (report.accepted, report.duplicates) == (0, 3)
    assert struer.events() == before
    assert counts(struer.publish(path)) == (0, 3, 0)


@pytest.mark.parametrize("last", ["C", "A"])
def test_a_change_made_while_the_memory_was_lost_is_published(struer: Publisher, tmp_path: Path, last: str) -> None:
    """To something new, or back to what it was before: the gateway's newest state is what counts."""
    path, things = tmp_path / "jobordrer.xlsx", orders(2)
    for title in ("A", "B", None, last):
        if title is None:
            forget(struer)
        else:
            things[0]["title"] = title
            report = struer.publish(write_orders(path, things))
    assert (report.accepted, report.duplicates) == (1, 1)
    states = [event for event in struer.events() if event["subject"] == "JO-1001"]
    assert [event["data"]["title"] for event in states] == ["A", "B", last]
    assert parse_time(states[-1]["time"]) > parse_time(states[-2]["time"])


def test_two_machines_with_one_sheet_publish_each_change_once(struer: Publisher, tmp_path: Path) -> None:
    """Two colleagues, each with a memory of their own, run one after another."""
    colleague = Publisher(struer.served, struer.token, tmp_path / "kollegas", struer.system)
    path, things = tmp_path / "jobordrer.xlsx", orders(2)
    for title in ("A", "B", "A", "C"):
        things[0]["title"] = title
        write_orders(path, things)
        struer.publish(path)
        assert colleague.publish(path).accepted == 0
    assert colleague.publish(write_orders(path, orders(2))).accepted == 1
    assert struer.publish(path).accepted == 0
    assert len(struer.events()) == 6


def test_a_damaged_memory_says_what_to_do(struer: Publisher, tmp_path: Path) -> None:
    """Nothing is sent; moved away, it is found out anew."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(1))
    struer.publish(path)
    (struer.state / STORE_NAME).write_bytes(b"ikke en database" * 100)
    report = struer.publish(path)
    assert (report.exit_status, report.failure is not None) == (3, True)
    assert "--state" in messages(report)


def test_another_gateway_at_the_same_address_is_told_apart(
    struer: Publisher, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A new instance knows nothing, so all is published there: memory goes by the instance's name."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(2))
    struer.publish(path)
    with serving(tmp_path_factory.mktemp("anden")) as other:
        token = bearer(other.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        there = Publisher(other, token, struer.state, struer.system)
        assert there.publish(path).accepted == 2
    assert counts(struer.publish(path)) == (0, 2, 0)


# --- whole events -------------------------------------------------------------------------------


def test_whole_events_are_published_as_they_are(struer: Publisher, tmp_path: Path) -> None:
    """One event, an array, one a line; again they are duplicates, whatever file they come from."""
    events = [an_event(source=f"urn:kommunebro:0671:{struer.system}") for _ in range(4)]
    for event in events:
        event["id"] += struer.system
    one, array, lines = tmp_path / "en.json", tmp_path / "flere.json", tmp_path / "linjer.ndjson"
    one.write_text(json.dumps(events[0], indent=2))
    array.write_text("\ufeff" + json.dumps(events[1:3]))
    lines.write_text("".join(json.dumps(event) + "\r\n\r\n" for event in events))
    report = struer.publish(one, array, lines)
    assert (report.accepted, report.duplicates, report.refused, report.rows) == (4, 3, 0, 7)
    assert [event["id"] for event in struer.events()] == [event["id"] for event in events]


def test_bad_events_do_not_spoil_the_good_ones(struer: Publisher, tmp_path: Path) -> None:
    """By line, in Danish; what only the gateway can know comes back from there."""
    good, other = an_event(source=f"urn:kommunebro:0671:{struer.system}"), an_event("0657")
    wrong = an_event(data__status="klar")
    wrong["data"]["company"]["cvr"] = "12345678"
    path = tmp_path / "linjer.ndjson"
    path.write_text("\n".join(["{", json.dumps(wrong), json.dumps(other), json.dumps(good), '{"id": 1}', "[]"]))
    report = struer.publish(path)
    assert (report.accepted, report.refused, report.exit_status) == (1, 5, 1)
    by_row = {refusal.row: refusal.problem for refusal in report.refusals}
    assert by_row == {1: "unreadable", 2: "schema-violation", 3: "another-source", 5: "not-an-event", 6: "not-an-event"}


# --- on Kafka -----------------------------------------------------------------------------------


def test_the_same_holds_on_kafka(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> None:
    """Once, changed, changed back, and with the memory lost: nothing twice, nothing missing."""
    config = tmp_path / "kommunebro.toml"
    config.write_text(f'[kafka]\nprefix = "{kafka_prefix}"\n')
    with serving(tmp_path / "data", "--kafka", kafka_bootstrap, "--config", str(config)) as gateway:
        token = bearer(gateway.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        struer = Publisher(gateway, token, tmp_path / "husket")
        path, things = tmp_path / "jobordrer.xlsx", orders(3)
        for title in ("A", "B", "A"):
            things[0]["title"] = title
            struer.publish(write_orders(path, things))
        forget(struer)
        things[1]["title"] = "C"
        report = struer.publish(write_orders(path, things))
        assert (report.accepted, report.duplicates, report.refused) == (1, 2, 0)
        titles = [event["data"]["title"] for event in struer.events() if event["subject"] == "JO-1001"]
        assert (titles, len(struer.events())) == (["A", "B", "A"], 6)
