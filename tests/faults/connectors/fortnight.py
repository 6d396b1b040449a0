"""A gateway is away for a fortnight, by the connector's clock, while a system goes on changing; then all is drained.

The connector runs every hour, a process of its own each day. Every change has to arrive, once, in its order, with the
time at which it was noticed.

    python -m tests.faults.connectors.fortnight --events 100000
"""

import argparse
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from municipality_connectors.connecting import run_once
from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.report import PublishReport
from municipality_connectors.running.taking import Habits
from schemas.event import parse_time
from schemas.registry import Registry
from tests.faults.connectors.killed_connector import PAYLOAD
from tests.processes import bearer, free_port, replayed, serving

DAYS, RUNS_A_DAY = 14, 24
THINGS = 5_000
HOUR_US = 3_600_000_000
REGISTRY = Registry.load("warn")


@dataclass
class Findings:
    """What came of it. waiting: events when the gateway came back; drained_s: how long they took."""

    waiting: int
    arrived: int
    drained_s: float
    in_order: bool
    times_grow: bool

    def __str__(self) -> str:
        """Say it in a line of a report."""
        order = "in order" if self.in_order else "OUT OF ORDER"
        times = "each with the hour in which it was noticed" if self.times_grow else "WITH WRONG TIMES"
        return (
            f"{self.waiting} events waited for {DAYS} days; {self.arrived} arrived {order}, {times}, in "
            f"{self.drained_s:.1f} s ({self.arrived / self.drained_s:,.0f} a second)"
        )


def campaign(folder: Path, events: int, runs_a_day: int = RUNS_A_DAY) -> Findings:
    """Keep the gateway away for a fortnight with so many changes, then let it come back."""
    port, per_run = free_port(), -(-events // (DAYS * runs_a_day))
    _prepare(folder, port)
    between_us = 24 * HOUR_US // runs_a_day
    began_us = time.time_ns() // 1000 - DAYS * 24 * HOUR_US
    for day in range(DAYS):
        _in_a_process(folder, [began_us + (day * runs_a_day + run) * between_us for run in range(runs_a_day)], per_run)
    waiting = _waiting(folder)
    with serving(folder / "gateway", port=port) as served:
        token = bearer(served.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        began = time.monotonic()
        report = _run(folder, token, time.time_ns() // 1000)
        drained_s = time.monotonic() - began
        assert report.exit_status == 0, report
        found = [record["event"] for record in replayed(served, topic="pub.0671.job-order")]
    arrived = [(event["subject"], event["data"]["status"]) for event in found]
    codes = {"A": "open", "B": "filled"}
    times = [parse_time(event["time"]) for event in found]
    noticed = [began_us + number // per_run * between_us for number in range(len(found))]
    grow = all(abs(time_us - noticed_us) < between_us for time_us, noticed_us in zip(times, noticed, strict=True))
    written = [_change_of(number) for number in range(DAYS * runs_a_day * per_run)]
    return Findings(waiting, len(arrived), drained_s, arrived == [(one, codes[how]) for one, how in written], grow)


def _prepare(folder: Path, port: int) -> None:
    fields = PAYLOAD.replace("type =", 'table = "udbakke"\nsequence = "nr"\npayload = "indhold"\ntype =', 1)
    (folder / "udbakke.toml").write_text(
        f'name = "udbakke"\nsystem = "udbakke"\nparticipant = "0671"\nstate = "husket"\n'
        f'[gateway]\nurl = "http://127.0.0.1:{port}"\n'
        f'[source]\nkind = "outbox"\nurl = "sqlite:///fag.db"\n[[publish]]\n{fields}'
    )
    with closing(sqlite3.connect(folder / "fag.db")) as database:
        database.execute(
            "CREATE TABLE udbakke (nr integer PRIMARY KEY AUTOINCREMENT, sagsnr text, status text, indhold text)"
        )


def _change_of(number: int) -> tuple[str, str]:
    """Return the system's change of that number: each thing is open and filled in turn."""
    return f"U-{number % THINGS}", "AB"[number // THINGS % 2]


def _in_a_process(folder: Path, runs_us: list[int], per_run: int) -> None:
    """Run the connector at these times of a day, in a process that ends with the day."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for now_us in runs_us:
                _write(folder, per_run)
                report = _run(folder, "x.y.z", now_us)
                assert report.failure is not None, report  # the gateway is away
                assert report.failure.problem == "gateway-unavailable", report
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0


def _write(folder: Path, count: int) -> None:
    """Put the next changes into the outbox table; which they are follows from how many there were."""
    with closing(sqlite3.connect(folder / "fag.db")) as database, database:
        before = database.execute("SELECT seq FROM sqlite_sequence WHERE name='udbakke'").fetchone()
        first = before[0] if before else 0
        database.executemany(
            "INSERT INTO udbakke (sagsnr, status, indhold) VALUES (?,?,?)",
            [(*_change_of(number), '{"t": "Ordre", "f": "Smed", "a": 2}') for number in range(first, first + count)],
        )


def _run(folder: Path, token: str, now_us: int) -> PublishReport:
    connector = load_connector(folder / "udbakke.toml")
    return run_once(connector, token, habits=Habits(), registry=REGISTRY, clock_us=lambda: now_us, patience_s=0.0)


def _waiting(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "husket" / "udbakke.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM outbox").fetchone()[0])


def main() -> None:
    """Run the campaign and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = campaign(Path(folder), options.events)
    print(findings)  # noqa: T201
    if not (findings.in_order and findings.times_grow and findings.waiting == findings.arrived >= options.events):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
