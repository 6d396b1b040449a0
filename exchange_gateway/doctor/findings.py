"""What the doctor found. Values only."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple


class State(StrEnum):
    """How it is with one thing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One thing that was looked at.

    found: what was seen. advice: what to do, where something is to be done. unreachable: whether a failure means that
    something cannot be had (a disk that is full, a broker that is away) rather than that something is wrong.
    """

    check: str
    state: State
    found: str
    advice: str = ""
    unreachable: bool = False


class Examination:
    """All findings, in the order in which they were made."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def ok(self, check: str, found: str) -> None:
        """Note that something is as it should be."""
        self.findings.append(Finding(check, State.OK, found))

    def warn(self, check: str, found: str, advice: str) -> None:
        """Note what works, and will not always."""
        self.findings.append(Finding(check, State.WARN, found, advice))

    def fail(self, check: str, found: str, advice: str, *, unreachable: bool = False) -> None:
        """Note what does not work."""
        self.findings.append(Finding(check, State.FAIL, found, advice, unreachable))

    @property
    def exit_status(self) -> int:
        """0 where nothing fails; 1 where settings or data are bad; 3 where something only cannot be had."""
        failed = [one for one in self.findings if one.state is State.FAIL]
        if not failed:
            return 0
        return 3 if all(one.unreachable for one in failed) else 1

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "failed": self.exit_status != 0,
            "findings": [_row(one) for one in self.findings],
        }


def _row(one: Finding) -> dict[str, str]:
    row = {"check": one.check, "state": one.state.value, "found": one.found}
    return {**row, "advice": one.advice} if one.advice else row


def listed(items: Iterable[str]) -> str:
    """Return items as a person reads them."""
    return ", ".join(items)
