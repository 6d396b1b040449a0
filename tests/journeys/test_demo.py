"""`kommunebro demo`, as a newcomer meets it: started as a process, and what it prints pasted into a shell."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from random import Random
from threading import Thread
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from exchange_gateway.core.access import Role
from exchange_gateway.demo.day import COPENHAGEN, moved, play_ending
from exchange_gateway.demo.going_on import OPEN_ORDERS_MAX, GoingOn
from exchange_gateway.demo.guide import Place, things_to_try
from schemas.event import Event
from schemas.identifiers import EventName
from schemas.registry import Registry
from tests.processes import ENVIRONMENT, KOMMUNEBRO, free_port, run

NOW = datetime(2027, 3, 1, 14, 7, 33, tzinfo=UTC)
STARTED_S_MAX = 90.0
"""The demo is there in some three seconds; a busy machine gets much longer."""


@dataclass
class RunningDemo:
    """A demo's process, what it printed until it said that it goes on, and the lines after that."""

    process: "subprocess.Popen[str]"
    url: str
    text: str
    later: "Queue[str]"
    reading: Thread

    def tries(self) -> list[str]:
        return re.findall(r"^\d\. .*\n   (.*)$", self.text, re.MULTILINE)

    def token(self, role: str) -> str:
        found = re.search(rf"^  {role} .*?(eyJ\S+)$", self.text, re.MULTILINE)
        assert found is not None
        return found[1]


def start_demo(*arguments: str) -> RunningDemo:
    port = free_port()
    process = subprocess.Popen(
        [KOMMUNEBRO, "demo", "--port", str(port), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    reading = Thread(target=lambda output: [lines.put(line) for line in output], args=(process.stdout,))
    reading.start()
    text = ""
    while "It goes on" not in text:
        text += lines.get(timeout=STARTED_S_MAX)
    return RunningDemo(process, f"http://127.0.0.1:{port}", text, lines, reading)


def stop_demo(demo: RunningDemo, number: int = signal.SIGINT) -> int:
    demo.process.send_signal(number)
    status = demo.process.wait(timeout=30)
    demo.reading.join()
    assert demo.process.stdout is not None
    demo.process.stdout.close()
    return status


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    """A demo without any setting."""
    running = start_demo()
    yield running
    stop_demo(running)


def paste(command: str, folder: Path) -> str:
    """Paste a command into a shell that stands somewhere else, as a second terminal does; return what is seen."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def get(demo: RunningDemo, path: str, role: str) -> httpx.Response:
    return httpx.get(demo.url + path, headers={"Authorization": f"Bearer {demo.token(role)}"}, timeout=30)


def test_it_says_where_it_is(demo: RunningDemo) -> None:
    """It prints the address, and the gateway answers there."""
    assert demo.url in demo.text
    assert httpx.get(f"{demo.url}/readyz", timeout=30).status_code == 200


@pytest.mark.parametrize("role", list(Role))
def test_it_has_a_token_for_each_role(demo: RunningDemo, role: Role) -> None:
    """Each role's token is there, and counts."""
    assert get(demo, "/v1/alliances", role).status_code == 200


def test_it_has_five_things_to_try(demo: RunningDemo) -> None:
    """It prints five commands."""
    assert len(demo.tries()) == 5


def test_herning_sees_struers_orders_cut(demo: RunningDemo, tmp_path: Path) -> None:
    """The first command: two orders, the filled one cut to id and status, no contact person in either."""
    orders = json.loads(paste(demo.tries()[0], tmp_path))["jobOrders"]
    by_status = {order["status"]: order["data"] for order in orders}
    assert set(by_status["filled"]) == {"jobOrderId", "status"}
    assert by_status["open"]["company"]["name"] == "Vestjysk Staldinventar A/S"
    assert "contactPerson" not in by_status["open"]
    assert "sharing" not in by_status["open"]


def test_aalborg_sees_nothing(demo: RunningDemo, tmp_path: Path) -> None:
    """The second command: another alliance sees none of them."""
    assert json.loads(paste(demo.tries()[1], tmp_path)) == {"jobOrders": [], "next": None}


def test_the_order_can_be_replayed(demo: RunningDemo, tmp_path: Path) -> None:
    """The third command: three states as Struer sent them, and three as Vestalliancen saw them."""
    seen = paste(demo.tries()[2], tmp_path).splitlines()
    # Where it ended is told on the other stream, which a terminal shows too.
    records = [json.loads(line) for line in seen if not line.startswith("kommunebro: ")]
    states = {
        topic: [record["event"]["data"]["status"] for record in records if record["topic"] == topic]
        for topic in ("pub.0671.job-order", "alliance.vestalliancen.job-order")
    }
    assert list(states.values()) == [["open", "enough-candidates", "filled"]] * 2


def test_the_sheet_sends_nothing_twice_and_a_change_once(demo: RunningDemo, tmp_path: Path) -> None:
    """The fourth command: nothing at first; a changed row is sent, and then not again."""
    command = demo.tries()[3]
    assert paste(command, tmp_path).startswith("0 rækker sendt, 2 uændret")
    sheet = Path(command.split()[2])
    book = load_workbook(sheet)
    page = book.worksheets[0]
    titles = [cell.value for cell in page[1]]
    page.cell(3, titles.index("Antal stillinger") + 1).value = 5
    page.cell(3, titles.index("Ændret") + 1).value = None
    book.save(sheet)
    assert paste(command, tmp_path).startswith("1 ræk")
    assert paste(command, tmp_path).startswith("0 rækker sendt, 2 uændret")


def test_the_agreement_is_shown(demo: RunningDemo, tmp_path: Path) -> None:
    """The fifth command: the eight members of Vestalliancen."""
    agreement = json.loads(paste(demo.tries()[4], tmp_path))
    assert [member["name"] for member in agreement["members"]][3] == "Struer"
    assert len(agreement["members"]) == 8


def test_it_goes_on(demo: RunningDemo) -> None:
    """An event follows every few seconds, and each is told of in a line."""
    while not re.match(r"  \d\d:\d\d:\d\d  \S", line := demo.later.get(timeout=60)):
        assert line.strip() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_behind(number: int) -> None:
    """Stopped by Ctrl-C or by the system it ends well, and its folder is gone."""
    demo = start_demo()
    folder = Path(demo.tries()[2].split("--data ")[1].split()[0])
    assert (folder / "log.sqlite3").exists()
    assert stop_demo(demo, number) == 0
    assert not folder.exists()


def test_a_named_folder_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    """With --data the folder stays, and a second demo in it does not play the day again."""
    counts = []
    for _ in range(2):
        demo = start_demo("--data", str(tmp_path / "demo"))
        answer = get(demo, "/v1/audit/records?topic=pub.0671.job-order", "auditor")
        counts.append(len(answer.text.splitlines()))
        assert stop_demo(demo) == 0
    assert "is in" in demo.text
    assert counts[0] == 4
    assert counts[1] < 8


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """Another program on the port: exit status 3, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("demo", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "--port" in done.stderr


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A folder that is not a demo's is left alone: exit status 3."""
    (tmp_path / "something").write_text("of somebody's")
    done = run("demo", "--data", tmp_path)
    assert done.returncode == 3
    assert "empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_the_day_is_by_the_dataset() -> None:
    """Every event of the sample day passes the registry, none lies in the future, and all five types are there."""
    registry, day = Registry.load(), play_ending(NOW)
    for happening in day:
        registry.check(Event.from_json(happening.as_event()))
    assert max(happening.time for happening in day) == NOW
    assert {happening.name for happening in day} == set(EventName)


def test_what_goes_on_is_by_the_dataset_and_the_same_for_a_seed() -> None:
    """A thousand events pass the registry, and the same seed gives them again."""
    registry = Registry.load()

    def run_of(seed: int) -> list[dict[str, Any]]:
        going_on = GoingOn(Random(seed))
        return [going_on.next(NOW.astimezone(COPENHAGEN)).as_event() for _ in range(1000)]

    events = run_of(7)
    for event in events:
        registry.check(Event.from_json(event))
    assert events == run_of(7)
    assert events != run_of(8)


def test_orders_do_not_pile_up() -> None:
    """However long the demo runs, only so many of its job orders are open."""
    going_on, statuses = GoingOn(Random(1)), {}
    for _ in range(3000):
        happening = going_on.next(NOW.astimezone(COPENHAGEN))
        if happening.name == EventName.JOB_ORDER:
            statuses[happening.thing_id] = happening.data["status"]
    assert list(statuses.values()).count("open") <= OPEN_ORDERS_MAX


def test_times_move_by_whole_quarters_and_dates_by_days() -> None:
    """What is moved stays a time of day that people would choose, and never moves past the shift."""
    later = timedelta(days=3, hours=2, minutes=40)
    assert moved({"a": ["2026-11-23T08:05:00+01:00"], "b": "2026-12-04", "c": "7600"}, later) == {
        "a": ["2026-11-26T10:35:00+01:00"], "b": "2026-12-07", "c": "7600",
    }  # fmt: skip


def test_without_curl_python_reads(demo: RunningDemo, tmp_path: Path) -> None:
    """On a machine without curl the commands that read use Python, and say the same."""
    folder = Path(demo.tries()[2].split("--data ")[1].split()[0])
    python = Path(KOMMUNEBRO).with_name("python")
    place = Place(demo.url, folder, Path(KOMMUNEBRO), python, has_curl=False)
    command = things_to_try(place, "order", tmp_path, tmp_path)[1].command
    assert "curl" not in command
    assert json.loads(paste(command, tmp_path)) == {"jobOrders": [], "next": None}
