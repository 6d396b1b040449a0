"""Slips of a first afternoon with a connector: each is told where it was made, before anything is lost by it."""

import json
import os
from pathlib import Path

import pytest

from kommunebro import Client
from municipality_connectors.connecting import run_once
from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from municipality_connectors.new.making import Given
from municipality_connectors.new.proposing import squeezed
from municipality_connectors.presentation import run_in_a_line
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources.folders import Files
from tests.connectors.conftest import ORDER_FIELDS, REGISTRY, Desk
from tests.connectors.sheets import messages
from tests.connectors.test_connecting import counts, order, write_csv
from tests.connectors.test_new import made
from tests.processes import bearer

pytestmark = pytest.mark.usefixtures("at_once")
CSV = 'kind = "csv"\npath = "ordrer.csv"'


def faults(path: Path) -> str:
    """Return what is wrong with a connector file."""
    with pytest.raises(ConnectorFileWrong) as raised:
        load_connector(path)
    return str(raised.value)


def test_a_token_of_another_municipality_sets_nothing_aside(desk: Desk) -> None:
    """One message; with the right token all of it is sent."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2)])
    connector = load_connector(desk.folder / "ordrer.toml")
    other = bearer(desk.served.data, "0657", "publisher")["Authorization"].removeprefix("Bearer ")
    report = run_once(connector, other, habits=Habits(), registry=REGISTRY, patience_s=0.0)
    assert (report.refusals, report.set_aside, report.waiting, report.exit_status) == ([], 0, 2, 3)
    assert "Brug et token til 0671" in messages(report)
    assert counts(desk.run()) == (2, 2, 0)
    assert desk.states() == [("1", "open"), ("2", "open")]


def test_what_the_gateway_refused_is_told_at_every_run_by_the_sources_own_column(desk: Desk) -> None:
    """Not as unchanged; how to see it, too."""
    desk.write(CSV, ORDER_FIELDS.replace('company.cvr = { value = "93100018" }', 'company.cvr = "Fag"'))
    write_csv(desk.folder / "ordrer.csv", [order(1, Fag="12345678"), order(2, Fag="93100018")])
    report = desk.run()
    assert (counts(report), report.refusals[0].column) == ((1, 0, 1), "Fag")
    report = desk.run()
    assert (counts(report), report.still_refused, report.exit_status) == ((0, 1, 0), 1, 1)
    assert "1 afvist som før" in run_in_a_line(report)
    assert "kommunebro connect refused" in messages(report)


def test_a_look_is_as_strict_as_the_gateway(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A CVR number's check digit, say."""
    from municipality_connectors import connect_command  # noqa: PLC0415

    desk.write(CSV, ORDER_FIELDS.replace('company.cvr = { value = "93100018" }', 'company.cvr = "Fag"'))
    write_csv(desk.folder / "ordrer.csv", [order(1, Fag="12345678"), order(2, Fag="93100018")])
    assert connect_command.dry_run(desk.folder / "ordrer.toml", as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["new"], told["refused"], told["refusals"][0]["column"]) == (1, 1, "Fag")


@pytest.mark.parametrize(
    ("content", "words"), [("", "er tom"), ("\n \n", "er tom"), ("hemmeligt\nog mere", "flere linjer")]
)
def test_an_empty_token_file_is_told_by_its_name(desk: Desk, content: str, words: str) -> None:
    """Not as a gateway that does not answer."""
    path = desk.write(CSV)
    (desk.folder / "token").write_text(content)
    path.write_text(path.read_text("utf-8").replace("[gateway]", '[gateway]\ntoken-file = "token"'), "utf-8")
    assert words in faults(path)
    assert "gateway.token-file" in faults(path)


@pytest.mark.parametrize("url", ["127.0.0.1:8091", "http://127.0.0.1:8091/v1", "http://", "http://a:b", "ftp://a"])
def test_an_address_that_is_none_is_told_before_it_is_asked(desk: Desk, url: str) -> None:
    """With its place in the file."""
    desk.url = url
    told = faults(desk.write(CSV))
    assert "gateway.url: Skriv gatewayens adresse som" in told


def test_a_key_that_is_none_is_counted_as_a_person_counts(desk: Desk) -> None:
    """And the one that may be meant is named."""
    told = faults(desk.write(CSV, f'wroksheet = "Sager"\n{ORDER_FIELDS}'))
    assert "publish.1.wroksheet: Kendes ikke her. Mente du worksheet?" in told


def test_numbers_with_a_slash_become_ids(desk: Desk) -> None:
    """As the rule says; `connect new` proposes it."""
    ours = 'jobOrderId = { from = "Sagsnr", replace = { "/" = "-" } }'
    desk.write(CSV, ORDER_FIELDS.replace('jobOrderId = "Sagsnr"', ours))
    write_csv(desk.folder / "ordrer.csv", [["2026/100", *order(1)[1:]]])
    assert counts(desk.run()) == (1, 0, 0)
    assert desk.states() == [("2026-100", "open")]
    (desk.folder / "nye.csv").write_text("Ordrenr;Virksomhed\n2026/100;A\n2026/101;B\n", "utf-8")
    _, shown, text = made(desk.folder, Given("nye.csv", "0671", "opera", type="job-order"))
    assert 'jobOrderId = { from = "Ordrenr", replace = { "/" = "-" } }' in text
    assert "bruges ikke" not in shown


def test_pay_is_not_taken_for_hours(tmp_path: Path) -> None:
    """A point in a heading ends an abbreviation; what is not used is listed."""
    assert squeezed("Løn pr. time") == "loenprtime"
    assert squeezed("company.cvr") == "cvr"
    (tmp_path / "a.csv").write_text("Ordrenr;Løn pr. time\n1;165,50\n", "utf-8")
    _, shown, text = made(tmp_path, Given("a.csv", "0671", "opera", type="job-order"))
    assert "hoursPerWeek" not in text
    assert "Disse kolonner bruges ikke: Løn pr. time." in shown


def test_dates_of_which_some_are_none_are_not_said_to_be_unreadable(tmp_path: Path) -> None:
    """One of them is shown."""
    (tmp_path / "a.csv").write_text("Ordrenr;Startdato\n1;3. marts 2027\n2;snarest\n", "utf-8")
    _, _, text = made(tmp_path, Given("a.csv", "0671", "opera", type="job-order"))
    assert "Nogle af rækkerne har ingen dato, fx »snarest«" in text


def test_only_a_connectors_own_files_are_watched(tmp_path: Path) -> None:
    """Its log may lie beside them."""
    single, several = (Files.written(path, tmp_path, 0.0) for path in ("ordrer.csv", "*.csv"))
    before = single.seen(), several.seen()
    (tmp_path / "tjeneste.log").write_text("linje")
    (tmp_path / "~$ordrer.csv").write_text("åben")
    assert (single.seen(), several.seen()) == before
    (tmp_path / "ordrer.csv").write_text("a")
    assert single.seen() != before[0]
    assert several.seen() != before[1]
    now = single.seen()
    os.utime(tmp_path / "ordrer.csv", (1, 1))
    assert single.seen() != now


def test_a_connector_that_only_delivers_is_listed_too(desk: Desk) -> None:
    """Its token may only read."""
    path = desk.folder / "ind.toml"
    path.write_text(
        f'name = "ind"\nparticipant = "0657"\nsystem = "{desk.system}"\nstate = "husket"\n[gateway]\n'
        f'url = "{desk.served.url}"\n[[deliver]]\nto = "json"\ntype = "job-order"\npath = "delt"\n'
    )
    reader = bearer(desk.served.data, "0657", "reader")["Authorization"].removeprefix("Bearer ")
    report = run_once(load_connector(path), reader, habits=Habits(), registry=REGISTRY, patience_s=0.0)
    assert report.exit_status == 0, messages(report)
    with Client(desk.served.url, reader) as client:
        assert [told["state"] for told in client.connectors() if told["system"] == desk.system] == ["well"]
    other = bearer(desk.served.data, "0671", "reader")["Authorization"].removeprefix("Bearer ")
    with Client(desk.served.url, other) as client:
        assert [told for told in client.connectors() if told["system"] == desk.system] == []


def test_two_deliveries_into_one_file_are_refused(tmp_path: Path) -> None:
    """Each would write the file without the rows of the other."""
    delivered = '[[deliver]]\nname = "{}"\ntype = "job-order"\nto = "csv"\npath = "{}"\n'
    path = tmp_path / "a.toml"
    head = 'name = "a"\nparticipant = "0671"\nsystem = "x"\n'
    path.write_text(head + delivered.format("en", "delt.csv") + delivered.format("to", "./delt.csv"), "utf-8")
    with pytest.raises(ConnectorFileWrong, match=r"\[\[deliver\]\] nr. 1, og hver ville slette"):
        load_connector(path)
    path.write_text(head + delivered.format("en", "delt.csv") + delivered.format("to", "andre.csv"), "utf-8")
    assert len(load_connector(path).deliveries) == 2
