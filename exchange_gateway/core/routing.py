"""The one forwarding decision: where an event goes, and why not elsewhere. Pure.

In this order: an event that was there before, or is older than what is known, goes nowhere; then the
publisher decides (its scope, and what the employer agreed to); then each agreement. Where a thing was
shared and does not belong any more, it is retracted. Source of the rules: `docs/agreements.md`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self

from exchange_gateway.core.agreements.book import InForce
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


class Decisions(NamedTuple):
    """What is done with one event: for each alliance one decision, and those that hold for all others.

    shown, ended, retracted: the alliances that the event goes to, by form. again: it was there before.
    """

    each: tuple[Decision, ...]
    shown: frozenset[str]
    ended: frozenset[str]
    retracted: frozenset[str]
    again: bool

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> Self:
        """Put decisions together."""
        each = tuple(decisions)
        forwards = [decision for decision in each if isinstance(decision, Forward)]
        shown, ended, retracted = (
            frozenset(forward.alliance for forward in forwards if forward.form is form)
            for form in (Form.SHOWN, Form.ENDED, Form.RETRACTED)
        )
        again = any(isinstance(decision, Withhold) and decision.reason in AGAIN for decision in each)
        return cls(each, shown, ended, retracted, again)


AGAIN = frozenset({Reason.DUPLICATE, Reason.CONFLICT})

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


class Question(NamedTuple):
    """All of an event, and of what is known of its thing, that decides where it goes.

    status: or kind. scope: `own` where nothing is said. refused: the employer did not agree. named: the
    alliances that the event names (`sharing.alliances`, `via`), None where it names none. order_owner: of
    the order that a response answers. shared, closed: see `Known`.
    """

    owner: str
    name: str
    status: str | None
    scope: str
    refused: bool
    named: frozenset[str] | None
    order_owner: str | None
    shared: frozenset[str]
    closed: frozenset[str]


_Verdict = AgreementVersion | Reason
"""For one alliance: the agreement by which a thing may go there, or why it may not."""

STALE = Decisions.of([Withhold(Reason.STALE)])
DUPLICATE = Decisions.of([Withhold(Reason.DUPLICATE)])
CONFLICT = Decisions.of([Withhold(Reason.CONFLICT)])

ANSWERS_MAX = 4096
"""Answers kept for one state of the agreements: most events ask what one before them asked."""

NAMED_MAX = 16
"""Questions that name more alliances are not kept: an event can name thousands."""


def route(event: Event, known: Known, in_force: InForce, *, earlier: Event | None = None) -> Decisions:
    """Decide where an event goes.

    known: what is remembered of its thing before it. in_force: the agreements at the step's instant.
    earlier: the thing's event with the same `source` and `id`, where it had one.
    """
    if earlier is not None:
        return DUPLICATE if same_content(event, earlier) else CONFLICT
    if event.time_us < known.time_us:
        return STALE
    asked = _question(event, known)
    answer: Decisions | None = in_force.answers.get(asked)
    if answer is None:
        question = Question._make(asked)
        answer = Decisions.of(_answer(question, in_force))
        if len(in_force.answers) < ANSWERS_MAX and len(question.named or ()) <= NAMED_MAX:
            in_force.answers[asked] = answer
    return answer


def _question(event: Event, known: Known) -> tuple[Any, ...]:
    """Return the fields of a `Question`; it is made of them only when it has not been asked yet."""
    data, name, owner = event.attributes["data"], event.name, event.source.participant
    if name == EventName.JOB_ORDER_RESPONSE:
        via = frozenset(data.get("via", ()))
        order_owner = data.get("jobOrderOwner")
        return (owner, name, data.get("kind"), "", False, via, order_owner, known.shared, known.closed)
    # What the publisher does not say is its own: nothing is shared by silence.
    sharing = data.get("sharing", {})
    named = frozenset(sharing["alliances"]) if "alliances" in sharing else None
    refused = name == EventName.JOB_ORDER and data.get("employerAgreed", "no") == "no"
    scope = sharing.get("scope", "own")
    return (owner, name, data.get("status"), scope, refused, named, None, known.shared, known.closed)


def _answer(question: Question, in_force: InForce) -> list[Decision]:
    if question.name == EventName.JOB_ORDER_RESPONSE:
        general, verdicts = _where_a_response_goes(question, in_force)
    else:
        general, verdicts = _where_a_thing_goes(question, in_force)
    instead = general[0] if general else Reason.NOT_A_MEMBER
    verdicts |= dict.fromkeys(sorted(question.shared - verdicts.keys()), instead)
    decisions = [_decide(question, alliance, verdict, in_force) for alliance, verdict in verdicts.items()]
    if not decisions and not general:
        general = [Reason.NO_AGREEMENT]
    return [*decisions, *map(Withhold, general)]


def same_content(one: Event, other: Event) -> bool:
    """Whether two events say the same, as the gateway compares them: by content, not by spelling."""
    return digest(one.attributes, b"") == digest(other.attributes, b"")


def remember(event: Event, seen: Seen, known: Known, decisions: Decisions) -> Known:
    """Return what is known of the thing after `decisions` were carried out; `known` itself when nothing is new."""
    if decisions.again:
        return known
    if not (known.shared or known.closed or decisions.ended or decisions.retracted):
        # Nobody saw the thing before, as with most events: whoever is shown it now is all there are.
        return known.with_event(seen, event.time_us, decisions.shown)
    shared = (known.shared | decisions.shown) - decisions.ended - decisions.retracted
    closed = (known.closed | decisions.ended) - decisions.shown - decisions.retracted
    return known.with_event(seen, event.time_us, shared, closed)


def _where_a_thing_goes(question: Question, in_force: InForce) -> tuple[list[Reason], dict[str, _Verdict]]:
    """Ask the publisher, then each agreement that lists it. Returns what holds for all, and per alliance."""
    if question.scope == "own":
        return [Reason.SCOPE_OWN], {}
    if question.refused:
        return [Reason.EMPLOYER_DID_NOT_AGREE], {}
    verdicts: dict[str, _Verdict] = {}
    for agreement in in_force.of(question.owner):
        if agreement.agreement.kind not in WITHIN.get(question.scope, ()):
            verdicts[agreement.alliance] = Reason.SCOPE_TOO_NARROW
        elif question.named is not None and agreement.alliance not in question.named:
            verdicts[agreement.alliance] = Reason.NOT_NAMED
        else:
            verdicts[agreement.alliance] = _as_publisher(agreement, question)
    return _those_named_in_vain(question, in_force, verdicts), verdicts


def _where_a_response_goes(question: Question, in_force: InForce) -> tuple[list[Reason], dict[str, _Verdict]]:
    """Ask each agreement that the response names as its way."""
    verdicts: dict[str, _Verdict] = {}
    for agreement in in_force.of(question.owner):
        if agreement.alliance not in (question.named or ()):
            continue
        if question.order_owner not in agreement.agreement.members:
            verdicts[agreement.alliance] = Reason.ORDER_OWNER_NOT_A_MEMBER
        else:
            verdicts[agreement.alliance] = _as_publisher(agreement, question)
    if not question.named:
        return [Reason.NO_VIA], verdicts
    return _those_named_in_vain(question, in_force, verdicts), verdicts


def _as_publisher(agreement: AgreementVersion, question: Question) -> _Verdict:
    """Say whether a member's events of this type are shared by an agreement."""
    if question.name not in agreement.agreement.shares:
        return Reason.TYPE_NOT_SHARED
    if not agreement.agreement.publishes(question.owner, question.name):
        return Reason.NOT_A_PUBLISHER
    return agreement


def _those_named_in_vain(question: Question, in_force: InForce, verdicts: dict[str, _Verdict]) -> list[Reason]:
    """Add why the alliances that an event names, and that are not the publisher's, do not get it.

    Names of no agreement give one reason together: an event may hold thousands.
    """
    in_vain = (question.named or frozenset()) - verdicts.keys()
    for alliance in sorted(in_vain & (in_force.by_id.keys() | in_force.waiting.keys())):
        waits = alliance in in_force.waiting and question.owner in in_force.waiting[alliance].agreement.members
        verdicts[alliance] = Reason.NOT_VALID_YET if waits else Reason.NOT_A_MEMBER
    return [Reason.UNKNOWN_ALLIANCE] if in_vain - verdicts.keys() else []


def _decide(question: Question, alliance: str, verdict: _Verdict, in_force: InForce) -> Decision:
    """Turn a verdict into what is done, by what the alliance has seen of the thing."""
    if isinstance(verdict, AgreementVersion):
        if question.status not in OVER.get(question.name, ()):
            return Forward(alliance, verdict)
        if alliance in question.shared or alliance in question.closed:
            return Forward(alliance, verdict, Form.ENDED)
        return Withhold(Reason.OVER_BEFORE_SHARED, alliance)
    if alliance not in question.shared:
        return Withhold(verdict, alliance)
    # A clock that went back can make an agreement wait again; what it shared is retracted all the same.
    agreement = in_force.by_id.get(alliance) or in_force.waiting[alliance]
    form = Form.ENDED if question.status in OUT_OF_SIGHT.get(question.name, ()) else Form.RETRACTED
    return Forward(alliance, agreement, form, verdict)
