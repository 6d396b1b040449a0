"""Show a person, in Danish, how publishing goes and what was refused; or hand a program the same as JSON."""

import sys
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
"""Refused rows in the table; a sheet in which everything is wrong has one cause, and `--json` lists all."""


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

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progress(self, progress: Progress) -> None:
        """Move the bar on."""
        key = (progress.phase.value, progress.file)
        if key not in self._tasks:
            self._tasks[key] = self._bar.add_task(
                escape(f"{progress.phase.value} {progress.file}"), total=progress.total
            )
        self._bar.update(self._tasks[key], completed=progress.done, total=progress.total)

    def published(self, report: PublishReport) -> None:
        """Show what became of the files."""
        self._show(report, summary(report))

    def validated(self, report: PublishReport) -> None:
        """Show what would become of the files."""
        self._show(report, f"{_rows(report.valid)} kan sendes, {report.refused} afvises.")

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
    if report.filled:
        parts.append(f"{report.filled} celler udfyldt i arket")
    return ", ".join(parts) + "."


def _rows(count: int) -> str:
    return "1 række" if count == 1 else f"{count} rækker"


def refusal_table(refusals: list[Refusal]) -> Table:
    """Return what was refused as a table: file and sheet, row, column, and why."""
    table = Table(title="Afvist", title_style="bold red", show_lines=False)
    for title in ("Ark", "Række", "Kolonne", "Hvad der er galt"):
        table.add_column(
            title, overflow="fold", no_wrap=title == "Række", justify="right" if title == "Række" else "left"
        )
    for refusal in refusals[:REFUSALS_SHOWN_MAX]:
        sheet = " · ".join(filter(None, (refusal.file, refusal.sheet)))
        row = "" if refusal.row is None else str(refusal.row)
        column = " ".join(filter(None, (refusal.column, f"({refusal.cell})" if refusal.cell else "")))
        table.add_row(escape(sheet), row, escape(column), escape(refusal.message))
    if len(refusals) > REFUSALS_SHOWN_MAX:
        table.add_row("", "", "", f"… og {len(refusals) - REFUSALS_SHOWN_MAX} til; --json viser alle.")
    return table
