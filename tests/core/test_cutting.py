"""What of a thing leaves: cutting by pointers, and the dataset's own rules."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.agreements import always_leaves
from exchange_gateway.core.agreements.fields import NEVER_LEAVE, covers
from exchange_gateway.core.cutting import cut, intersect, tree_of
from exchange_gateway.core.showing import bare, showing
from schemas.event import Event
from schemas.identifiers import EventName
from schemas.registry import Registry
from tests.core.agreement_samples import fields
from tests.core.event_samples import PERSON, event, example


@cache
def registry() -> Registry:
    return Registry.load()


def shown(listed: tuple[str, ...] | None = None, name: str = "job-order", **data: Any) -> dict[str, Any]:
    return showing(name, listed).show(event(name, **data).data)


def leaves(value: Any, at: str = "") -> set[str]:
    """Return the pointers of everything in `value` that has no parts, passing through lists."""
    if isinstance(value, dict) and value:
        return set().union(*(leaves(item, f"{at}/{key}") for key, item in value.items()))
    if isinstance(value, list) and value:
        return set().union(*(leaves(item, at) for item in value))
    return {at}


CUTS = [
    (["/a"], {"a": 1, "b": 2}, {"a": 1}),
    (["/a/x"], {"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}),
    (["/a", "/a/x"], {"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 2}}),
    (["/a/x", "/a"], {"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 2}}),
    (["/a/x"], {"a": [{"x": 1, "y": 2}, {"y": 3}]}, {"a": [{"x": 1}]}),
    (["/a/x"], {"a": [[{"x": 1}], []]}, {"a": [[{"x": 1}]]}),
    (["/a/x"], {"a": {"y": 2}}, {}),
    (["/a/x"], {"a": 5}, {}),
    (["/a"], {"a": [], "b": 1}, {"a": []}),
    (["/a/x"], {"a": {"x": 0}}, {"a": {"x": 0}}),
    (["/a~1b/~0"], {"a/b": {"~": 1, "c": 2}}, {"a/b": {"~": 1}}),
    ([], {"a": 1}, {}),
]


@pytest.mark.parametrize(("pointers", "data", "kept"), CUTS)
def test_cutting_keeps_what_is_listed(pointers: list[str], data: dict[str, Any], kept: dict[str, Any]) -> None:
    """A pointer keeps what it points to, through objects and lists, and nothing beside it."""
    assert cut(data, tree_of(pointers)) == kept


def test_two_trees_let_through_what_both_do() -> None:
    """The intersection of field lists is as narrow as the narrower at each place."""
    assert intersect(tree_of(["/a", "/b/x"]), tree_of(["/a/y", "/b", "/c"])) == {"a": {"y": None}, "b": {"x": None}}


NAMES = st.sampled_from([name.value for name in EventName])


@st.composite
def field_lists(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """Draw a type and some of its fields, none of which is kept back by a rule."""
    name = draw(NAMES)
    listable = sorted(one for one in fields()[name] if not any(covers(never, one) for never in NEVER_LEAVE))
    return name, tuple(draw(st.lists(st.sampled_from(listable), unique=True, max_size=12)))


@st.composite
def examples(draw: st.DrawFn, name: str) -> dict[str, Any]:
    return example(name, draw(st.integers(0, 4)))


@given(data=st.data())
def test_nothing_leaves_that_is_not_listed(data: st.DataObject) -> None:
    """Whatever an agreement lists, each part that leaves is covered by a listed field; id and status always leave."""
    name, listed = data.draw(field_lists())
    whole = data.draw(examples(name))["data"]
    seen = showing(name, listed).show(whole)
    allowed = always_leaves(name) + listed
    assert all(any(covers(field, leaf) for field in allowed) for leaf in leaves(seen))
    for pointer in always_leaves(name):
        assert seen[pointer[1:]] == whole[pointer[1:]]
    assert leaves(seen) <= leaves(whole)


@given(data=st.data())
def test_what_leaves_follows_the_shared_view(data: st.DataObject) -> None:
    """Whatever an agreement lists, what is cut by it is right by the type's shared schema."""
    name, listed = data.draw(field_lists())
    attributes = data.draw(examples(name))
    by_default = data.draw(st.booleans())
    seen = showing(name, None if by_default else listed).show(attributes["data"])
    dataschema = f"urn:kommunebro:schema:{name}-shared:1.0"
    for part in (seen, bare(name, attributes["data"])):
        registry().check(Event({**attributes, "dataschema": dataschema, "data": part}, stored=True))


@given(data=st.data())
def test_cutting_twice_is_cutting_once(data: st.DataObject) -> None:
    """A tree takes nothing more from what it has cut already."""
    name, listed = data.draw(field_lists())
    tree = tree_of(listed)
    once = cut(data.draw(examples(name))["data"], tree)
    assert cut(once, tree) == once


def test_a_job_order_is_shown_whole_by_default() -> None:
    """By default everything leaves but the contact person, what is between others, and case numbers."""
    whole = event().data
    expected = {key: value for key, value in whole.items() if key not in ("contactPerson", "sharing", "agreedAt")}
    assert shown() == expected | {"externalIds": [{"system": "DFDG", "id": "8de97cdf"}]}


def test_without_its_name_an_employer_cannot_be_told() -> None:
    """Of an anonymous order company, title, texts, town and ids in other systems stay; the rest is shown."""
    seen = shown(employerAgreed="anonymous")
    gone = {"company", "title", "description", "requirements", "externalIds", "contactPerson", "agreedAt", "sharing"}
    assert event().data.keys() - seen.keys() == gone
    assert seen["workplace"] == {"municipality": "0671"}
    assert seen["occupation"] == event().data["occupation"]
    assert seen["consultant"] == event().data["consultant"]


def test_no_agreement_can_list_what_anonymity_keeps_back() -> None:
    """Listing a field does not show it when the employer agreed to be anonymous."""
    listed = ("/company/name", "/title", "/externalIds", "/workplace/city", "/contactPerson", "/requirements")
    assert shown(listed, employerAgreed="anonymous", applyVia="direct") == {"jobOrderId": "1001", "status": "open"}


CONTACT_CASES = [
    (None, "direct", "named", False),
    (("/contactPerson",), "direct", "named", True),
    (("/contactPerson",), "consultant", "named", False),
    (("/contactPerson",), "direct", "anonymous", False),
]


@pytest.mark.parametrize(("listed", "apply_via", "agreed", "leaves_"), CONTACT_CASES)
def test_the_contact_person_leaves_only_for_direct_application(
    listed: tuple[str, ...] | None, apply_via: str, agreed: str, leaves_: bool
) -> None:
    """The person at the company leaves when one applies there, the agreement lists it, and the name may be known."""
    assert ("contactPerson" in shown(listed, applyVia=apply_via, employerAgreed=agreed)) is leaves_


def test_a_part_of_the_contact_person_can_be_listed() -> None:
    """An agreement may show the phone number without the name."""
    seen = shown(("/contactPerson/phone",), applyVia="direct")
    assert seen["contactPerson"] == {"phone": PERSON["phone"]}


def test_case_numbers_never_leave() -> None:
    """VITAS numbers are case numbers; also their id alone does not leave."""
    assert shown(("/externalIds/id",))["externalIds"] == [{"id": "8de97cdf"}]
    assert "externalIds" not in shown(("/externalIds/id",), externalIds=[{"system": "Vitas", "id": "4711"}])


@pytest.mark.parametrize(("status", "follow_up"), [("planned", False), ("held", True), ("not-met", False)])
def test_a_held_visit_shows_when_it_is_followed_up(status: str, follow_up: bool) -> None:
    """By default a visit shows company, time, purposes and consultant; when held, also the follow-up's date."""
    seen = shown(name="visit", status=status)
    expected = {"visitId", "status", "company", "start", "end", "purposes", "consultant"}
    assert seen.keys() == (expected | {"followUp"} if follow_up else expected)
    assert seen.get("followUp") == ({"date": "2026-12-01"} if follow_up else None)


def test_a_listed_follow_up_is_shown_whatever_the_status() -> None:
    """What an agreement lists itself does not depend on the default's conditions."""
    assert shown(("/followUp/date",), "visit")["followUp"] == {"date": "2026-12-01"}


def test_a_contact_shows_by_default_a_date_and_a_unit() -> None:
    """By default a contact's time of day and its consultant's name stay."""
    seen = shown(name="company-contact")
    assert seen.keys() == {"contactId", "company", "occurredAt", "purposes", "consultant"}
    assert seen["occurredAt"] == "2026-11-18"
    assert seen["consultant"] == {"unit": "Struer Jobcenter"}


def test_a_contacts_time_is_whole_where_it_is_listed() -> None:
    """An agreement that lists the time shows it with its clock."""
    assert shown(("/occurredAt",), "company-contact")["occurredAt"] == "2026-11-18T07:45:00+01:00"


@pytest.mark.parametrize("name", ["company-cooperation", "job-order-response"])
def test_others_are_shown_whole_by_default(name: str) -> None:
    """Of cooperations and answers everything leaves but `sharing`."""
    assert shown(name=name) == {key: value for key, value in event(name).data.items() if key != "sharing"}


def test_equal_field_lists_share_what_was_made_of_them() -> None:
    """Alliances with equal lists are cut for once."""
    assert showing("visit", ("/start",)) is showing("visit", ("/start",))
    assert showing("visit", ("/start",)) is not showing("visit", ("/end",))
