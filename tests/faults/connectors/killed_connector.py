"""A connector is killed again and again while it reads, keeps and sends; nothing is lost, and nothing comes twice.

Two sources change all the while: a CSV file, of which the last state of each row has to arrive, and a transactional
outbox, of which every row has to, in its order. Each run is a process of its own, ended by SIGKILL at a random instant.

    python -m tests.faults.connectors.killed_connector --times 1000
"""

import argparse
import csv
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from municipality_connectors.connecting import run_once
from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources.outbox_table import OutboxPortion
from municipality_connectors.state.marks import Marks
from schemas.registry import Registry
from tests.connectors.conftest import ORDER_FIELDS, ORDER_HEADER
from tests.processes import Served, bearer, replayed, serving

THINGS = 60
CHANGES = 25
"""Rows that change before each run."""

LONGER = 1.5
STRUCK_OUT_S = 0.1
"""How long the control keeps the fault's moment open: each of its runs has some tenths of a second."""

STATUSES = "ABT"
PAYLOAD = ORDER_FIELDS.replace('"Overskrift"', '"t"').replace('"Fag"', '"f"').replace('"Antal"', '"a"')


@dataclass
class Findings:
    """What came of it. killed: runs that were ended before their end; changes: rows written to the outbox."""

    runs: int = 0
    killed: int = 0
    changes: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Say it in a line of a report."""
        return (
            f"{self.runs} runs, {self.killed} of them killed; {self.changes} rows through the outbox: "
            f"{len(self.faults)} faults {self.faults[:3]}"
        )


@dataclass
class System:
    """A municipality's system: what its sources hold, and what they held."""

    folder: Path
    chance: random.Random
    url: str
    rows: dict[int, str] = field(default_factory=dict)
    written: list[tuple[str, str]] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the sources and the connector files."""
        fields = PAYLOAD.replace("type =", 'table = "udbakke"\nsequence = "nr"\npayload = "indhold"\ntype =', 1)
        head = f'participant = "0671"\nstate = "husket"\n[gateway]\nurl = "{self.url}"\n[source]\n'
        (self.folder / "ark.toml").write_text(
            f'name = "ark"\nsystem = "ark"\n{head}kind = "csv"\npath = "ordrer.csv"\n[[publish]]\n{ORDER_FIELDS}'
        )
        (self.folder / "udbakke.toml").write_text(
            f'name = "udbakke"\nsystem = "udbakke"\n{head}kind = "outbox"\nurl = "sqlite:///fag.db"\n[[publish]]\n{fields}'
        )
        with self._database() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE udbakke (nr integer PRIMARY KEY AUTOINCREMENT, sagsnr text, status text, indhold text)"
            )
        self.change()

    def change(self) -> None:
        """Let some rows be new or change, in both sources."""
        for _ in range(CHANGES):
            number = self.chance.randrange(THINGS)
            self.rows[number] = self.chance.choice([one for one in STATUSES if one != self.rows.get(number)])
            self.written.append((f"U-{number}", self.rows[number]))
        with (self.folder / "ordrer.csv").open("w", encoding="cp1252", newline="") as file:
            rows = [(f"A-{number}", status, f"Ordre {number}", "Smed", "2") for number, status in self.rows.items()]
            csv.writer(file, delimiter=";").writerows([ORDER_HEADER, *rows])
        # The connector settles files that were changed a moment ago; here they are whole at once.
        os.utime(self.folder / "ordrer.csv", (time.time() - 60,) * 2)
        with self._database() as database, database:
            database.executemany(
                "INSERT INTO udbakke (sagsnr, status, indhold) VALUES (?,?,?)",
                [(*row, '{"t": "Ordre", "f": "Smed", "a": 2}') for row in self.written[-CHANGES:]],
            )

    def _database(self) -> "closing[sqlite3.Connection]":
        return closing(sqlite3.connect(self.folder / "fag.db", timeout=60))


def campaign(folder: Path, times: int, seed: int, *, broken: bool = False) -> Findings:
    """Kill connectors `times` times; return what was found afterwards. broken: with a fault that has to be found."""
    with serving(folder / "gateway") as served:
        system = System(folder, random.Random(seed), served.url)
        system.prepare()
        token = bearer(served.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        registry = Registry.load("warn")

        def run(name: str) -> None:
            if broken:
                _break()
            connector = load_connector(folder / f"{name}.toml")
            report = run_once(connector, token, habits=Habits(), registry=registry, patience_s=30.0)
            assert report.exit_status == 0, report

        findings = Findings()
        # Longer than a run takes on this machine, so that each instant of it is met.
        longest_s = {name: LONGER * _seconds(lambda name=name: run(name)) for name in ("ark", "udbakke")}  # type: ignore[misc]
        while findings.killed < times:
            name = system.chance.choice(["ark", "udbakke"])
            findings.killed += _killed(lambda name=name: run(name), system.chance.uniform(0, longest_s[name]))  # type: ignore[misc]
            findings.runs += 1
            if system.chance.random() < 0.5:  # sometimes the next run finds just what the last one left
                system.change()
        for name in ("ark", "udbakke"):
            _killed(lambda name=name: run(name), None)  # type: ignore[misc]
        findings.changes = len(system.written)
        findings.faults = faults_in(served, system)
        return findings


def _killed(work: Callable[[], None], after_s: float | None) -> bool:
    """Do work in a process of its own and kill it after a while; whether it was still at it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001  # whatever it is, this process ends here
            os._exit(1)
        os._exit(0)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0
    return killed


def _seconds(work: Callable[[], None]) -> float:
    """Do work in a process of its own, to its end; how long it took."""
    began = time.monotonic()
    _killed(work, None)
    return time.monotonic() - began


def _break() -> None:
    """Let rows be struck out of the outbox before what was read is kept. In the child alone, which ends with it."""
    tables = OutboxPortion.tables

    def eager(self: OutboxPortion) -> Any:
        for table in tables(self):
            self._strike(list(self._rows))
            time.sleep(STRUCK_OUT_S)
            yield table

    OutboxPortion.tables = eager  # type: ignore[method-assign]
    Marks.set = lambda *_: None  # type: ignore[method-assign]


def faults_in(served: Served, system: System) -> list[str]:
    """Hold the log against what the system wrote."""
    events: dict[str, list[dict[str, Any]]] = {}
    for record in replayed(served, topic="pub.*"):
        events.setdefault(record["event"]["source"].rpartition(":")[2], []).append(record["event"])
    codes = {"A": "open", "B": "filled", "T": "withdrawn"}
    faults = [fault for one in events.values() for fault in _numbering(one)]
    found = {event["subject"]: event["data"]["status"] for event in events.get("ark", [])}
    wanted = {f"A-{number}": codes[status] for number, status in system.rows.items()}
    faults += [f"{subject} is {found.get(subject)}, not {status}" for subject, status in wanted.items()
               if found.get(subject) != status]  # fmt: skip
    arrived = [(event["subject"], event["data"]["status"]) for event in events.get("udbakke", [])]
    expected = [(subject, codes[status]) for subject, status in system.written]
    if arrived != expected:
        place = next((n for n, (one, other) in enumerate(zip(arrived, expected, strict=False)) if one != other), -1)
        faults.append(f"{len(arrived)} rows of the outbox arrived of {len(expected)}; they differ at {place}")
    return faults


def _numbering(events: list[dict[str, Any]]) -> list[str]:
    """Say where a thing's states are not numbered one after another, or one comes twice."""
    faults, last = [], dict[str, tuple[int, str]]()
    for event in events:
        subject, status = event["subject"], event["data"]["status"]
        number = int(event["id"].rpartition("/")[2])
        before = last.get(subject, (0, ""))
        if number != before[0] + 1 or status == before[1]:
            faults.append(f"{event['id']} is {status} after number {before[0]}, {before[1]}")
        last[subject] = (number, status)
    return faults


def main() -> None:
    """Run the campaign and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = campaign(Path(folder), options.times, options.seed)
    print(f"seed {options.seed}: {findings}")  # noqa: T201
    if findings.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
