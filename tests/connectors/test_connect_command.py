"""`kommunebro connect` as it is typed: its exit status and words, and the service with its signals."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from municipality_connectors import connect_command
from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from tests.connectors.conftest import ORDER_FIELDS, Desk
from tests.connectors.test_connecting import CSV, order, write_csv
from tests.processes import ENVIRONMENT, KOMMUNEBRO, free_port, run


def connect(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verb in the desk's folder, with its token in a variable."""
    command = [KOMMUNEBRO, "connect", *arguments]
    environment = ENVIRONMENT | {"KOMMUNEBRO_TOKEN": desk.token, "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=desk.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def told(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what was printed for programs."""
    return json.loads(done.stdout)


def test_a_look_then_once_then_nothing_new(desk: Desk) -> None:
    """For a person on standard error, for a program on standard output."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2)])
    looked = connect(desk, "ordrer.toml", "--dry-run")
    assert (looked.returncode, looked.stdout) == (0, "")
    assert "Ny: job-order 1" in looked.stderr
    assert "Intet er sendt. En kørsel ville give: 2 nye" in looked.stderr
    assert told(connect(desk, "ordrer.toml", "--once", "--json"))["accepted"] == 2
    assert "0 rækker sendt, 2 uændret, 0 afvist." in connect(desk, "ordrer.toml", "--once").stderr


def test_a_sheet_need_not_wait_for_what_only_databases_need() -> None:
    """SQLAlchemy takes a fifth of the command's start."""
    code = "import municipality_connectors.connect_command, sys; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_exit_statuses(desk: Desk) -> None:
    """1 what was refused, with row and column; 3 the gateway is away; 2 what was typed wrong."""
    desk.write(CSV)
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2, "Q")])
    done = connect(desk, "ordrer.toml", "--once")
    assert (done.returncode, "Koden »Q«" in done.stderr, "Status (B3)" in done.stderr) == (1, True, True)
    away = connect(desk, "ordrer.toml", "--once", "--to", f"http://127.0.0.1:{free_port()}", "--json")
    assert (away.returncode, told(away)["waiting"], told(away)["failure"]["problem"]) == (3, 1, "gateway-unavailable")
    assert connect(desk, "ordrer.toml", "--twice").returncode == 2
    assert connect(desk, "ordrer.toml", "--once", "--to", "x").returncode == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "Filen findes ikke. Er navnet rigtigt?"),
        ("name = x", "Filen er ikke rigtig TOML i linje 1, tegn 8"),
        ('name = "', "Filen er ikke rigtig TOML i "),
        ("", "name: Skal udfyldes."),
        ('name = "Ordrer 1"', "name: Har tegn, der ikke må være der: kun a-z, 0-9 og bindestreg"),
        ('every = "5 minutter"', "every: Skal være et helt tal, eller fx 30s, 5m, 1h."),
        ('[source]\nkind = "word"', "source: Kan kun være"),
        ("[gateway]\nadresse = 1", "gateway.adresse: Kendes ikke her."),
    ],
)
def test_a_file_that_is_wrong_says_where(desk: Desk, text: str | None, message: str) -> None:
    """In Danish, everything at once, and before anything is read."""
    if text is not None:
        (desk.folder / "ordrer.toml").write_text(text, "utf-8")
    with pytest.raises(ConnectorFileWrong) as error:
        load_connector(desk.folder / "ordrer.toml")
    assert message in str(error.value)


def test_a_wrong_file_is_told_to_people_and_programs(desk: Desk) -> None:
    """With exit status 1: what was given is bad."""
    done = connect(desk, "ordrer.toml", "--dry-run")
    assert (done.returncode, "ordrer.toml kan ikke bruges" in done.stderr) == (1, True)
    answer = told(connect(desk, "ordrer.toml", "--once", "--json"))
    assert (answer["exitStatus"], answer["failure"]["problem"]) == (1, "bad-connector-file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Overskrift"', 'titel = "Overskrift"'), "fields.titel: Skriv feltets navn: title."),
        (('title = "Overskrift"', 'tite = "Overskrift"'), "har intet felt, der hedder tite. Mente du title?"),
        (('title = "Overskrift"', ""), "skal have en kolonne eller en fast værdi: title (Titel)"),
        (('title = "Overskrift"', "title = 7"), "fields.title: Skriv kolonnens navn i anførselstegn"),
        (('title = "Overskrift"', 'title = ""'), "fields.title: Skriv kolonnens navn, eller slet linjen."),
        (('title = "Overskrift"', "title = { cut = 5 }"), "siger ikke, hvor værdien kommer fra"),
        (('title = "Overskrift"', 'title = { from = "A", value = "B" }'), "kun én af python, from, template og value"),
        (('title = "Overskrift"', 'title = { from = "A", join = "," }'), "join sætter flere kolonner sammen"),
        (('title = "Overskrift"', 'title = { from = "A", part = 1 }'), "part hører til split"),
        (('title = "Overskrift"', 'title = { from = "A", otherwise = "x" }'), "otherwise hører til codes"),
        (('title = "Overskrift"', 'title = { from = "A", date = "%Y %Y" }'), "hvordan en dato skrives"),
        (('title = "Overskrift"', 'title = { fra = "A" }'), "fields.title.fra: Kendes ikke her."),
        (('A = "open"', 'A = "aaben"'), "»aaben« kan ikke bruges her. Skriv en af: Åben"),
        (('"93100018"', '"1234"'), "er ikke et CVR-nummer"),
        (('title = "Overskrift"', 'title = { python = "m.py:f" }'), "m.py findes ikke"),
        (('title = "Overskrift"', 'title = { python = "f" }'), "Skriv filen og funktionen"),
        (("[publish.fields]", 'worksheet = "x"\n[publish.fields]'), "worksheet: Bruges ikke, når kilden er csv"),
        (('type = "job-order"', 'type = "job-order"\nonly = { column = "A", er = 1 }'), "er: Kendes ikke her."),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_work_is_refused_before_anything_is_sent(
    desk: Desk, change: tuple[str, str], message: str
) -> None:
    """With the key, and what was probably meant."""
    assert change[0] in ORDER_FIELDS
    path = desk.write(CSV, ORDER_FIELDS.replace(*change))
    with pytest.raises(ConnectorFileWrong) as error:
        load_connector(path)
    assert message in str(error.value)


def test_a_function_beside_the_file_is_the_way_out(desk: Desk) -> None:
    """It sees the row by its columns; one that fails costs its row alone, and says which function it was."""
    (desk.folder / "m.py").write_text("def titel(row):\n    return row['Fag'][:2] + str(10 // int(row['Antal']))\n")
    desk.write(CSV, ORDER_FIELDS.replace('title = "Overskrift"', 'title = { python = "m.py:titel" }'))
    write_csv(desk.folder / "ordrer.csv", [order(1), order(2, Antal="0")])
    done = connect(desk, "ordrer.toml", "--once")
    assert (done.returncode, "Python-funktionen titel fejlede" in done.stderr) == (1, True)
    assert desk.states("title") == [("1", "Kl5")]


def test_what_the_gateway_refused_is_listed_mended_and_sent_again(desk: Desk) -> None:
    """By hand, where the source cannot be changed."""
    header = ("Sagsnr", "Status", "Overskrift", "Fag", "Antal", "Opdateret")
    desk.write(CSV, f'changed = "Opdateret"\n{ORDER_FIELDS}')
    write_csv(desk.folder / "ordrer.csv", [[*order(1), "01-01-2036 08:00"]], header)
    assert connect(desk, "ordrer.toml", "--once").returncode == 1
    listed = connect(desk, "refused", "ordrer.toml", "--json")
    [row] = told(listed)
    assert (row["type"], row["subject"], row["problem"], row["row"]) == ("job-order", "1", "time-in-future", 2)
    assert "1: job-order 1" in connect(desk, "refused", "ordrer.toml").stderr
    row["data"]["status"] = "aaben"
    (desk.folder / "afvist.json").write_text(json.dumps([row]), "utf-8")
    wrong = connect(desk, "send-again", "ordrer.toml", "--from", "afvist.json")
    assert (wrong.returncode, "Status" in wrong.stderr) == (1, True)
    row["data"]["status"] = "paused"
    (desk.folder / "afvist.json").write_text(json.dumps([row, row]), "utf-8")
    twice = connect(desk, "send-again", "ordrer.toml", "--from", "afvist.json")
    assert (twice.returncode, "1 venter på at blive sendt igen" in twice.stderr) == (1, True)
    assert connect(desk, "refused", "ordrer.toml").stderr.startswith("Gatewayen har ikke afvist noget.")


@pytest.mark.parametrize(
    ("mended", "told"),
    [
        ("{", "Filen er ikke JSON (linje 1, tegn"),
        ('[{"number": "1", "data": {}}]', "er ikke, hvad »connect refused --json« skriver"),
        ('[{"number": 7, "data": {"jobOrderId": "1"}}]', "7: Er ikke afvist"),
        ('[{"number": 1, "data": {}}]', "1: Sagen hedder 1, så det skal også stå i jobOrderId"),
        ('[{"number": 1, "data": {"jobOrderId": "2"}}]', "1: Sagen hedder 1, så det skal også stå i jobOrderId"),
        ('[{"number": 1, "data": {"jobOrderId": "1"}}]', "1: "),
    ],
)
def test_what_was_mended_wrongly_is_told_and_stays_set_aside(
    desk: Desk, capsys: pytest.CaptureFixture[str], mended: str, told: str
) -> None:
    """In Danish, by its number; whatever the file is, no thing becomes another by it."""
    header = ("Sagsnr", "Status", "Overskrift", "Fag", "Antal", "Opdateret")
    path, file = desk.write(CSV, f'changed = "Opdateret"\n{ORDER_FIELDS}'), desk.folder / "afvist.json"
    write_csv(desk.folder / "ordrer.csv", [[*order(1), "01-01-2036 08:00"]], header)
    assert desk.run().set_aside == 1
    file.write_text(mended, "utf-8")
    assert connect_command.send_again(path, file, to=desk.served.url) == 1
    assert told in " ".join(capsys.readouterr().err.split())
    assert connect_command.refused(path, to=desk.served.url) == 0
    assert "1 afvist." in capsys.readouterr().err


def test_a_new_file_is_proposed_from_the_command_line(desk: Desk) -> None:
    """Without anybody to ask, what is missing is a question of the command line."""
    write_csv(desk.folder / "ordrer.csv", [order(1)])
    who = ("--participant", "0671", "--system", "x")
    done = connect(desk, "new", "ny.toml", "--source", "ordrer.csv", "--type", "job-order", *who)
    assert (done.returncode, (desk.folder / "ny.toml").exists(), "»Sagsnr«" in done.stderr) == (0, True, True)
    assert "angiv det på kommandolinjen" in connect(desk, "new", "to.toml", "--source", "ordrer.csv").stderr
    schema = json.loads(connect(desk, "schema").stdout)
    assert schema == json.loads((desk.folder / "connector.schema.json").read_text())


# --- as a service -------------------------------------------------------------------------------------------


@contextmanager
def service(desk: Desk, *arguments: str, name: str = "ordrer") -> Iterator[subprocess.Popen[str]]:
    """Run the connector as a service."""
    environment = ENVIRONMENT | {"KOMMUNEBRO_TOKEN": desk.token, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    command = [KOMMUNEBRO, "connect", f"{name}.toml", *arguments]
    with (desk.folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=desk.folder, env=environment, text=True, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Any, timeout_s: float = 30.0) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_service_publishes_what_changes_and_ends_when_told_to(desk: Desk) -> None:
    """As soon as a file changes, long before its next run; a slip in its own file stops nothing."""
    desk.write(CSV, more='every = "1h"')
    path = write_csv(desk.folder / "ordrer.csv", [order(1)])
    with service(desk) as process:
        until(lambda: len(desk.events()) == 1)
        assert desk.told()["nextRun"] is not None
        write_csv(path, [order(1), order(2, "Q")])
        until(lambda: "Koden »Q«" in (desk.folder / "log").read_text())
        (desk.folder / "ordrer.toml").write_text("name = ")
        write_csv(path, [order(1), order(2, "B")])
        until(lambda: len(desk.events()) == 2)
        assert "der køres videre med den gamle" in (desk.folder / "log").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_a_service_and_a_second_run_do_not_meet(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look and a list are open to everybody meanwhile."""
    desk.write(CSV, more='every = "1h"')
    write_csv(desk.folder / "ordrer.csv", [order(1)])
    with service(desk):
        until(lambda: len(desk.events()) == 1)
        assert connect(desk, "ordrer.toml", "--dry-run").returncode == 0
        assert connect(desk, "ordrer.toml", "--once").returncode == 0


def test_help_names_every_form(desk: Desk) -> None:
    """Each with an example."""
    text = run("connect", "--help").stdout
    assert all(verb in text for verb in ("new", "refused", "send-again", "schema", "--dry-run"))
    assert Path(KOMMUNEBRO).exists()


def test_without_a_token_the_file_is_said_to_lack_one(desk: Desk) -> None:
    """In Danish, with where to put it."""
    desk.write(CSV)
    done = run("connect", "ordrer.toml", "--once", cwd=desk.folder)
    assert (done.returncode, "token-file" in done.stderr) == (2, True)
