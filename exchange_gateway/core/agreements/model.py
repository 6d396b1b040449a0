"""What an agreement is, once it has been read. Pure values.

Source of the rules: `docs/agreements.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.event import Violation


class Kind(StrEnum):
    """How wide an agreement's circle is; a publisher's `sharing.scope` names the widest it allows."""

    ALLIANCE = "alliance"
    LOCAL = "local"
    NATIONAL = "national"


@dataclass(frozen=True, slots=True)
class Member:
    """One participant of an agreement. `publishes` and `reads`: type names; None means all that are shared."""

    participant: str
    name: str
    publishes: frozenset[str] | None = None
    reads: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version's content.

    members: by participant. shares: for each type the JSON Pointers that leave; None means the default.
    """

    id: str
    name: str
    kind: Kind
    valid_from_us: int
    coordinators: tuple[str, ...]
    members: Mapping[str, Member]
    shares: Mapping[str, tuple[str, ...] | None]

    def publishes(self, participant: str, name: str) -> bool:
        """Whether events of this type that this participant publishes are shared here."""
        member = self.members.get(participant)
        return member is not None and name in self.shares and (member.publishes is None or name in member.publishes)

    def reads(self, participant: str, name: str) -> bool:
        """Whether this participant may read what is shared here of this type."""
        member = self.members.get(participant)
        return member is not None and name in self.shares and (member.reads is None or name in member.reads)


@dataclass(frozen=True, slots=True)
class AgreementVersion:
    """An agreement as it stands in `control.agreements`.

    alliance: the agreement's id. number: 1 for the first. offset: where it stands. body: the agreement as
    its coordinator wrote it. changed_at: RFC 3339.
    """

    alliance: str
    number: int
    offset: int
    agreement: Agreement
    body: dict[str, Any]
    changed_by: str
    changed_at: str

    @property
    def etag(self) -> str:
        """The strong ETag of this version (RFC 9110, section 8.8.3)."""
        return f'"{self.number}"'


class AgreementError(ValueError):
    """An agreement is not taken. problem: the problem type's name; violations point into its body."""

    problem = "invalid-agreement"

    def __init__(self, detail: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(detail)
        self.detail, self.violations = detail, violations


class InvalidAgreement(AgreementError):
    """The body is not an agreement by the rules."""


class NotSupportedYet(AgreementError):
    """The body asks for something that this version does not act on; refused rather than ignored."""

    problem = "not-supported-yet"


class UnreadableAgreement(ValueError):
    """A record of `control.agreements` cannot be read, so nobody knows what may be shared."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(f"The agreement at offset {offset} of control.agreements cannot be read: {detail}")
        self.offset, self.detail = offset, detail
