"""A large workbook through a connector: how long its first run takes, how much memory, and how soon it is dismissed.

python -m tests.connectors.large_sheet --rows 100000
"""

import argparse
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from openpyxl import Workbook

from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.sheets.make_example_sheets import example_things
from schemas.identifiers import EventName
from tests.processes import ENVIRONMENT, KOMMUNEBRO, bearer, serving

LOOK_EVERY_S = 0.02
"""How often memory is looked at."""

OWN_TO_A_ROW = ("company.name", "title", "description", "workplace.city", "contactPerson.name", "contactPerson.role")
"""What no two rows have in common, beside their ids; the rest repeats, as codes and consultants do in a real sheet."""


@dataclass
class Run:
    """One run of the connector, as a process of its own. peak_mb: with what it starts itself. said: its last line."""

    seconds: float
    peak_mb: float
    said: str


def measured(folder: Path, rows: int) -> tuple[Run, Run]:
    """Run a connector over a workbook of so many rows with 46 columns twice; the second time it is as it was."""
    _write(folder / "ordrer.xlsx", rows)
    with serving(folder / "gateway") as served:
        (folder / "ordrer.toml").write_text(
            'name = "stort"\nparticipant = "0671"\nsystem = "stort"\nstate = "husket"\n'
            f'[gateway]\nurl = "{served.url}"\n[source]\nkind = "excel"\npath = "ordrer.xlsx"\n'
            '[[publish]]\ntype = "job-order"\n'
        )
        token = bearer(served.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")
        first, second = (_run(folder, token) for _ in range(2))
    return first, second


def _write(path: Path, rows: int) -> None:
    sheet = sheet_type(EventName.JOB_ORDER)
    shown = [list(show_row(sheet, data)) for data in example_things(sheet)]
    workbook = Workbook(write_only=True)
    page = workbook.create_sheet(sheet.worksheet)
    page.append([column.title for column in sheet.columns])
    own = [column.key in OWN_TO_A_ROW for column in sheet.columns]
    for number in range(rows):
        row = zip(shown[number % len(shown)], own, strict=True)
        cells = [f"{cell} {number}" if is_own and cell is not None else cell for cell, is_own in row]
        page.append([f"JO-{100_000 + number}", *cells[1:]])
    workbook.save(path)
    # The connector waits for a file that was changed a moment ago.
    os.utime(path, (time.time() - 60,) * 2)


def _run(folder: Path, token: str) -> Run:
    began, peak_bytes = time.monotonic(), 0
    said = folder / "said.txt"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [KOMMUNEBRO, "connect", "ordrer.toml", "--once"], cwd=folder, stderr=errors,
            env=ENVIRONMENT | {"KOMMUNEBRO_TOKEN": token, "COLUMNS": "200"},
        )  # fmt: skip
        while process.poll() is None:
            peak_bytes = max(peak_bytes, _rss_bytes(process.pid))
            time.sleep(LOOK_EVERY_S)
    seconds, lines = time.monotonic() - began, said.read_text()
    assert process.returncode == 0, lines
    return Run(seconds, peak_bytes / 2**20, lines.splitlines()[-1])


def _rss_bytes(pid: int) -> int:
    """Return the resident memory of a process and of those that it started, now; 0 when it has ended."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, run in zip(("first", "unchanged"), measured(Path(folder), options.rows), strict=True):
            print(f"{name}: {run.seconds:.2f} s, {run.peak_mb:.0f} MB at most: {run.said}")  # noqa: T201


if __name__ == "__main__":
    main()
