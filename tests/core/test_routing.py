"""Where an event goes, and why not elsewhere."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.known_things import NOTHING, Known
from exchange_gateway.core.routing import DUPLICATE, Decisions, Form, Forward, Reason, remember, route
from schemas.event import Event
from tests.core.agreement_samples import NOW_US, agreement, book_of
from tests.core.event_samples import event, known, seen

MEMBERS = [{"participant": code} for code in ("0657", "0671")]
ALL: dict[str, Any] = {
    name: {} for name in ("job-order", "visit", "company-contact", "company-cooperation", "job-order-response")
}
VEST = agreement(members=MEMBERS, shares=ALL)
FJORD = agreement(id="fjord", members=[*MEMBERS, {"participant": "0779"}], shares=ALL)
LOCAL = agreement(id="lokalt", kind="local", members=[{"participant": "0671"}], shares=ALL)
NATIONAL = agreement(id="national", kind="national", members=MEMBERS, shares=ALL)
BOOK = book_of(VEST, FJORD, LOCAL, NATIONAL)
OPEN = ("vest", "fjord")

Outcome = set[tuple[str | None, str]]


def decide(
    one: Event, before: Known = NOTHING, book: AgreementBook = BOOK, at_us: int = NOW_US, earlier: Event | None = None
) -> Decisions:
    return route(one, before, book.in_force(at_us), earlier=earlier)


def outcome(decisions: Decisions) -> Outcome:
    """Return for each alliance (None: all others) the form in which it gets the event, or the reason why not."""
    return {
        (decision.alliance, decision.form.value if isinstance(decision, Forward) else decision.reason.value)
        for decision in decisions.each
    }


SCOPES: list[tuple[dict[str, Any], Outcome]] = [
    ({"scope": "own"}, {(None, "scope-own")}),
    (
        {"scope": "local"},
        {
            ("lokalt", "shown"),
            ("vest", "scope-too-narrow"),
            ("fjord", "scope-too-narrow"),
            ("national", "scope-too-narrow"),
        },
    ),
    (
        {"scope": "alliances"},
        {("lokalt", "shown"), ("vest", "shown"), ("fjord", "shown"), ("national", "scope-too-narrow")},
    ),
    ({"scope": "national"}, {("lokalt", "shown"), ("vest", "shown"), ("fjord", "shown"), ("national", "shown")}),
    (
        {"scope": "national", "alliances": ["fjord"]},
        {("lokalt", "not-named"), ("vest", "not-named"), ("fjord", "shown"), ("national", "not-named")},
    ),
    (
        {"scope": "alliances", "alliances": []},
        {("lokalt", "not-named"), ("vest", "not-named"), ("fjord", "not-named"), ("national", "scope-too-narrow")},
    ),
    (
        {"scope": "alliances", "alliances": ["vest", "7k", "6k"]},
        {
            ("lokalt", "not-named"),
            ("vest", "shown"),
            ("fjord", "not-named"),
            ("national", "scope-too-narrow"),
            (None, "unknown-alliance"),
        },
    ),
    (
        {"scope": "galaxy"},
        {(name, "scope-too-narrow") for name in ("lokalt", "vest", "fjord", "national")},
    ),
]


@pytest.mark.parametrize("name", ["job-order", "visit", "company-contact", "company-cooperation"])
@pytest.mark.parametrize(("sharing", "expected"), SCOPES)
def test_the_publisher_decides_how_far(name: str, sharing: dict[str, Any], expected: Outcome) -> None:
    """Scopes nest, and the alliances named, where any are, leave out all others."""
    assert outcome(decide(event(name, sharing=sharing))) == expected


def test_nothing_is_shared_by_silence() -> None:
    """A thing that does not say how far it goes, goes nowhere."""
    assert outcome(decide(event(sharing=...))) == {(None, "scope-own")}


@pytest.mark.parametrize("agreed", ["no", ...])
def test_nothing_leaves_that_the_employer_did_not_agree_to(agreed: Any) -> None:
    """A job order whose employer said no, or was not asked, goes nowhere."""
    assert outcome(decide(event(employerAgreed=agreed))) == {(None, "employer-did-not-agree")}


def test_an_explicit_scope_counts_whatever_the_purpose() -> None:
    """A contact about keeping somebody in work goes where its publisher says that it may."""
    shared = event("company-contact", purposes=["retention"])
    assert ("vest", "shown") in outcome(decide(shared))


AGREEMENTS: list[tuple[dict[str, Any], str]] = [
    ({"shares": {"visit": {}}}, "type-not-shared"),
    ({"members": [{"participant": "0671", "publishes": ["visit"]}]}, "not-a-publisher"),
    ({"members": [{"participant": "0671", "publishes": []}]}, "not-a-publisher"),
    ({"members": [{"participant": "0671", "reads": []}]}, "shown"),
    ({}, "shown"),
]


@pytest.mark.parametrize(("changes", "expected"), AGREEMENTS)
def test_an_agreement_decides_second(changes: dict[str, Any], expected: str) -> None:
    """It must share the type, and the member must publish it; what the member reads does not matter."""
    assert outcome(decide(event(), book=book_of(agreement(**changes)))) == {("vest", expected)}


def test_who_is_in_no_agreement_shares_with_nobody() -> None:
    """Without an agreement there is one reason, and no alliance."""
    assert outcome(decide(event(owner="0779"), book=book_of(VEST))) == {(None, "no-agreement")}


def test_an_alliance_that_does_not_list_the_publisher_gets_nothing() -> None:
    """Naming an alliance does not make one its member."""
    one = event(owner="0779", sharing={"scope": "alliances", "alliances": ["vest"]})
    assert outcome(decide(one)) == {("fjord", "not-named"), ("vest", "not-a-member")}


def test_an_agreement_counts_from_its_first_instant() -> None:
    """Before validFrom nothing is shared by it, from that instant on it is."""
    book = book_of(agreement(validFrom="2026-11-18T11:06:41Z"))
    named = event(sharing={"scope": "alliances", "alliances": ["vest"]})
    assert outcome(decide(named, book=book)) == {("vest", "not-valid-yet")}
    assert outcome(decide(event(), book=book)) == {(None, "no-agreement")}
    assert outcome(decide(event(), book=book, at_us=NOW_US + 1_000_000)) == {("vest", "shown")}


def test_the_newest_version_in_force_decides() -> None:
    """An event goes by the agreement as it is at the instant, whichever version that is."""
    book = book_of(VEST, {**VEST, "validFrom": "2027-01-01T00:00:00Z", "name": "Ny"}, {**VEST, "name": "Nyest"})
    forwards = [one for one in decide(event(), book=book).each if isinstance(one, Forward)]
    assert [(forward.alliance, forward.agreement.number) for forward in forwards] == [("vest", 3)]


def test_the_same_again_is_withheld() -> None:
    """An event with the same source and id is a duplicate when it says the same, else a conflict."""
    assert outcome(decide(event(), earlier=event())) == {(None, "duplicate")}
    assert outcome(decide(event(), earlier=event(title="4 smede"))) == {(None, "conflict")}


def test_a_duplicate_is_told_before_it_is_stale() -> None:
    """A second copy that comes late is still called what it is."""
    assert outcome(decide(event(minute=1), known(before=event(minute=5)), earlier=event(minute=1))) == {
        (None, "duplicate")
    }


def test_an_older_state_is_stale_and_an_equally_old_one_is_not() -> None:
    """At equal time the later in the log counts."""
    newer = known(before=event(minute=5))
    assert outcome(decide(event(minute=4), newer)) == {(None, "stale")}
    assert ("vest", "shown") in outcome(decide(event(minute=5), newer))


ENDS = [
    ("job-order", {"status": "filled"}),
    ("job-order", {"status": "expired"}),
    ("job-order", {"status": "withdrawn"}),
    ("job-order-response", {"kind": "withdrawn", "via": ["vest", "fjord"]}),
]


@pytest.mark.parametrize(("name", "data"), ENDS)
def test_the_end_of_a_thing_is_told_where_it_was_shared(name: str, data: dict[str, Any]) -> None:
    """Who saw a thing gets its own event, cut to id and status; who did not, gets nothing."""
    decided = outcome(decide(event(name, **data), known(shared=("vest",))))
    assert {("vest", "ended"), ("fjord", "over-before-shared")} <= decided


@pytest.mark.parametrize("status", ["enough-candidates", "paused"])
def test_a_pause_is_an_update(status: str) -> None:
    """An order that waits is shown as before."""
    assert ("vest", "shown") in outcome(decide(event(status=status), known(shared=("vest",))))


def test_a_second_end_reaches_those_who_were_told_the_first() -> None:
    """An order that was filled and is then withdrawn is known as withdrawn."""
    decided = outcome(decide(event(status="withdrawn"), known(closed=("vest",))))
    assert {("vest", "ended"), ("fjord", "over-before-shared")} <= decided


def test_a_second_end_beyond_the_scope_reaches_nobody() -> None:
    """Who was told the end of a thing that is the publisher's own now, is told no more."""
    assert outcome(decide(event(status="withdrawn", sharing={"scope": "own"}), known(closed=("vest",)))) == {
        (None, "scope-own")
    }


def test_a_reopened_order_is_shared_again() -> None:
    """After its end an open state goes out as a new one does."""
    assert ("vest", "shown") in outcome(decide(event(), known(closed=("vest",))))


RETRACTIONS: list[tuple[str, dict[str, Any], Outcome]] = [
    ("job-order", {"sharing": {"scope": "own"}}, {("vest", "retracted"), ("fjord", "retracted"), (None, "scope-own")}),
    (
        "job-order",
        {"employerAgreed": "no"},
        {("vest", "retracted"), ("fjord", "retracted"), (None, "employer-did-not-agree")},
    ),
    (
        "job-order",
        {"sharing": {"scope": "alliances", "alliances": ["vest"]}},
        {("vest", "shown"), ("fjord", "retracted"), ("lokalt", "not-named"), ("national", "scope-too-narrow")},
    ),
    (
        "job-order",
        {"sharing": {"scope": "local"}},
        {("vest", "retracted"), ("fjord", "retracted"), ("lokalt", "shown"), ("national", "scope-too-narrow")},
    ),
    (
        "job-order",
        {"sharing": {"scope": "own"}, "status": "withdrawn"},
        {("vest", "ended"), ("fjord", "ended"), (None, "scope-own")},
    ),
    (
        "job-order",
        {"employerAgreed": "no", "status": "filled"},
        {("vest", "ended"), ("fjord", "ended"), (None, "employer-did-not-agree")},
    ),
    ("visit", {"sharing": {"scope": "own"}}, {("vest", "retracted"), ("fjord", "retracted"), (None, "scope-own")}),
    (
        "visit",
        {"sharing": {"scope": "own"}, "status": "cancelled"},
        {("vest", "ended"), ("fjord", "ended"), (None, "scope-own")},
    ),
    (
        "company-contact",
        {"sharing": {"scope": "own"}},
        {("vest", "retracted"), ("fjord", "retracted"), (None, "scope-own")},
    ),
    ("job-order-response", {"via": []}, {("vest", "retracted"), ("fjord", "retracted"), (None, "no-via")}),
    ("job-order-response", {"via": ["vest"]}, {("vest", "shown"), ("fjord", "retracted")}),
    ("job-order-response", {"via": ["vest"], "kind": "withdrawn"}, {("vest", "ended"), ("fjord", "ended")}),
]


@pytest.mark.parametrize(("name", "data", "expected"), RETRACTIONS)
def test_what_leaves_an_alliances_reach_is_retracted_there(name: str, data: dict[str, Any], expected: Outcome) -> None:
    """By the publisher's own event where its status says so, else by one that the forwarder makes."""
    assert outcome(decide(event(name, **data), known(shared=OPEN))) == expected


def test_a_retraction_says_why() -> None:
    """The reason for which a thing is retracted is part of the decision."""
    decided = decide(event(sharing={"scope": "own"}), known(shared=("vest",)))
    assert [one.reason for one in decided.each] == [Reason.SCOPE_OWN, Reason.SCOPE_OWN]


def test_a_cancelled_visit_within_reach_is_an_update() -> None:
    """Partners learn that a visit is cancelled, and which one."""
    assert ("vest", "shown") in outcome(decide(event("visit", status="cancelled"), known(shared=("vest",))))


RESPONSES: list[tuple[dict[str, Any], Outcome]] = [
    ({"via": ["vest"]}, {("vest", "shown")}),
    ({"via": ["vest", "fjord"]}, {("vest", "shown"), ("fjord", "shown")}),
    ({"via": []}, {(None, "no-via")}),
    ({"via": ["7k"]}, {(None, "unknown-alliance")}),
    ({"via": ["7k", "vest"]}, {("vest", "shown"), (None, "unknown-alliance")}),
    ({"via": ["lokalt"]}, {("lokalt", "not-a-member")}),
    ({"via": ["vest", "fjord"], "jobOrderOwner": "0779"}, {("vest", "order-owner-not-a-member"), ("fjord", "shown")}),
    ({"via": ["national"]}, {("national", "shown")}),
]


@pytest.mark.parametrize(("data", "expected"), RESPONSES)
def test_an_answer_goes_back_the_way_the_order_came(data: dict[str, Any], expected: Outcome) -> None:
    """It goes to those alliances it names in which both its sender and the order's owner are members."""
    assert outcome(decide(event("job-order-response", owner="0657", **data))) == expected


def test_an_answer_needs_an_agreement_that_shares_answers() -> None:
    """An alliance that shares no answers gets none, and says so."""
    one = event("job-order-response", owner="0657")
    assert outcome(decide(one, book=book_of(agreement()))) == {("vest", "type-not-shared")}


def test_a_thousand_names_of_no_alliance_are_one_reason() -> None:
    """What an event names cannot make the record of the decision large."""
    many = [f"nowhere-{number}" for number in range(10_000)]
    assert outcome(decide(event("job-order-response", owner="0657", via=many))) == {(None, "unknown-alliance")}
    assert len(decide(event(sharing={"scope": "alliances", "alliances": many})).each) == 5


def after(before: Known, one: Event, offset: int = 1) -> Known:
    return remember(one, seen(one, offset), before, decide(one, before))


def test_what_was_shared_is_remembered_until_it_is_retracted() -> None:
    """Shown, ended, shown again, retracted: what is known follows."""
    shown = after(NOTHING, event())
    ended = after(shown, event(id="e2", minute=1, status="filled"))
    again = after(ended, event(id="e3", minute=2))
    retracted = after(again, event(id="e4", minute=3, sharing={"scope": "own"}))
    assert shown.shared == again.shared == {"vest", "fjord", "lokalt"}
    assert (sorted(ended.shared), sorted(ended.closed)) == ([], ["fjord", "lokalt", "vest"])
    assert not retracted.shared | retracted.closed


def test_a_duplicate_leaves_no_trace_in_what_is_known() -> None:
    """A second copy changes nothing, so nothing needs to be written."""
    before = known(shared=("vest",))
    again = remember(event(), seen(event(), 9), before, DUPLICATE)
    assert again is before


def test_a_stale_event_is_known_when_it_comes_again() -> None:
    """The ids of stale events are remembered too, and overwrite nothing."""
    before = known(shared=("vest",), before=event(id="new", minute=9))
    late = event(id="late", minute=1)
    later = after(before, late)
    assert (later.time_us, later.newest, later.shared) == (before.time_us, before.newest, before.shared)
    assert later.find(seen(late).id_digest) == 1


def test_what_is_remembered_is_bounded() -> None:
    """A thing with thousands of events, at one time or at many, keeps a small state."""
    one = NOTHING
    for number in range(600):
        one = after(one, event(id=f"e{number}"), number)
    for number in range(600, 1200):
        one = after(one, event(id=f"e{number}", minute=number), number)
    assert (len(one.newest), len(one.older)) == (1, 16)
    for number in range(600):
        one = after(one, event(id=f"f{number}", minute=1199), number)
    assert len(one.newest) == 256


STATUSES = st.sampled_from(["open", "paused", "filled", "withdrawn", "expired", "enough-candidates"])
SCOPE = st.sampled_from(["own", "local", "alliances", "national"])
NAMED = st.none() | st.lists(st.sampled_from(["vest", "fjord", "lokalt", "national", "7k"]), max_size=3)
ALLIANCES = ["fjord", "lokalt", "national", "vest"]
SOME = st.frozensets(st.sampled_from(ALLIANCES))


@st.composite
def job_orders(draw: st.DrawFn) -> Event:
    named = draw(NAMED)
    sharing = {"scope": draw(SCOPE), **({} if named is None else {"alliances": named})}
    agreed = draw(st.sampled_from(["named", "anonymous", "no"]))
    owner = draw(st.sampled_from(["0671", "0657", "0779", "0101"]))
    return event(
        owner=owner, status=draw(STATUSES), sharing=sharing, employerAgreed=agreed, minute=draw(st.integers(0, 2))
    )


@st.composite
def memories(draw: st.DrawFn) -> Known:
    shared = draw(SOME)
    return known(before=event(id="e0", minute=1), shared=tuple(shared), closed=tuple(draw(SOME) - shared))


@given(one=job_orders(), before=memories())
def test_every_alliance_of_the_publisher_has_exactly_one_outcome(one: Event, before: Known) -> None:
    """No alliance is decided on twice, and none is forgotten unless a reason holds for all."""
    decided = decide(one, before)
    alliances = [decision.alliance for decision in decided.each if decision.alliance is not None]
    assert len(alliances) == len(set(alliances))
    assert decided.each
    mine = {agreement.alliance for agreement in BOOK.in_force(NOW_US).of(one.participant)}
    if all(decision.alliance is not None for decision in decided.each):
        assert mine <= set(alliances)


@given(one=job_orders(), before=memories())
def test_nothing_is_shown_without_scope_and_agreement(one: Event, before: Known) -> None:
    """Wherever an event is shown, its publisher allowed it and an agreement in force lists them both."""
    kinds = {"own": 0, "local": 1, "alliances": 2, "national": 3}
    width = {"local": 1, "alliance": 2, "national": 3}
    sharing = one.data["sharing"]
    for decision in decide(one, before).each:
        if isinstance(decision, Forward) and decision.form is Form.SHOWN:
            body = decision.agreement.agreement
            assert width[body.kind] <= kinds[sharing["scope"]]
            assert decision.alliance in sharing.get("alliances", ALLIANCES)
            assert body.publishes(one.participant, one.name)
            assert one.data["employerAgreed"] != "no"
            assert one.data["status"] in ("open", "paused", "enough-candidates")
            assert one.time_us >= before.time_us


@given(one=job_orders(), before=memories())
def test_whoever_sees_a_thing_has_an_agreement_with_its_newest_state(one: Event, before: Known) -> None:
    """After each event that is news, the thing is shared exactly where this event was shown."""
    decided = decide(one, before)
    if one.time_us >= before.time_us:
        now = remember(one, seen(one, 1), before, decided)
        assert now.shared == {
            decision.alliance
            for decision in decided.each
            if isinstance(decision, Forward) and decision.form is Form.SHOWN
        }
        assert not now.shared & now.closed


@given(one=job_orders(), before=memories())
def test_the_same_question_has_the_same_answer(one: Event, before: Known) -> None:
    """The decision depends on nothing but what it is given."""
    assert decide(one, before) == decide(one, before)
