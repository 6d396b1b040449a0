"""What became of files that were to be published or validated: values that a program or a person reads."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

DONE, BAD_INPUT, USAGE, UNAVAILABLE = 0, 1, 2, 3
"""The exit statuses of the command line."""


class Refusal(NamedTuple):
    """Something that was refused, and where. message: Danish, for the file's owner.

    problem: a stable name for programs. row: as Excel shows it; for NDJSON the line, for an array the item.
    column: its title. cell: such as F7. subject: the thing's id, where one could be read.
    """

    file: str
    problem: str
    message: str
    sheet: str | None = None
    row: int | None = None
    column: str | None = None
    cell: str | None = None
    subject: str | None = None


class Notice(NamedTuple):
    """Something that its owner should know, but that stops nothing."""

    file: str
    message: str
    sheet: str | None = None


class Phase(Enum):
    """What is being done, as it is shown."""

    READING = "Læser"
    SENDING = "Sender"


class Progress(NamedTuple):
    """How far it is. total: None while it is not known."""

    phase: Phase
    file: str
    done: int
    total: int | None


class Failure(NamedTuple):
    """What stopped the run as a whole. status: the exit status; message: Danish."""

    problem: str
    message: str
    status: int = UNAVAILABLE


@dataclass(slots=True)
class PublishReport:
    """What became of the files.

    rows: with content. accepted: taken in now. duplicates: events that the gateway had already. unchanged: rows
    that say what was published before. valid: rows that would be taken (validate only). filled: cells filled in.
    """

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    unchanged: int = 0
    valid: int = 0
    filled: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def refused(self) -> int:
        """How many rows, or whole files and sheets, were refused; a row counts once."""
        return len({(refusal.file, refusal.sheet, refusal.row) for refusal in self.refusals})

    @property
    def exit_status(self) -> int:
        """0 when everything is in order, 1 when something was refused, else that of the failure."""
        if self.failure is not None:
            return self.failure.status
        return BAD_INPUT if self.refusals else DONE

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        failure = self.failure
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "unchanged": self.unchanged,
            "valid": self.valid,
            "refused": self.refused,
            "filled": self.filled,
            "refusals": [
                {key: value for key, value in row._asdict().items() if value is not None} for row in self.refusals
            ],
            "notices": [
                {key: value for key, value in row._asdict().items() if value is not None} for row in self.notices
            ],
            "failure": None if failure is None else {"problem": failure.problem, "message": failure.message},
            "exitStatus": self.exit_status,
        }
