"""Decide whether a proposed agreement becomes the next version. Pure; the decision is a value.

The caller holds the processor `agreements`, has read `control.agreements` to its end into the book,
and appends what it gets: so nobody can write between the comparison and the append.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from broker_adapters.log import RECORD_BYTES_MAX, NewRecord
from exchange_gateway.core.access import Principal, Role, lacks_role, may_change_agreement
from exchange_gateway.core.agreements.book import AgreementBook
from exchange_gateway.core.agreements.fields import (
    DEFAULT_WHEN_HELD,
    DEFAULT_WITHOUT_CLOCK,
    KnownFields,
    always_leaves,
    covers,
    default_fields,
)
from exchange_gateway.core.agreements.model import Agreement, AgreementError, AgreementVersion, Kind
from exchange_gateway.core.agreements.parsing import parse_agreement
from schemas.event import Violation, format_time


@dataclass(frozen=True, slots=True)
class Accepted:
    """The next version. record: to append to `control.agreements`. version: its number, 1 for a new agreement."""

    record: NewRecord
    version: int
    agreement: Agreement

    @property
    def etag(self) -> str:
        """The strong ETag of this version."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The proposal says what the newest version says; nothing is to be written."""

    newest: AgreementVersion


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not. problem: the problem type's name. etag: of the newest version, where the caller may see it."""

    problem: str
    detail: str
    violations: tuple[Violation, ...] = ()
    etag: str | None = None


def propose(
    book: AgreementBook,
    alliance: str,
    body: Any,
    *,
    fields: KnownFields,
    if_none_match: str | None,
    if_match: str | None,
    principal: Principal,
    now_us: int,
) -> Accepted | Unchanged | Refused:
    """Decide on a PUT of `body` to `/v1/alliances/{alliance}`.

    In the order: who asks, which version they saw, what they want. if_match, if_none_match: the headers.
    """
    newest = book.newest(alliance)
    refused = _not_allowed(principal, newest) or _not_that_version(newest, if_none_match, if_match)
    if refused is not None:
        return refused
    try:
        agreement = parse_agreement(body, fields)
    except AgreementError as error:
        return Refused(error.problem, error.detail, error.violations)
    refused = _not_theirs(principal, newest, agreement) or _does_not_fit(book, alliance, agreement)
    if refused is not None:
        return refused
    if newest is not None and same_agreement(newest.body, body):
        return Unchanged(newest)
    return _takes_away(newest, agreement) or _accept(newest, agreement, body, principal.participant, now_us)


def _accept(
    newest: AgreementVersion | None, agreement: Agreement, body: Any, by: str, now_us: int
) -> Accepted | Refused:
    number = 1 if newest is None else newest.number + 1
    value = orjson.dumps({
        "alliance": agreement.id,
        "version": number,
        "changedBy": by,
        "changedAt": format_time(now_us),
        "agreement": body,
    })  # fmt: skip
    if len(value) > RECORD_BYTES_MAX:
        return Refused("invalid-agreement", f"The agreement has {len(value)} bytes; {RECORD_BYTES_MAX} is the most.")
    return Accepted(NewRecord(value, agreement.id.encode()), number, agreement)


def _not_allowed(principal: Principal, newest: AgreementVersion | None) -> Refused | None:
    """Refuse whoever the newest version does not name; for a new agreement, whoever lacks the role."""
    if newest is not None:
        denied = may_change_agreement(principal, newest.agreement.coordinators)
    else:
        denied = lacks_role(principal, Role.COORDINATOR, Role.OPERATOR)
    return None if denied is None else Refused(denied.problem, denied.detail)


def _not_that_version(
    newest: AgreementVersion | None, if_none_match: str | None, if_match: str | None
) -> Refused | None:
    """Compare the preconditions (RFC 9110, section 13.1), strongly: a weak ETag never matches."""
    etag = None if newest is None else newest.etag
    if if_match is not None:
        wanted = [part.strip() for part in if_match.split(",")]
        if etag is not None and ("*" in wanted or etag in wanted):
            return None
        there = "there is no such agreement" if etag is None else f"the newest version is {etag}"
        return Refused(
            "precondition-failed", f"You changed {if_match[:64]}, but {there}. Read it and decide anew.", (), etag
        )
    if if_none_match is not None and if_none_match.strip() == "*":
        if newest is None:
            return None
        return Refused(
            "precondition-failed", f"There is an agreement {newest.alliance!r} already, version {etag}.", (), etag
        )
    return Refused(
        "precondition-required",
        "Send If-None-Match: * to make a new agreement, or If-Match with the ETag of the version that you read.",
        (),
        etag,
    )


def _not_theirs(principal: Principal, newest: AgreementVersion | None, agreement: Agreement) -> Refused | None:
    """Refuse a new agreement by somebody whom it does not name as its coordinator."""
    denied = may_change_agreement(principal, agreement.coordinators) if newest is None else None
    return None if denied is None else Refused(denied.problem, denied.detail)


def _does_not_fit(book: AgreementBook, alliance: str, agreement: Agreement) -> Refused | None:
    """Refuse what is wrong in this place or beside the other agreements."""
    national = book.national()
    if agreement.id != alliance:
        detail = f"The id is {agreement.id!r}, but the path says {alliance!r}."
        violation = Violation("/id", "const", detail, alliance)
    elif agreement.kind is Kind.NATIONAL and national is not None and national.alliance != alliance:
        detail = f"There is one agreement of kind national already, {national.alliance!r}; there can be only one."
        violation = Violation("/kind", "unique", detail)
    else:
        return None
    return Refused("invalid-agreement", violation.detail, (violation,))


def _takes_away(newest: AgreementVersion | None, agreement: Agreement) -> Refused | None:
    """Refuse a version that has less than the one before: what was shared would have to be retracted."""
    lost = [] if newest is None else takes_away(newest.agreement, agreement)
    if not lost:
        return None
    detail = f"A version cannot take anything away yet. {lost[0].detail} Keep what is there, and add to it."
    return Refused("not-supported-yet", detail, tuple(lost))


def same_agreement(one: Any, other: Any) -> bool:
    """Whether two bodies say the same: nulls and `delay` PT0S count as left out, objects have no order."""
    return bool(_without_empty(one) == _without_empty(other))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_empty(item)
            for name, item in value.items()
            if item is not None and (name, item) != ("delay", "PT0S")
        }
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def takes_away(old: Agreement, new: Agreement) -> list[Violation]:
    """Name each member, type and field that the old version had and the new one lacks."""
    found: list[Violation] = []

    def gone(pointer: str, detail: str) -> None:
        found.append(Violation(pointer, "not-supported-yet", detail))

    if new.kind is not old.kind:
        gone("/kind", f"The kind was {old.kind}.")
    for participant in old.members:
        if participant not in new.members:
            gone("/members", f"{participant} was a member.")
    for name in old.shares:
        if name not in new.shares:
            gone("/shares", f"{name} was shared.")
            continue
        for field in _lost_fields(name, old.shares[name], new.shares[name]):
            gone(f"/shares/{name}/fields", f"{field} of {name} was shared.")
    for index, participant in enumerate(new.members):
        if participant in old.members:
            found += _lost_rights(old, new, participant, f"/members/{index}")
    return found


def _lost_rights(old: Agreement, new: Agreement, participant: str, pointer: str) -> list[Violation]:
    """Name the types that a member published or read, and would no more."""
    return [
        Violation(f"{pointer}/{right}", "not-supported-yet", f"{participant} {right} {name} until now.")
        for right in ("publishes", "reads")
        for name in old.shares
        if name in new.shares and getattr(old, right)(participant, name) and not getattr(new, right)(participant, name)
    ]


def _lost_fields(name: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> list[str]:
    """Return what left before and would leave no more."""
    if old == new:
        return []
    shown = default_fields(name) if new is None else always_leaves(name) + new
    before = default_fields(name) if old is None else old
    lost = [field for field in before if not any(covers(wider, field) for wider in shown)]
    if new is None:
        # By default these leave less than when an agreement lists them.
        less = {DEFAULT_WITHOUT_CLOCK.get(name), DEFAULT_WHEN_HELD.get(name)}
        lost += [field for field in before if field in less]
    return lost
