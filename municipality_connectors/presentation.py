"""Show a person, in Danish, how publishing goes and what was refused; or hand a program the same as JSON."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from municipality_connectors.report import Progress, PublishReport, Refusal

REFUSALS_SHOWN_MAX = 200
"""Lines of the table, each for all rows of which the same is said; `--json` lists every row."""

ROWS_NAMED_MAX = 8
"""Rows, or runs of rows, that one line names; of more it says how many there are."""

SILENT_S = 1.0
"""So long nothing may go on without a word: it is no more than a hiccup."""


class Shown:
    """What a run shows. The bar and messages go to standard error, the JSON to standard output."""

    def __init__(self, *, as_json: bool = False, console: Console | None = None) -> None:
        self._as_json = as_json
        self._console = console or Console(stderr=True)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._console,
            transient=True,
            disable=as_json or not self._console.is_terminal,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._went_on_s, self._told = time.monotonic(), False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, progress: Progress) -> None:
        """Move the bar on."""
        self._went_on_s, self._told = time.monotonic(), False
        key = (progress.phase.value, progress.file)
        if key not in self._tasks:
            self._tasks[key] = self._bar.add_task(
                escape(f"{progress.phase.value} {progress.file}"), total=progress.total
            )
        self._bar.update(self._tasks[key], completed=progress.done, total=progress.total)

    def wait(self, seconds: float) -> None:
        """Wait before the gateway is asked again, and say so once while nothing goes on. For `Client`'s `sleep`."""
        # A gateway whose log is away takes its time for each answer, too.
        if not self._told and not self._as_json and time.monotonic() + seconds - self._went_on_s > SILENT_S:
            self._told = True
            self._console.print("Gatewayen svarer ikke eller kan ikke tage imod lige nu. Der prøves igen en tid.")
        time.sleep(seconds)

    def published(self, report: PublishReport) -> None:
        """Show what became of the files."""
        self._show(report, summary(report))

    def validated(self, report: PublishReport) -> None:
        """Show what would become of the files."""
        self._show(report, f"{_rows(report.valid)} kan sendes, {report.refused} afvises.")

    def looked(self, report: PublishReport) -> None:
        """Show what a run would do, with the first rows as they would be published."""
        if not self._as_json:
            self._bar.stop()
            for planned in report.planned:
                text = orjson.dumps(orjson.loads(planned.data), option=orjson.OPT_INDENT_2).decode()
                self._console.print(f"[bold]{escape(f'{_WHAT[planned.what]}: {planned.name} {planned.subject}')}[/]")
                self._console.print(escape(text), highlight=False)
        self._show(report, look_in_a_line(report))

    def _show(self, report: PublishReport, sentence: str) -> None:
        self._bar.stop()
        if self._as_json:
            sys.stdout.buffer.write(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
            sys.stdout.flush()
            return
        for notice in report.notices:
            place = ", ".join(filter(None, (notice.file, notice.sheet)))
            self._console.print(f"[yellow]{escape(f'{place}: ' if place else '')}[/]{escape(notice.message)}")
        if report.refusals:
            self._console.print(refusal_table(report.refusals))
        if report.failure is not None:
            self._console.print(f"[bold red]{escape(report.failure.message)}[/]")
        if report.failure is None or report.rows:
            self._console.print(f"[bold]{escape(sentence)}[/]")


def summary(report: PublishReport) -> str:
    """Return the run in one sentence."""
    parts = [f"{_rows(report.accepted)} sendt"]
    if report.unchanged:
        parts.append(f"{report.unchanged} uændret")
    if report.duplicates:
        parts.append(f"{report.duplicates} kendt i forvejen")
    parts.append(f"{report.refused} afvist")
    if report.delivered:
        parts.append(f"{report.delivered} leveret fra partnere")
    if report.still_refused:
        parts.append(f"{report.still_refused} afvist som før")
    if report.waiting:
        parts.append(f"{report.waiting} venter på gatewayen")
    if report.filled:
        parts.append(f"{report.filled} celler udfyldt i arket")
    return ", ".join(parts) + "."


_WHAT = {"new": "Ny", "changed": "Ændret", "withdrawn": "Trækkes tilbage"}


def look_in_a_line(report: PublishReport) -> str:
    """Return what a run would do in one sentence."""
    parts = [f"{report.new} nye", f"{report.changed} ændrede", f"{report.withdrawn} trækkes tilbage"]
    parts += [f"{report.unchanged} uændrede", f"{report.refused} afvises"]
    return f"Intet er sendt. En kørsel ville give: {', '.join(parts)}."


def run_in_a_line(report: PublishReport) -> str:
    """Return a service's run in one sentence."""
    waiting = f", {report.waiting} venter" if report.waiting else ""
    delivered = f", {report.delivered} leveret fra partnere" if report.delivered else ""
    before = f", {report.still_refused} afvist som før" if report.still_refused else ""
    return f"{report.accepted} sendt, {report.unchanged} uændret, {report.refused} afvist{before}{waiting}{delivered}."


def _rows(count: int) -> str:
    return "1 række" if count == 1 else f"{count} rækker"


def refusal_table(refusals: list[Refusal]) -> Table:
    """Return what was refused as a table: file and sheet, row, column, and why."""
    table = Table(title="Afvist", title_style="bold red", show_lines=False)
    for title in ("Ark", "Række", "Kolonne", "Hvad der er galt"):
        table.add_column(title, overflow="fold", justify="right" if title == "Række" else "left")
    alike: dict[tuple[str, str | None, str], list[Refusal]] = {}
    for refusal in refusals:
        sheet = " · ".join(filter(None, (refusal.file, refusal.sheet)))
        alike.setdefault((sheet, refusal.column, refusal.message), []).append(refusal)
    above = None
    for (sheet, column, message), some in list(alike.items())[:REFUSALS_SHOWN_MAX]:
        cell = f"({some[0].cell})" if some[0].cell and len(some) == 1 else None
        rows = named_rows([refusal.row for refusal in some if refusal.row is not None])
        if not rows and len(some) > 1:
            rows = f"({len(some)})"
        # A path that is the same all the way down would hide what differs.
        shown = "" if sheet == above else sheet or "-"
        table.add_row(escape(shown), rows, escape(" ".join(filter(None, (column, cell)))), escape(message))
        above = sheet
    if len(alike) > REFUSALS_SHOWN_MAX:
        table.add_row("", "", "", f"… og {len(alike) - REFUSALS_SHOWN_MAX} slags til; --json viser alle.")
    return table


def named_rows(numbers: Sequence[int]) -> str:
    """Return rows as a person names them: 2, 5-9, 12; of many the first, and how many there are."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    named = ", ".join("-".join(map(str, run)) for run in runs[:ROWS_NAMED_MAX])
    return named if len(runs) <= ROWS_NAMED_MAX else f"{named} … (i alt {len(set(numbers))})"
