"""What a benchmark found, as rows: medians with their spread, the target, and whether it was reached."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach. of: whether the ratio to the bare comparator is judged, or our own figure."""

    value: float
    of: Literal["ratio", "ours"] = "ours"
    at_least: bool = True

    def reached(self, median: float) -> bool:
        """Decide whether a median reaches it."""
        return median >= self.value if self.at_least else median <= self.value

    def __str__(self) -> str:
        """Say it in a cell of the table."""
        return f"{'≥' if self.at_least else '≤'} {_number(self.value)}{' times bare' if self.of == 'ratio' else ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a value for each round. bare: of the comparator in the same rounds, where there is one."""

    figure: str
    unit: str
    ours: Sequence[float]
    bare: Sequence[float] = ()
    target: Target | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours through bare, round by round: only within a round do the two stand side by side."""
        return [ours / bare for ours, bare in zip(self.ours, self.bare, strict=True) if bare] if self.bare else []

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        values = self.ratios if self.target.of == "ratio" else self.ours
        return bool(values) and self.target.reached(statistics.median(values))

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        target = self.target
        return {
            "figure": self.figure,
            "unit": self.unit,
            "ours": _spread(self.ours),
            "bare": _spread(self.bare),
            "ratio": _spread(self.ratios),
            "target": target and {"value": target.value, "of": target.of, "atLeast": target.at_least},
            "reached": self.reached,
        }


def _spread(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    median = statistics.median(values)
    return {"median": median, "min": min(values), "max": max(values), "rounds": list(values)}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of values in order; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    median = _number(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({_number(min(values))} to {_number(max(values))})"


def table(title: str, rows: Sequence[Row]) -> Table:
    """Return the rows as a table: medians, and least to most in brackets."""
    made = Table(title=title, caption=machine())
    for column in ("figure", "ours", "bare", "ratio", "target", "reached"):
        made.add_column(column, overflow="fold")
    for row in rows:
        reached = {None: "", True: "yes", False: "no"}[row.reached]
        unit = f"{row.figure}, {row.unit}" if row.unit else row.figure
        target = str(row.target) if row.target else ""
        made.add_row(unit, _cell(row.ours), _cell(row.bare), _cell(row.ratios), target, reached)
    return made


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the table."""
    Console().print(table(title, rows))


def machine() -> str:
    """Describe where it ran, as far as a figure depends on it."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}, load average {load:.1f}"
