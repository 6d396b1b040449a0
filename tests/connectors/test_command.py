"""The verbs as a person runs them: what is shown, exit statuses, and `kill -9` in the middle."""

import io
import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kommunebro import Client, GatewayUnavailable, Problem
from municipality_connectors.command import participant_of, publish_command, validate_command
from municipality_connectors.presentation import REFUSALS_SHOWN_MAX, Shown, named_rows, summary
from municipality_connectors.report import Failure, Notice, Phase, Progress, PublishReport, Refusal
from municipality_connectors.running.publishing import STORE_NAME
from municipality_connectors.running.run import failure
from tests.connectors.conftest import Publisher
from tests.connectors.sheets import orders, set_cells, write_orders
from tests.processes import ENVIRONMENT, KOMMUNEBRO, run
from tests.python_client.scripted import PROBLEM, a_server


def shown(report: PublishReport) -> str:
    """What a person sees of a report."""
    text = io.StringIO()
    with Shown(console=Console(file=text, width=120)) as screen:
        screen.progress(Progress(Phase.READING, "jobordrer.xlsx", 1, None))
        screen.published(report)
    return text.getvalue()


def publish(struer: Publisher, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    where = ("--to", struer.served.url, "--token", struer.token, "--state", struer.state, "--system", struer.system)
    return run("publish", *arguments, *where)


def test_publish_runs_from_the_command_line(struer: Publisher, tmp_path: Path) -> None:
    """A sheet, again, and with a bad row: the statuses of the contract, and the row by its place."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(3))
    first, second = publish(struer, path), publish(struer, path, "--json")
    assert (first.returncode, first.stdout) == (0, "")
    assert "3 rækker sendt" in first.stderr
    told = json.loads(second.stdout)
    assert (second.returncode, told["accepted"], told["unchanged"], told["refused"]) == (0, 0, 3, 0)
    set_cells(path, {(3, "Status"): "Klar"})
    third = publish(struer, path)
    assert third.returncode == 1
    assert all(
        word in third.stderr for word in ("Jobordrer", "Status", "C3" if "C3" in third.stderr else "B3", "Skriv en")
    )
    assert len(struer.events()) == 3


def test_validate_runs_without_a_gateway(tmp_path: Path) -> None:
    """A good sheet 0, a bad one 1, and what is wrong in Danish."""
    path = write_orders(tmp_path / "jobordrer.xlsx", orders(2))
    assert run("validate", path).returncode == 0
    set_cells(path, {(2, "Titel"): None})
    bad = run("validate", path, "--json")
    assert bad.returncode == 1
    [refusal] = json.loads(bad.stdout)["refusals"]
    assert (refusal["sheet"], refusal["row"], refusal["column"]) == ("Jobordrer", 2, "Titel")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"url": "localhost"}, 2),
        ({"url": "http://127.0.0.1:9"}, 3),
        ({"system": "mit ark"}, 2),
        ({"token": "x"}, 3),
        ({"token": "a.b.c"}, 3),
        ({"token": "a." + "eyJwYXJ0aWNpcGFudCI6IjA2NzEifQ" + ".c"}, 3),
        ({"files": [Path("findes-ikke.xlsx")]}, 1),
    ],
)
def test_what_goes_wrong_ends_with_its_status(
    struer: Publisher, tmp_path: Path, change: dict[str, Any], status: int
) -> None:
    """Usage 2, data 1, gateway or token 3."""
    given: dict[str, Any] = {
        "files": [write_orders(tmp_path / "jobordrer.csv", orders(1))],
        "url": struer.served.url,
        "token": struer.token,
        "system": struer.system,
        "state_folder": struer.state,
    } | change
    assert publish_command(given.pop("files"), **given) == status


def test_validation_for_no_participant_is_a_wrong_command(tmp_path: Path) -> None:
    """The name is checked as everywhere."""
    assert validate_command([write_orders(tmp_path / "a.csv", orders(1))], participant="STRUER") == 2


def test_a_token_tells_whom_it_speaks_for(struer: Publisher) -> None:
    """Read, not checked: that is the gateway's part."""
    assert participant_of(struer.token) == "0671"
    assert [participant_of(text) for text in ("", "a.b.c", "a.e30.c", "ø.ø.ø", "a.bnVsbA.c")] == [None] * 5


def test_a_report_is_shown_in_danish() -> None:
    """Notices, a table of what was refused, one sentence; square brackets in a sheet are no markup."""
    report = PublishReport(rows=9, accepted=1, unchanged=2, duplicates=3, filled=4)
    report.notices.append(Notice("ark.xlsx", "Disse kolonner kender vi ikke: [red]", "Jobordrer"))
    report.refusals.append(Refusal("ark.xlsx", "bad-cell", "»[b]« kan ikke bruges", "Jobordrer", 3, "Status", "B3"))
    text = shown(report)
    assert "ark.xlsx, Jobordrer: Disse kolonner kender vi ikke: [red]" in text
    assert all(word in text for word in ("Afvist", "ark.xlsx · Jobordrer", "Status (B3)", "»[b]« kan ikke bruges"))
    assert "1 række sendt, 2 uændret, 3 kendt i forvejen, 1 afvist, 4 celler udfyldt i arket." in text


def test_a_sheet_full_of_faults_does_not_fill_the_screen() -> None:
    """The first of them, and how many more."""
    rows = [Refusal("a.xlsx", "bad-cell", f"»{number}« er forkert", None, number, "Titel") for number in range(500)]
    assert f"… og {500 - REFUSALS_SHOWN_MAX} slags til" in shown(PublishReport(rows=500, refusals=rows))


def test_rows_of_which_the_same_is_said_are_one_line() -> None:
    """A word that nobody knows stands in many rows; the sheet is named once."""
    said = [("»Deltid« kendes ikke", (2, 3, 4, 9)), ("Skal udfyldes", (5,))]
    rows = [
        Refusal("a.xlsx", "bad-cell", message, "Ordrer", number, "Ansættelse", f"F{number}")
        for message, numbers in said for number in numbers
    ]  # fmt: skip
    text = shown(PublishReport(rows=9, refusals=rows))
    assert [text.count(part) for part in ("a.xlsx · Ordrer", "»Deltid« kendes ikke", "2-4, 9", "(F5)", "(F2)")] == [
        1, 1, 1, 1, 0,
    ]  # fmt: skip
    assert "5 afvist" in text
    alike = [Refusal("", "bad-cell", "Kan ikke trækkes tilbage")] * 3
    assert "(3)" in shown(PublishReport(rows=9, refusals=[*rows, *alike]))


@pytest.mark.parametrize(
    ("rows", "named"),
    [([], ""), ([7], "7"), ([3, 2, 3], "2-3"), ([*range(1, 41, 2)], "1, 3, 5, 7, 9, 11, 13, 15 … (i alt 20)")],
)
def test_rows_are_named_as_a_person_would(rows: list[int], named: str) -> None:
    """Runs of them by their first and last."""
    assert named_rows(rows) == named


def test_a_failure_is_shown_even_when_nothing_was_read() -> None:
    """One message, without a sum of nothing."""
    text = shown(PublishReport(failure=Failure("unauthorized", "Tokenet er udløbet.")))
    assert "Tokenet er udløbet." in text
    assert "sendt" not in text
    assert summary(PublishReport()) == "0 rækker sendt, 0 afvist."


def written_at(memory: Path) -> int:
    return memory.stat().st_mtime_ns if memory.exists() else 0


def test_killed_again_and_again_nothing_is_lost_or_sent_twice(struer: Publisher, tmp_path: Path) -> None:
    """`kill -9` at any moment after the first write; the last run finishes, and each row is in the log once."""
    path = write_orders(tmp_path / "jobordrer.csv", orders(2_000))
    command: list[str | Path] = [
        KOMMUNEBRO, "publish", path, "--to", struer.served.url, "--token", struer.token,
        "--state", struer.state, "--system", struer.system,
    ]  # fmt: skip
    chance, memory, killed = random.Random(7), struer.state / STORE_NAME, 0
    for _ in range(6):
        before = written_at(memory)
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        while process.poll() is None and written_at(memory) == before:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed > 0
    assert publish(struer, path).returncode == 0
    subjects = [event["subject"] for event in struer.events()]
    assert len(subjects) == len(set(subjects)) == 2_000


def test_a_gateway_that_is_waited_for_is_told_once() -> None:
    """Whoever looks on is not left with nothing; a single pause is not worth a line."""
    texts = []
    for pauses in (1, 4):
        text = io.StringIO()
        answers = [(503, {}, PROBLEM)] * pauses
        with (
            Shown(console=Console(file=text, width=200)) as screen,
            a_server(*answers) as (scripted, _, _),
            Client(scripted.url, "t", sleep=screen.wait) as client,
        ):
            client.send([b"{}"])
        texts.append(text.getvalue())
    assert [text.count("Gatewayen svarer ikke eller kan ikke tage imod lige nu") for text in texts] == [0, 1]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (None, "svarer ikke. Kører den, og er adressen rigtig? Det, der skal sendes, er gemt"),
        ({"detail": "Bad Gateway."}, "svarer ikke. Kører den, og er adressen rigtig? (Der svares: Bad Gateway.) Det"),
        (PROBLEM, "svarer, men kan ikke nå sin log lige nu. Det er driften"),
        ({"type": "/problems/of-tomorrow", "detail": "No."}, "svarer, men siger »No«. Det, der skal sendes, er gemt"),
    ],
)
def test_a_gateway_that_is_there_is_not_said_to_be_away(problem: dict[str, Any] | None, said: str) -> None:
    """Whoever reads it knows whether to look at the address, or to ask the operator."""
    error = GatewayUnavailable("It can't be had.", None if problem is None else Problem(503, problem))
    assert f"Gatewayen http://g {said}" in failure(error, "http://g").message
