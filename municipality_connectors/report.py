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

    @property
    def message_with_place(self) -> str:
        """The message, with where it is."""
        row = "" if self.row is None else f"række {self.row}"
        column = " ".join(filter(None, (self.column, f"({self.cell})" if self.cell else "")))
        return f"{' · '.join(filter(None, (self.file, self.sheet, row, column)))}: {self.message}"


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


class Planned(NamedTuple):
    """Something that a run publishes, as it is shown beforehand. what: new, changed or withdrawn; data: its JSON."""

    what: str
    name: str
    subject: str
    data: bytes


@dataclass(slots=True)
class PublishReport:
    """What became of the files.

    rows: with content. accepted: taken in now. duplicates: events that the gateway had already. unchanged: rows
    that say what was published before. valid: rows that would be taken (validate only). filled: cells filled in.
    new, changed, withdrawn: things with something to publish; the first `planned_max` of them are in `planned`.
    still_refused: rows as the gateway refused them before. asked: things that are taken back only when a
    person says so. waiting: events that the gateway has not taken in yet, the first since waiting_since_us.
    refused_there: events that the gateway refused in this run; set_aside: all that it refused and that were not mended.
    unreadable: why a source, or a file of it, could not be read: a stable name. delivered: events of partners that were
    put where the file asks for them.
    """

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    unchanged: int = 0
    valid: int = 0
    filled: int = 0
    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    still_refused: int = 0
    asked: int = 0
    waiting: int = 0
    waiting_since_us: int | None = None
    refused_there: int = 0
    set_aside: int = 0
    unreadable: str | None = None
    delivered: int = 0
    planned_max: int = 0
    planned: list[Planned] = field(default_factory=list)
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
        return BAD_INPUT if self.refusals or self.still_refused or self.asked else DONE

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
            "new": self.new,
            "changed": self.changed,
            "withdrawn": self.withdrawn,
            "stillRefused": self.still_refused,
            "asked": self.asked,
            "waiting": self.waiting,
            "setAside": self.set_aside,
            "delivered": self.delivered,
            "refusals": [
                {key: value for key, value in row._asdict().items() if value is not None} for row in self.refusals
            ],
            "notices": [
                {key: value for key, value in row._asdict().items() if value is not None} for row in self.notices
            ],
            "failure": None if failure is None else {"problem": failure.problem, "message": failure.message},
            "exitStatus": self.exit_status,
        }
