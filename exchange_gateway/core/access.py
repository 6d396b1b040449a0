"""Who may publish, read and change what: the one access decision. Pure.

A decision is a value: None where it is allowed, else a `Denied` that says why. Source of the roles:
the table in `docs/access.md`.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a token lets its bearer do."""

    PUBLISHER = "publisher"
    READER = "reader"
    COORDINATOR = "coordinator"
    MANAGER = "manager"
    AUDITOR = "auditor"
    OPERATOR = "operator"


NATIVE_CLIENT = "native:"
"""What the client id of an event begins with that came by the native door; no token's client is called so."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a checked token speaks for. `client_id` names the client, never a person."""

    participant: str
    roles: frozenset[Role]
    represents: frozenset[str] = field(default_factory=frozenset)
    client_id: str = "unknown"

    @property
    def participants(self) -> frozenset[str]:
        """Everyone it may act as: its participant, and those that it represents."""
        return self.represents | {self.participant}


def native_principal(participant: str) -> Principal:
    """Return who a participant's own producer is: the broker's ACLs have decided who may write to its mailbox."""
    return Principal(participant, frozenset({Role.PUBLISHER}), client_id=NATIVE_CLIENT + participant)


@dataclass(frozen=True, slots=True)
class Denied:
    """Why something is not allowed. problem: the problem type's name."""

    detail: str
    problem: str = "forbidden"


def lacks_role(principal: Principal, *any_of: Role) -> Denied | None:
    """Deny unless the principal has one of the roles."""
    if principal.roles.isdisjoint(any_of):
        wanted = " or ".join(any_of)
        return Denied(f"This needs a token with the role {wanted}; yours has {', '.join(sorted(principal.roles))}.")
    return None


def may_publish(principal: Principal, participant: str) -> Denied | None:
    """Decide whether the principal may publish as `participant`, the one in the event's source."""
    denied = lacks_role(principal, Role.PUBLISHER)
    if denied is None and participant != principal.participant and participant not in principal.represents:
        return Denied(
            f"Your token speaks for {principal.participant}; the event's source names {participant}. "
            "Publish with a token of the participant in the source.",
            "another-source",
        )
    return denied


def may_tell_of_connectors(principal: Principal, participant: str) -> Denied | None:
    """Decide whether the principal may say how a connector of `participant` is: one that only delivers only reads."""
    denied = lacks_role(principal, Role.PUBLISHER, Role.READER)
    if denied is None and participant not in principal.participants:
        return Denied(f"Your token does not speak for {participant}.")
    return denied


def may_change_agreement(principal: Principal, coordinators: tuple[str, ...]) -> Denied | None:
    """Decide whether the principal may write an agreement that names `coordinators`."""
    if Role.OPERATOR in principal.roles:
        return None
    denied = lacks_role(principal, Role.COORDINATOR, Role.OPERATOR)
    if denied is None and principal.participants.isdisjoint(coordinators):
        return Denied(
            "Only a participant that the agreement lists among its coordinators, or an operator, may change it."
        )
    return denied
