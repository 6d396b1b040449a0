"""A connector over files, against a real gateway: what is new, changed, gone, refused, and what waits."""

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from municipality_connectors.connecting import store_of
from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.report import PublishReport
from municipality_connectors.sources import folders
from tests.connectors.conftest import ORDER_FIELDS, ORDER_HEADER, Desk
from tests.connectors.sheets import column_of, messages, orders, write_orders, write_rows
from tests.processes import bearer, free_port, start

Rows = Sequence[Sequence[Any]]
CSV = 'kind = "csv"\npath = "ordrer.csv"'
EXCEL = 'kind = "excel"\npath = "ordrer.xlsx"'


pytestmark = pytest.mark.usefixtures("at_once")


def order(number: int, status: str = "A", **changes: Any) -> list[Any]:
    """Return a row."""
    row = {"Sagsnr": str(number), "Status": status, "Overskrift": f"Ordre {number}", "Fag": "Klejnsmed", "Antal": "2"}
    return list((row | changes).values())


def write_csv(path: Path, rows: Rows, header: Sequence[str] = ORDER_HEADER) -> Path:
    """Write a file as Excel in Denmark does."""
    with path.open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";").writerows([header, *rows])
    return path


def counts(report: PublishReport) -> tuple[int, int, int]:
    """Sent, unchanged, refused."""
    return report.accepted, report.unchanged, report.refused


def test_a_table_of_ones_own_becomes_events_once(desk: Desk) -> None:
    """New, unchanged, changed: each is published once, with the time at which it was noticed."""
    desk.write(CSV)
    path = write_csv(desk.folder / "ordrer.csv", [order(1), order(2)])
    assert counts(desk.run()) == (2, 0, 0)
    assert counts(desk.run()) == (0, 2, 0)
    write_csv(path, [order(2, "B"), order(1), order(3)])
    assert counts(desk.run()) == (2, 1, 0)
    assert desk.states() == [("1", "open"), ("2", "open"), ("2", "filled"), ("3", "open")]
    assert desk.events()[0]["source"] == f"urn:kommunebro:0671:{desk.system}"


def test_a_workbook_goes_the_same_way(desk: Desk) -> None:
    """With the worksheet that is named, or the only one there is, and its headings further down."""
    desk.write(EXCEL, f'worksheet = "Sager"\nheader-row = 3\n{ORDER_FIELDS}')
    rows: Rows = [["Udtræk 26-11-2026"], [], ORDER_HEADER, order(1), order(2)]
    write_rows(desk.folder / "ordrer.xlsx", rows[0], rows[1:], "Sager")
    assert counts(desk.run()) == (2, 0, 0)
    desk.write(EXCEL, f'worksheet = "Ordrer"\n{ORDER_FIELDS}')
    report = desk.run()
    assert (report.exit_status, "arket »Ordrer«; den har »Sager«" in messages(report)) == (1, True)


def test_an_unchanged_file_is_dismissed_unread_and_its_faults_are_told_again(desk: Desk) -> None:
    """Until the file, or the connector file, is another."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2, "Q")])
    first, second = desk.run(), desk.run()
    assert (counts(first), counts(second)) == ((1, 0, 1), (0, 1, 1))
    assert (second.refusals, second.exit_status) == (first.refusals, 1)
    [refusal] = first.refusals
    assert (refusal.row, refusal.column, refusal.cell) == (3, "Status", "B3")
    desk.write(CSV, ORDER_FIELDS.replace('B = "filled"', 'B = "filled", Q = "paused"'))
    assert counts(desk.run()) == (1, 1, 0)


def test_a_look_shows_what_would_happen_and_changes_nothing(desk: Desk) -> None:
    """New and changed things, the first as they would be published, and rows that would be refused."""
    desk.write(CSV)
    path = write_csv(desk.folder / "ordrer.csv", [order(1), order(2, "Q")])
    report = desk.look()
    assert (report.new, report.refused, report.accepted) == (1, 1, 0)
    assert report.planned[0].subject == "1"
    assert (desk.events(), (desk.folder / "husket").exists()) == ([], False)
    desk.run()
    write_csv(path, [order(1, "B"), order(3)])
    report = desk.look()
    assert (report.new, report.changed, report.unchanged) == (1, 1, 0)
    assert desk.states() == [("1", "open")]


# --- rows that are gone -----------------------------------------------------------------------------


def withdrawing(**changes: str) -> str:
    """Return a mapping that asks for what is gone to be taken back."""
    more = "\n".join(f"{key.replace('_', '-')} = {value}" for key, value in changes.items())
    return f'vanished = "withdraw"\n{more}\n{ORDER_FIELDS}'


def test_a_row_that_is_gone_means_nothing_unless_asked_for(desk: Desk) -> None:
    """A file may be cut off; a partner's candidates are not."""
    desk.write(CSV)
    path = write_csv(desk.folder / "ordrer.csv", [order(number) for number in range(20)])
    desk.run()
    write_csv(path, [order(number) for number in range(19)])
    assert counts(desk.run()) == (0, 19, 0)


def test_a_row_that_is_gone_is_taken_back_where_the_file_asks_for_it(desk: Desk) -> None:
    """Once, with the thing's last state; it may come back. One that is closed has nothing to be taken back."""
    desk.write(CSV, withdrawing())
    path = write_csv(desk.folder / "ordrer.csv", [*(order(number) for number in range(20)), order(20, "B")])
    desk.run()
    write_csv(path, [order(number) for number in range(1, 20)])
    assert (desk.look().withdrawn, desk.run().withdrawn, desk.run().withdrawn) == (1, 1, 0)
    last = desk.events()[-1]
    assert (last["subject"], last["data"]["status"], last["data"]["title"]) == ("0", "withdrawn", "Ordre 0")
    write_csv(path, [order(number) for number in range(20)])
    assert counts(desk.run()) == (1, 19, 0)
    assert desk.states()[-1] == ("0", "open")


def test_more_than_a_tenth_at_once_is_asked_about(desk: Desk) -> None:
    """Nothing is taken back, the rest goes on; a person can say that it is right."""
    desk.write(CSV, withdrawing())
    path = write_csv(desk.folder / "ordrer.csv", [order(number) for number in range(20)])
    desk.run()
    write_csv(path, [*(order(number) for number in range(17)), order(99)])
    report = desk.run()
    assert (report.withdrawn, report.asked, report.accepted, report.exit_status) == (0, 3, 1, 1)
    assert "3 af 21 sager" in messages(report)
    assert "--withdraw" in messages(report)
    assert desk.run(withdraw_all=True).withdrawn == 3
    assert desk.run().exit_status == 0


def test_a_file_that_is_empty_takes_nothing_back_and_nobody_is_told_to_insist(desk: Desk) -> None:
    """Not even a person can say that it is right: it is the wrong file, or half a one."""
    desk.write(CSV, withdrawing())
    path = write_csv(desk.folder / "ordrer.csv", [order(number) for number in range(3)])
    desk.run()
    write_csv(path, [])
    for insisting in (False, True):
        report = desk.run(withdraw_all=insisting)
        assert (report.withdrawn, report.exit_status) == (0, 1)
        assert "3 sager står ikke længere i kilden" in messages(report)
        assert "--withdraw" not in messages(report)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: write_csv(path, []),
        lambda path: path.write_bytes(path.read_bytes()[:200] + b'"'),
        lambda path: write_csv(path, [order(1)], header=("Sag", *ORDER_HEADER[1:])),
        lambda path: write_csv(path, [["", *order(1)[1:]], *(order(number) for number in range(2, 21))]),
    ],
    ids=["empty", "missing", "header alone", "cut off", "other header", "a row without its id"],
)
def test_nothing_is_taken_back_because_a_file_is_damaged(desk: Desk, damage: Any) -> None:
    """Even where the file asks for it, and any share would do."""
    desk.write(CSV, withdrawing(withdraw_at_most="1.0"))
    path = write_csv(desk.folder / "ordrer.csv", [order(number) for number in range(1, 21)])
    desk.run()
    damage(path)
    report = desk.run()
    assert (report.withdrawn, report.exit_status) == (0, 1)
    assert len(desk.events()) == 20


def test_a_source_can_say_itself_what_is_gone(desk: Desk) -> None:
    """A row that is marked as deleted takes its thing back."""
    header = (*ORDER_HEADER, "Slettet")
    desk.write(CSV, f'withdrawn = {{ column = "Slettet", is = "ja" }}\n{ORDER_FIELDS}')
    path = write_csv(desk.folder / "ordrer.csv", [[*order(1), ""], [*order(2), "nej"]], header)
    desk.run()
    write_csv(path, [[*order(1), "JA"], [*order(2), "nej"]], header)
    assert desk.run().withdrawn == 1
    assert desk.states()[-1] == ("1", "withdrawn")


# --- a folder ---------------------------------------------------------------------------------------


def test_a_folder_is_read_file_by_file(desk: Desk) -> None:
    """One that is damaged does not hold up the others; Excel's lock files and other files are none of ours."""
    (desk.folder / "ind").mkdir()
    desk.write('kind = "csv"\npath = "ind/*.csv"')
    write_csv(desk.folder / "ind" / "a.csv", [order(1)])
    (desk.folder / "ind" / "b.csv").write_bytes(b'Sagsnr;Status;Overskrift;Fag;Antal\n"1;A\n')
    write_csv(desk.folder / "ind" / "c.csv", [order(3)])
    (desk.folder / "ind" / "~$a.csv").write_bytes(b"lock")
    report = desk.run()
    assert (report.accepted, report.refused) == (2, 1)
    assert "Et citationstegn passer ikke" in messages(report)
    write_csv(desk.folder / "ind" / "b.csv", [order(2)])
    assert counts(desk.run()) == (1, 2, 0)


def test_two_files_that_disagree_on_a_thing_are_told_also_when_one_is_as_it_was(desk: Desk) -> None:
    """They would replace each other at every run."""
    (desk.folder / "ind").mkdir()
    desk.write('kind = "csv"\npath = "ind/*.csv"')
    write_csv(desk.folder / "ind" / "a.csv", [order(1)])
    desk.run()
    write_csv(desk.folder / "ind" / "b.csv", [order(1, "B"), order(2)])
    report = desk.run()
    assert (report.accepted, report.refused) == (1, 1)
    assert "a.csv, men med andet indhold" in messages(report)
    (desk.folder / "ind" / "a.csv").unlink()
    write_csv(desk.folder / "ind" / "b.csv", [order(1, "B"), order(2), order(3)])
    assert counts(desk.run()) == (2, 1, 0)


def test_a_missing_folder_and_one_without_files_are_told(desk: Desk) -> None:
    """A drive that is not connected looks like a folder that is gone."""
    desk.write('kind = "csv"\npath = "ind/*.csv"')
    assert "findes ikke" in messages(desk.run())
    (desk.folder / "ind").mkdir()
    assert "ingen filer, der passer til *.csv" in messages(desk.run())


def test_a_file_that_is_being_written_has_its_turn_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for a while; then the others' turn comes."""
    monkeypatch.setattr("municipality_connectors.connector_file.opening.opening.SETTLED_AFTER_S", 0.5)
    monkeypatch.setattr(folders, "SETTLED_WITHIN_S", 0.2)
    (desk.folder / "ind").mkdir()
    desk.write('kind = "csv"\npath = "ind/*.csv"')
    growing = write_csv(desk.folder / "ind" / "a.csv", [order(1)])
    old = write_csv(desk.folder / "ind" / "b.csv", [order(2)])
    os.utime(old, (time.time() - 60,) * 2)
    os.utime(growing, (time.time() + 0.0,) * 2)
    monkeypatch.setattr(folders.time, "sleep", lambda _s: os.utime(growing))
    report = desk.run()
    assert (report.accepted, "ved at blive skrevet" in messages(report)) == (1, True)
    monkeypatch.undo()
    monkeypatch.setattr("municipality_connectors.connector_file.opening.opening.SETTLED_AFTER_S", 0.1)
    assert desk.run().accepted == 1


# --- our own sheets are such connectors -------------------------------------------------------------


def test_a_sheet_of_ours_needs_no_mapping_and_has_its_ids_written_in(desk: Desk) -> None:
    """Only where the connector file lets us: an export of another system is left as it is."""
    things = [data | {"jobOrderId": ""} for data in orders(2)]
    path = write_orders(desk.folder / "ordrer.xlsx", things)
    desk.write(EXCEL, 'type = "job-order"')
    assert "»Id« skal udfyldes" in messages(desk.run())
    desk.write(f"{EXCEL}\nwrite-ids = true", 'type = "job-order"')
    assert counts(desk.run()) == (2, 0, 0)
    assert all(column_of(path, "Id"))
    assert counts(desk.run()) == (0, 2, 0)


def test_when_a_thing_was_registered_is_when_it_was_first_seen(desk: Desk) -> None:
    """Where the source does not say it: the same at each change, and no change by itself."""
    desk.write(CSV, ORDER_FIELDS.replace('registeredAt = { value = "20-11-2026 08:05" }', ""))
    path = write_csv(desk.folder / "ordrer.csv", [order(1)])
    now_us = desk.clock_us()
    desk.clock_us = lambda: now_us - 3_600_000_000
    desk.run()
    desk.clock_us = lambda: now_us
    write_csv(path, [order(1, "B"), order(2)])
    assert counts(desk.run()) == (2, 0, 0)
    first, second, other = (event["data"]["registeredAt"] for event in desk.events())
    assert first == second != other


def test_a_token_that_is_refused_is_told_though_nothing_is_to_be_sent(desk: Desk) -> None:
    """Else a token that has expired would be noticed with the next change only."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1)])
    assert counts(desk.run()) == (1, 0, 0)
    desk.token += "x"
    report = desk.run()
    assert (counts(report), report.exit_status) == ((0, 1, 0), 3)
    assert "godtager ikke tokenet" in messages(report)


# --- the gateway is away, or refuses ------------------------------------------------------------------


def test_what_is_new_while_the_gateway_is_away_waits_and_is_sent_in_order(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also each state of a thing that changes meanwhile, over restarts of the connector."""
    data, port = tmp_path_factory.mktemp("senere"), free_port()
    desk.url = f"http://127.0.0.1:{port}"
    desk.write(CSV)
    path = desk.folder / "ordrer.csv"
    for number, status in enumerate("ABA"):
        write_csv(path, [order(1, status), *(order(10 + place) for place in range(number + 1))])
        report = desk.run()
        assert (report.exit_status, report.accepted, "svarer ikke" in messages(report)) == (3, 0, True)
    assert report.waiting == 6
    waiting = copytree(desk.folder / "husket", desk.folder / "husket før")
    gateway = start(data, port=port)
    try:
        desk.served = gateway
        desk.token = bearer(data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        report = desk.run()
        assert (report.accepted, report.waiting, report.exit_status) == (6, 0, 0)
        assert desk.states() == [
            ("1", "open"), ("10", "open"), ("1", "filled"), ("11", "open"), ("1", "open"), ("12", "open"),
        ]  # fmt: skip
        assert [event["id"] for event in desk.events() if event["subject"] == "1"] == [
            f"job-order/1/{number}" for number in (1, 2, 3)
        ]
        # As if the answers had been lost.
        copytree(waiting, desk.folder / "husket", dirs_exist_ok=True)
        report = desk.run()
        assert (report.accepted, report.duplicates, report.waiting) == (0, 0, 0)
        assert "6 rækker, der ventede, er sendt nu." in messages(report)
        assert len(desk.states()) == 6
    finally:
        gateway.stop()


def test_what_the_gateway_refuses_is_set_aside_once_and_blocks_nobody(desk: Desk) -> None:
    """A time ahead of the gateway's clock: refused there, not here. Unchanged, it is not sent again; mended, it is."""
    header = (*ORDER_HEADER, "Opdateret")
    desk.write(CSV, f'changed = "Opdateret"\n{ORDER_FIELDS}')
    path = write_csv(desk.folder / "ordrer.csv", [[*order(1), "01-01-2036 08:00"], [*order(2), ""]], header)
    report = desk.run()
    assert counts(report) == (1, 0, 1)
    assert "ligger i fremtiden" in messages(report)
    with store_of(load_connector(desk.folder / "ordrer.toml")).looking() as store:
        assert store.database.execute("SELECT subject, problem, row FROM refused").fetchall() == [
            ("1", "time-in-future", 2)
        ]
    write_csv(path, [[*order(1), "01-01-2036 08:00"], [*order(2), ""], [*order(3), ""]], header)
    report = desk.run()
    assert (counts(report), report.still_refused, report.exit_status) == ((1, 1, 0), 1, 1)
    write_csv(path, [[*order(1), "01-11-2026 08:00"], [*order(2), ""], [*order(3), ""]], header)
    assert desk.run(again=True).accepted == 1
    with store_of(load_connector(desk.folder / "ordrer.toml")).looking() as store:
        assert store.database.execute("SELECT count(*) FROM refused").fetchone() == (0,)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("x.y.z", "det er ændret, eller udstedt af en anden gateway"), ("x", "det er ikke et helt token")],
)
def test_a_wrong_token_is_told_and_nothing_is_lost(desk: Desk, wrong: str, why: str) -> None:
    """In Danish, and the rows wait until the right one is there."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1)])
    right, desk.token = desk.token, wrong
    report = desk.run()
    assert (report.exit_status, report.waiting) == (3, 1)
    assert f"godtager ikke tokenet: {why}" in messages(report)
    desk.token = right
    assert desk.run().accepted == 1


def test_the_gateway_is_told_how_the_connector_is(desk: Desk) -> None:
    """Counts and times, and why the source could not be read; nothing that stood in it."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2, "Q")])
    desk.run()
    assert desk.told() | {"lastRun": "", "lastSeen": ""} == {
        "participant": "0671", "system": desk.system, "name": "ordrer", "state": "refusing", "lastSeen": "",
        "kind": "csv", "waiting": 0, "waitingSince": None, "refused": 1, "sent": 1, "lastRun": "", "nextRun": None,
        "problem": None,
    }  # fmt: skip
    (desk.folder / "ordrer.csv").unlink()
    desk.run()
    told = desk.told()
    assert (told["state"], told["problem"]) == ("failing", "missing-file")
