"""What is refused, and in which words: every message says where, and what to do."""

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from kommunebro import Client
from municipality_connectors.mapping.sheet_types import CHANGED_TITLE, sheet_type
from municipality_connectors.report import PublishReport, Refusal
from municipality_connectors.running.publishing import publish_files, validate_files
from municipality_connectors.sheets.writing import csv_bytes, workbook_bytes
from schemas.identifiers import EventName
from schemas.registry import Registry
from tests.connectors.conftest import Publisher
from tests.connectors.sheets import JOB_ORDERS, header_and_rows, messages, orders, set_cells, write_orders, write_rows
from tests.processes import bearer

REGISTRY = Registry.load()
CPR = "010190-1234"


def validated(*paths: Path) -> PublishReport:
    return validate_files(paths, registry=REGISTRY)


def only(report: PublishReport) -> Refusal:
    [refusal] = report.refusals
    return refusal


def order_sheet(tmp_path: Path, **cells: Any) -> Path:
    """A sheet of three orders; `cells` go into the second row's columns, by title."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(3))
    set_cells(path, {(3, title): value for title, value in cells.items()})
    return path


@pytest.mark.parametrize(
    ("title", "value", "problem", "words"),
    [
        ("Status", "Klar", "bad-cell", "Skriv en af: Åben"),
        ("Titel", None, "required", "»Titel« skal udfyldes."),
        ("Titel", "x" * 101, "schema-violation", "højst have 100 tegn"),
        ("Antal stillinger", 0, "schema-violation", "mindst 1"),
        ("Antal stillinger", "flere", "bad-cell", "ikke et tal"),
        ("CVR-nummer", 93100019, "schema-violation", "Nummeret i 'CVR-nummer' findes ikke: kontrolcifferet"),
        ("CVR-nummer", "931000", "bad-cell", "8 cifre"),
        ("Arbejdsstedets kommune", "9999", "schema-violation", "kommunekode"),
        ("Startdato", "31-02-2027", "bad-cell", "ikke en dato"),
        ("Beskrivelse", f"Borgeren {CPR} kan begynde", "citizen-number", "CPR-nummer"),
        ("Krav", f"Kørekort; {CPR}", "citizen-number", "CPR-nummer"),
        ("Status", CPR, "bad-cell", "Skriv en af"),
        ("Id", "nr. 7/2026", "bad-cell", "kan ikke bruges som id"),
        ("Id", '="JO-"&ROW()', "bad-cell", "formel"),
        ("Titel", '="x"', "bad-cell", "ikke er regnet ud"),
    ],
)
def test_a_wrong_cell_is_told_by_sheet_row_and_column(
    tmp_path: Path, title: str, value: Any, problem: str, words: str
) -> None:
    """The other rows go on; no citizen's number is repeated anywhere in the report."""
    report = validated(order_sheet(tmp_path, **{title: value}))
    refusal = only(report)
    assert (refusal.sheet, refusal.row, refusal.column) == ("Jobordrer", 3, title)
    assert refusal.cell is not None
    assert refusal.cell.endswith("3")
    assert refusal.problem == problem
    assert words in refusal.message
    assert (report.valid, report.refused, report.exit_status) == (2, 1, 1)
    assert "1234" not in str(report.as_json())


def test_a_row_with_several_faults_counts_once(tmp_path: Path) -> None:
    """But each fault has its line."""
    report = validated(order_sheet(tmp_path, **{"Status": "Klar", "Titel": None, "CVR-nummer": None}))
    assert (report.refused, len(report.refusals)) == (1, 3)


def test_rows_that_share_an_id_are_refused_both(tmp_path: Path) -> None:
    """Nobody but their owner knows which one is meant."""
    things = orders(3)
    things[2]["jobOrderId"] = "JO-1001"
    report = validated(write_orders(tmp_path / "jobordrer.xlsx", things))
    assert {(refusal.row, refusal.problem) for refusal in report.refusals} == {(2, "duplicate-id"), (4, "duplicate-id")}
    assert "række 4" in report.refusals[0].message
    assert report.valid == 1


def test_one_id_with_two_contents_in_two_files_is_refused_in_the_second(tmp_path: Path) -> None:
    """They would replace each other at every run; the same row twice is no fault."""
    first, second = tmp_path / "jobordrer-a.csv", tmp_path / "jobordrer-b.csv"
    things = orders(2)
    write_orders(first, things)
    things[0]["title"] = "Noget andet"
    write_orders(second, things)
    report = validated(first, second)
    assert (only(report).row, only(report).file, only(report).problem) == (2, str(second), "duplicate-id")
    assert report.unchanged == 1


# --- whole files and sheets ---------------------------------------------------------------------


def _empty(tmp_path: Path) -> Path:
    return write_orders(tmp_path / "jobordrer.xlsx", [])


def _wrong_sheet(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "a.xlsx", ["Id", "Titel"], [["1", "A"]], "Ark1")


def _changed_header(tmp_path: Path) -> Path:
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(1))
    set_cells(path, {(1, "Titel"): "Stillingens overskrift"})
    return path


def _misspelt_header(tmp_path: Path) -> Path:
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(1))
    set_cells(path, {(1, "Beskrivelse"): "Beskrivlse"})
    return path


def _broken_quote(tmp_path: Path) -> Path:
    path = write_orders(tmp_path / "jobordrer.csv", orders(2))
    path.write_bytes(path.read_bytes().replace(b"JO-1002", b'"JO-1002'))
    return path


def _unknown_csv(tmp_path: Path) -> Path:
    path = tmp_path / "udtraek.csv"
    path.write_text("Dato;Beløb\r\n1;2\r\n")
    return path


def _empty_json(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text("[]")
    return path


def _broken_json(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    return path


def _long_line(tmp_path: Path) -> Path:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"x" * 2_000_000)
    return path


@pytest.mark.parametrize(
    ("make", "problem", "words"),
    [
        (_empty, "empty-sheet", "Arket er tomt"),
        (_wrong_sheet, "wrong-sheet", "»Jobordrer«"),
        (_changed_header, "changed-header", "Kolonnen »Titel« mangler."),
        (_misspelt_header, "changed-header", "»Beskrivlse« skal måske hedde »Beskrivelse«"),
        (_broken_quote, "broken-quote", "række 3"),
        (_unknown_csv, "wrong-sheet", "jobordrer.csv"),
        (_empty_json, "empty-sheet", "Filen er tom"),
        (_broken_json, "unreadable", ".ndjson"),
        (_long_line, "too-large", "Linje 1"),
        (lambda folder: folder / "findes-ikke.json", "missing-file", "findes ikke"),
        (lambda folder: folder / "findes-ikke.ndjson", "missing-file", "findes ikke"),
        (lambda folder: folder, "wrong-format", ".xlsx"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_message_and_the_rest_goes_on(
    tmp_path: Path, make: Any, problem: str, words: str
) -> None:
    """What is wrong with the whole of it, and the file after it is read all the same."""
    other = tmp_path / "andre"
    other.mkdir()
    report = validated(make(tmp_path), write_orders(other / "jobordrer.csv", orders(2)[1:]))
    refusal = only(report)
    assert refusal.problem == problem
    assert words in refusal.message
    assert (report.valid, report.exit_status) == (1, 1)


def test_a_workbook_of_several_sheets_is_read_whole(tmp_path: Path) -> None:
    """A fault in one sheet does not stop the other; a sheet that is not ours is named."""
    path = write_orders(tmp_path / "alt.xlsx", orders(1))
    workbook = load_workbook(path)
    workbook.create_sheet("Svar").append(["Id", "Svar"])
    workbook.create_sheet("Budget").append(["Id", "Kroner"])
    workbook.save(path)
    report = validated(path)
    assert (report.valid, only(report).sheet, only(report).problem) == (1, "Svar", "changed-header")
    assert "»Budget«" in messages(report)


def test_a_csv_file_is_known_by_its_name_or_by_its_header(tmp_path: Path) -> None:
    """Whatever it is called, when the titles tell what it holds."""
    for sheet in map(sheet_type, EventName):
        for name in (f"{sheet.file_name}-2026.csv", f"{sheet.worksheet} uge 47.csv", "udtraek.csv"):
            (tmp_path / name).write_bytes(csv_bytes(sheet, []))
            assert only(validated(tmp_path / name)).problem == "empty-sheet"


def test_validation_writes_no_ids(tmp_path: Path) -> None:
    """It says what `publish` would write, and leaves the sheet alone."""
    things = orders(1)
    things[0]["jobOrderId"] = ""
    path = write_orders(tmp_path / "jobordrer.csv", things)
    before = path.read_bytes()
    report = validated(path)
    assert (report.valid, report.filled, report.exit_status) == (1, 0, 0)
    assert "publish skriver dem" in messages(report)
    assert path.read_bytes() == before


def test_a_bare_sheet_with_only_the_required_columns_is_enough(tmp_path: Path) -> None:
    """Nobody has to have fifty columns."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    kept = [place for place, column in enumerate(JOB_ORDERS.columns) if column.required]
    path = write_rows(tmp_path / "a.xlsx", [header[place] for place in kept], [[row[place] for place in kept]])
    report = validated(path)
    assert (report.valid, report.refusals) == (1, [])


# --- what the gateway refuses -------------------------------------------------------------------


def test_what_the_gateway_refuses_comes_back_by_row(struer: Publisher, tmp_path: Path) -> None:
    """The check digit of CVR numbers is the gateway's setting, so its answer counts."""
    report = struer.publish(order_sheet(tmp_path, **{"CVR-nummer": 93100019}))
    refusal = only(report)
    assert (refusal.row, refusal.column, refusal.problem) == (3, "CVR-nummer", "schema-violation")
    assert "kontrolcifferet" in refusal.message
    assert (report.accepted, report.refused) == (2, 1)
    assert struer.publish(order_sheet(tmp_path)).accepted == 1


def test_a_row_changed_in_the_future_is_refused(struer: Publisher, tmp_path: Path) -> None:
    """A clock that is wrong, or a slip in the column for changes."""
    header, [row] = header_and_rows(JOB_ORDERS, orders(1))
    path = write_rows(tmp_path / "a.xlsx", [*header, CHANGED_TITLE], [[*row, "01-01-2090 12:00"]])
    refusal = only(struer.publish(path))
    assert (refusal.row, refusal.problem) == (2, "time-in-future")
    assert "Ændret" in refusal.message


@pytest.mark.parametrize(
    ("url", "bad_token", "problem", "words"),
    [
        ("http://127.0.0.1:9", None, "gateway-unavailable", "Kører den"),
        (None, "a.b.c", "unauthorized", "nyt token"),
    ],
)
def test_a_gateway_that_cannot_be_had_is_one_message(
    struer: Publisher, tmp_path: Path, url: str | None, bad_token: str | None, problem: str, words: str
) -> None:
    """Wrong address, wrong token: exit status 3, and nothing is lost."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(1))
    client = Client(url or struer.served.url, bad_token or struer.token, patience_s=1.0)
    report = struer.publish(path, client=client)
    assert report.failure is not None
    assert (report.failure.problem, report.exit_status) == (problem, 3)
    assert words in report.failure.message
    assert struer.publish(path).accepted == 1


def test_a_token_without_the_role_is_one_message(struer: Publisher, tmp_path: Path) -> None:
    """A reader's token."""
    reader = bearer(struer.served.data, "0671", "reader")["Authorization"].removeprefix("Bearer ")
    report = struer.publish(
        write_orders(tmp_path / "jobordrer.xlsx", orders(1)), client=Client(struer.served.url, reader)
    )
    assert report.failure is not None
    assert (report.failure.problem, report.exit_status) == ("forbidden", 3)
    assert "publisher" in report.failure.message


def test_another_participants_token_is_one_message_and_sets_nothing_aside(struer: Publisher, tmp_path: Path) -> None:
    """The token decides whose rows they are; no row is wrong, and with the right one all are sent."""
    path = tmp_path / "svar.xlsx"
    path.write_bytes(workbook_bytes(JOB_ORDERS, orders(2)))
    with Client(struer.served.url, struer.token) as client:
        report = publish_files([path], client=client, participant="0657", state_folder=struer.state, registry=REGISTRY)
    assert report.failure is not None
    assert (report.failure.problem, report.refusals, report.waiting) == ("another-source", [], 2)
    assert "Brug et token til 0657" in report.failure.message
    right = bearer(struer.served.data, "0657", "publisher")["Authorization"].removeprefix("Bearer ")
    with Client(struer.served.url, right) as client:
        report = publish_files([path], client=client, participant="0657", state_folder=struer.state, registry=REGISTRY)
    assert (report.accepted, report.exit_status) == (2, 0)
