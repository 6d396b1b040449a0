"""The one forwarding decision: where an event goes, and why not elsewhere. Pure.

In this order: an event that was there before, or is older than what is known, goes nowhere; then the
publisher decides (its scope, and what the employer agreed to); then each agreement. Where a thing was
shared and does not belong any more, it is retracted. Source of the rules: `docs/agreements.md`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from exchange_gateway.core.agreements.book import InForce
from exchange_gateway.core.agreements.fields import STATUS_PROPERTIES
from exchange_gateway.core.agreements.model import AgreementVersion, Kind
from exchange_gateway.core.known_things import Known, Seen
from schemas.event import Event, digest
from schemas.identifiers import EventName


class Reason(StrEnum):
    """Why an event is withheld, or a thing is retracted. The list is closed; docs/agreements.md explains each."""

    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    STALE = "stale"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    SCOPE_OWN = "scope-own"
    EMPLOYER_DID_NOT_AGREE = "employer-did-not-agree"
    NO_AGREEMENT = "no-agreement"
    NO_VIA = "no-via"
    UNKNOWN_ALLIANCE = "unknown-alliance"
    SCOPE_TOO_NARROW = "scope-too-narrow"
    NOT_NAMED = "not-named"
    NOT_VALID_YET = "not-valid-yet"
    NOT_A_MEMBER = "not-a-member"
    ORDER_OWNER_NOT_A_MEMBER = "order-owner-not-a-member"
    TYPE_NOT_SHARED = "type-not-shared"
    NOT_A_PUBLISHER = "not-a-publisher"
    OVER_BEFORE_SHARED = "over-before-shared"


class Form(StrEnum):
    """What of an event goes into an alliance."""

    SHOWN = "shown"
    """The event, cut to the agreement's fields."""
    ENDED = "ended"
    """The event, cut to id and status, since its status says that the thing is over."""
    RETRACTED = "retracted"
    """An event that the forwarder makes, since the publisher's own says nothing that the alliance may see."""


class Forward(NamedTuple):
    """The event goes into an alliance. reason: why, where it is a retraction for another reason than its status."""

    alliance: str
    agreement: AgreementVersion
    form: Form = Form.SHOWN
    reason: Reason | None = None


class Withhold(NamedTuple):
    """The event does not go into an alliance; without `alliance`, into none (that no `Forward` names)."""

    reason: Reason
    alliance: str | None = None


Decision = Forward | Withhold

OVER: Mapping[str, frozenset[str]] = {
    EventName.JOB_ORDER: frozenset({"filled", "expired", "withdrawn"}),
    EventName.JOB_ORDER_RESPONSE: frozenset({"withdrawn"}),
}
"""Statuses that end a thing: whoever saw it is told the status and no more."""

OUT_OF_SIGHT: Mapping[str, frozenset[str]] = {**OVER, EventName.VISIT: frozenset({"cancelled"})}
"""Statuses with which the publisher's own event can retract a thing; a cancelled visit is else an update."""

WITHIN: Mapping[str, frozenset[Kind]] = {
    "own": frozenset(),
    "local": frozenset({Kind.LOCAL}),
    "alliances": frozenset({Kind.LOCAL, Kind.ALLIANCE}),
    "national": frozenset(Kind),
}
"""Which kinds of agreement a scope reaches: they nest."""

_Verdict = AgreementVersion | Reason
"""For one alliance: the agreement by which a thing may go there, or why it may not."""


def route(event: Event, known: Known, in_force: InForce, *, earlier: Event | None = None) -> tuple[Decision, ...]:
    """Decide where an event goes.

    known: what is remembered of its thing before it. in_force: the agreements at the step's instant.
    earlier: the thing's event with the same `source` and `id`, where it had one.
    """
    if earlier is not None:
        return (Withhold(Reason.DUPLICATE if same_content(event, earlier) else Reason.CONFLICT),)
    if event.time_us < known.time_us:
        return (Withhold(Reason.STALE),)
    if event.name == EventName.JOB_ORDER_RESPONSE:
        general, verdicts = _where_a_response_goes(event, in_force)
    else:
        general, verdicts = _where_a_thing_goes(event, in_force)
    if known.shared:
        instead = general[0] if general else Reason.NOT_A_MEMBER
        verdicts |= dict.fromkeys(sorted(known.shared - verdicts.keys()), instead)
    decisions = [_decide(event, alliance, verdict, known, in_force) for alliance, verdict in verdicts.items()]
    if not decisions and not general:
        general = [Reason.NO_AGREEMENT]
    return (*decisions, *map(Withhold, general))


def same_content(one: Event, other: Event) -> bool:
    """Whether two events say the same, as the gateway compares them: by content, not by spelling."""
    return digest(one.attributes, b"") == digest(other.attributes, b"")


def remember(event: Event, seen: Seen, known: Known, decisions: Iterable[Decision]) -> Known:
    """Return what is known of the thing after `decisions` were carried out; `known` itself when nothing is new."""
    shown: set[str] = set()
    ended: set[str] = set()
    retracted: set[str] = set()
    for decision in decisions:
        if type(decision) is Withhold:
            if decision.reason is Reason.DUPLICATE or decision.reason is Reason.CONFLICT:
                return known
        elif type(decision) is Forward:
            form = decision.form
            (shown if form is Form.SHOWN else ended if form is Form.ENDED else retracted).add(decision.alliance)
    shared = (known.shared | shown) - ended - retracted
    closed = (known.closed | ended) - shown - retracted
    return known.with_event(seen, event.time_us, shared, closed)


def _where_a_thing_goes(event: Event, in_force: InForce) -> tuple[list[Reason], dict[str, _Verdict]]:
    """Ask the publisher, then each agreement that lists it. Returns what holds for all, and per alliance."""
    sharing = event.data.get("sharing", {})
    # What the publisher does not say is its own: nothing is shared by silence.
    scope = sharing.get("scope", "own")
    if scope == "own":
        return [Reason.SCOPE_OWN], {}
    if event.name == EventName.JOB_ORDER and event.data.get("employerAgreed", "no") == "no":
        return [Reason.EMPLOYER_DID_NOT_AGREE], {}
    named = frozenset(sharing["alliances"]) if "alliances" in sharing else None
    verdicts: dict[str, _Verdict] = {}
    for agreement in in_force.of(event.participant):
        if agreement.agreement.kind not in WITHIN.get(scope, ()):
            verdicts[agreement.alliance] = Reason.SCOPE_TOO_NARROW
        elif named is not None and agreement.alliance not in named:
            verdicts[agreement.alliance] = Reason.NOT_NAMED
        else:
            verdicts[agreement.alliance] = _as_publisher(agreement, event)
    return _those_named_in_vain(named or frozenset(), event.participant, in_force, verdicts), verdicts


def _where_a_response_goes(event: Event, in_force: InForce) -> tuple[list[Reason], dict[str, _Verdict]]:
    """Ask each agreement that the response names as its way."""
    via = frozenset(event.data.get("via", ()))
    verdicts: dict[str, _Verdict] = {}
    for agreement in in_force.of(event.participant):
        if agreement.alliance not in via:
            continue
        if event.data.get("jobOrderOwner") not in agreement.agreement.members:
            verdicts[agreement.alliance] = Reason.ORDER_OWNER_NOT_A_MEMBER
        else:
            verdicts[agreement.alliance] = _as_publisher(agreement, event)
    if not via:
        return [Reason.NO_VIA], verdicts
    return _those_named_in_vain(via, event.participant, in_force, verdicts), verdicts


def _as_publisher(agreement: AgreementVersion, event: Event) -> _Verdict:
    """Say whether a member's events of this type are shared by an agreement."""
    if event.name not in agreement.agreement.shares:
        return Reason.TYPE_NOT_SHARED
    if not agreement.agreement.publishes(event.participant, event.name):
        return Reason.NOT_A_PUBLISHER
    return agreement


def _those_named_in_vain(
    named: frozenset[str], participant: str, in_force: InForce, verdicts: dict[str, _Verdict]
) -> list[Reason]:
    """Add why the alliances that an event names, and that are not the publisher's, do not get it.

    Names of no agreement give one reason together: an event may hold thousands.
    """
    in_vain = named - verdicts.keys()
    if not in_vain:
        return []
    for alliance in sorted(in_vain & (in_force.by_id.keys() | in_force.waiting.keys())):
        waits = alliance in in_force.waiting and participant in in_force.waiting[alliance].agreement.members
        verdicts[alliance] = Reason.NOT_VALID_YET if waits else Reason.NOT_A_MEMBER
    return [Reason.UNKNOWN_ALLIANCE] if in_vain - verdicts.keys() else []


def _decide(event: Event, alliance: str, verdict: _Verdict, known: Known, in_force: InForce) -> Decision:
    """Turn a verdict into what is done, by what the alliance has seen of the thing."""
    status = event.data.get(STATUS_PROPERTIES.get(event.name, ""))
    if isinstance(verdict, AgreementVersion):
        if status not in OVER.get(event.name, ()):
            return Forward(alliance, verdict)
        if alliance in known.shared or alliance in known.closed:
            return Forward(alliance, verdict, Form.ENDED)
        return Withhold(Reason.OVER_BEFORE_SHARED, alliance)
    if alliance not in known.shared:
        return Withhold(verdict, alliance)
    # A clock that went back can make an agreement wait again; what it shared is retracted all the same.
    agreement = in_force.by_id.get(alliance) or in_force.waiting[alliance]
    form = Form.ENDED if status in OUT_OF_SIGHT.get(event.name, ()) else Form.RETRACTED
    return Forward(alliance, agreement, form, verdict)
