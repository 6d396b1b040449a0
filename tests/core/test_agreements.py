"""What an agreement may say, and how it becomes the next version."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.core.agreements import (
    Accepted,
    AgreementBook,
    InvalidAgreement,
    NotSupportedYet,
    Refused,
    Unchanged,
    UnreadableAgreement,
    default_fields,
    parse_agreement,
    propose,
    same_agreement,
)
from schemas.identifiers import EventName
from tests.core.agreement_samples import HERNING, NOW_US, STRUER, agreement, book_of, fields, put


def member(**more: Any) -> dict[str, Any]:
    return {"participant": "0661", **more}


INVALID = [
    ("/id", {"id": "Vest Alliancen"}),
    ("/id", {"id": ...}),
    ("/name", {"name": " "}),
    ("/name", {"name": "x" * 201}),
    ("/purpose", {"purpose": 7}),
    ("/legalBasis", {"legalBasis": "x" * 2001}),
    ("/kind", {"kind": "regional"}),
    ("/kind", {"kind": ...}),
    ("/validFrom", {"validFrom": "2026-01-01"}),
    ("/validFrom", {"validFrom": ...}),
    ("/coordinators", {"coordinators": ...}),
    ("/coordinators/0", {"coordinators": ["Herning"]}),
    ("/coordinators/1", {"coordinators": ["0657", "0657"]}),
    ("/coordinators/0", {"coordinators": ["kommunebro"]}),
    ("/members", {"members": []}),
    ("/members", {"members": {}}),
    ("/members/0", {"members": ["0657"]}),
    ("/members/0/participant", {"members": [{"name": "Herning"}]}),
    ("/members/1/participant", {"members": [member(), member()]}),
    ("/members/0/publishes/0", {"members": [member(publishes=["cv"])]}),
    ("/members/0/reads/1", {"members": [member(reads=["visit", "visit"])]}),
    ("/members/0/reads/0", {"members": [member(reads=[["visit"]])]}),
    ("/shares", {"shares": ["job-order"]}),
    ("/shares/cv", {"shares": {"cv": {}}}),
    ("/shares/visit", {"shares": {"visit": True}}),
    ("/shares/visit/fields", {"shares": {"visit": {"fields": "/start"}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": [7]}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": ["start"]}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": [""]}}}),
    ("/shares/visit/fields/1", {"shares": {"visit": {"fields": ["/start", "/start"]}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": ["/title"]}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": ["/outlook/0/direction"]}}}),
    ("/shares/visit/fields/0", {"shares": {"visit": {"fields": ["/sharing"]}}}),
    ("/shares/job-order/fields/0", {"shares": {"job-order": {"fields": ["/sharing/scope"]}}}),
    ("/shares/job-order/fields/0", {"shares": {"job-order": {"fields": ["/agreedAt"]}}}),
]

NOT_YET = [
    ("/validUntil", {"validUntil": "2027-01-01T00:00:00Z"}),
    ("/excludes", {"excludes": [{"industry": "78"}]}),
    ("/members/0/from", {"members": [member(**{"from": "2026-06-01T00:00:00Z"})]}),
    ("/members/0/until", {"members": [member(until="2027-06-01T00:00:00Z")]}),
    ("/shares/visit/delay", {"shares": {"visit": {"delay": "P1D"}}}),
    ("/shares/visit/until", {"shares": {"visit": {"until": "P90D"}}}),
    ("/shares/visit/except", {"shares": {"visit": {"except": ["0657"]}}}),
]


@pytest.mark.parametrize(("pointer", "changes"), INVALID)
def test_what_is_wrong_is_refused_with_its_place(pointer: str, changes: dict[str, Any]) -> None:
    """An agreement that breaks a rule is refused, and the violation points to where."""
    with pytest.raises(InvalidAgreement) as caught:
        parse_agreement(agreement(**changes), fields())
    assert pointer in [violation.pointer for violation in caught.value.violations]
    assert caught.value.detail


@pytest.mark.parametrize(("pointer", "changes"), NOT_YET)
def test_what_is_not_acted_on_is_refused_and_not_ignored(pointer: str, changes: dict[str, Any]) -> None:
    """A property that the software does not act on is refused as not supported yet, with its place."""
    with pytest.raises(NotSupportedYet) as caught:
        parse_agreement(agreement(**changes), fields())
    assert [violation.pointer for violation in caught.value.violations] == [pointer]


def test_all_that_is_wrong_is_told_at_once() -> None:
    """A coordinator sees every mistake in one answer."""
    with pytest.raises(InvalidAgreement) as caught:
        parse_agreement(agreement(kind="?", name="", members=[]), fields())
    assert {violation.pointer for violation in caught.value.violations} == {"/kind", "/name", "/members"}


def test_null_and_no_delay_count_as_left_out() -> None:
    """What is null, or delays by nothing, says nothing, so it is taken."""
    body = agreement(
        validUntil=None,
        excludes=None,
        members=[member(**{"from": None, "until": None, "publishes": None, "reads": None, "name": None})],
        shares={"visit": {"fields": None, "delay": "PT0S", "until": None}},
    )
    assert parse_agreement(body, fields()).members["0661"].publishes is None


@pytest.mark.parametrize("body", [None, [], "vest", 7])
def test_what_is_no_object_is_refused(body: Any) -> None:
    """A body that is not a JSON object is no agreement."""
    with pytest.raises(InvalidAgreement):
        parse_agreement(body, fields())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(name=st.sampled_from([*agreement(), "other"]), value=JSON)
def test_any_value_in_any_property_is_taken_or_refused(name: str, value: Any) -> None:
    """Whatever stands in a property, the answer is an agreement or a refusal, never another error."""
    try:
        parse_agreement(agreement(**{name: value}), fields())
    except (InvalidAgreement, NotSupportedYet) as error:
        assert error.violations  # noqa: PT017


def test_left_out_publishes_and_reads_mean_all_that_is_shared() -> None:
    """A member without lists publishes and reads every type in `shares`, and no other."""
    read = parse_agreement(agreement(members=[member(), {"participant": "0657", "reads": ["visit"], "publishes": []}]))
    assert read.publishes("0661", "visit")
    assert read.reads("0661", "job-order")
    assert not read.reads("0661", "company-contact")
    assert not read.publishes("0657", "visit")
    assert read.reads("0657", "visit")
    assert not read.reads("0657", "job-order")
    assert not read.reads("0779", "visit")


@pytest.mark.parametrize("name", EventName)
def test_default_fields_exist_in_the_schema(name: EventName) -> None:
    """Whatever is shown by default is a field of the type's schema."""
    assert set(default_fields(name)) <= fields()[name]


KEPT_BACK = {
    "job-order": {"contactPerson"},
    "job-order-response": set(),
    "company-cooperation": set(),
    "visit": {"cancelReason", "with", "outcomes", "agreed", "outlook", "relatedJobOrders", "contactPerson"},
    "company-contact": {
        "channel", "initiatedBy", "outcomes", "agreed", "followUp", "outlook", "relatedJobOrders", "campaign",
        "doNotContactUntil", "contactPerson",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EventName)
def test_of_every_property_somebody_decided_whether_it_is_shown_by_default(name: EventName) -> None:
    """A property that a schema gains is shown by default, or kept back, because it was written down here."""
    top = {field[1:] for field in fields()[name] if field.count("/") == 1}
    shown = {field.split("/")[1] for field in default_fields(name)}
    assert top - shown == KEPT_BACK[name] | (top & {"sharing", "agreedAt"})


def test_the_packaged_agreements_load_and_load_again() -> None:
    """The eight agreements that ship are valid together, and a second load changes nothing."""
    bodies = packaged_agreements()
    book = book_of(*bodies)
    assert len(book.all()) == 8
    national = book.national()
    assert national is not None
    assert len(national.agreement.members) == 98
    for body in bodies:
        assert isinstance(put(book, body, seen='"1"'), Unchanged)


def test_vestalliancen_has_its_eight_members() -> None:
    """The members are those of the survey's alliance."""
    west = next(body for body in packaged_agreements() if body["id"] == "vestalliancen")
    members = [listed["participant"] for listed in west["members"]]
    assert members == ["0657", "0661", "0665", "0671", "0756", "0760", "0779", "0791"]
    assert set(west["coordinators"]) <= set(members)


def test_a_new_agreement_becomes_version_one() -> None:
    """The record says which agreement, which version, by whom and when, on one line."""
    decision = put(AgreementBook(), agreement(), principal=HERNING)
    assert isinstance(decision, Accepted)
    assert b"\n" not in decision.record.value
    assert json.loads(decision.record.value) == {
        "alliance": "vest",
        "version": 1,
        "changedBy": "0657",
        "changedAt": "2026-11-18T11:06:40.000Z",
        "agreement": agreement(),
    }
    assert decision.record.key == b"vest"
    assert decision.etag == '"1"'


REFUSED_PUTS = [
    ("precondition-failed", {"if_none_match": "*"}),
    ("precondition-failed", {"if_match": '"2"'}),
    ("precondition-failed", {"if_match": 'W/"1"'}),
    ("precondition-required", {}),
    ("precondition-required", {"if_none_match": '"1"'}),
]


@pytest.mark.parametrize(("problem", "headers"), REFUSED_PUTS)
def test_a_change_must_name_the_version_that_it_changes(problem: str, headers: dict[str, str]) -> None:
    """Without the newest version's ETag nothing is written, and the answer brings that ETag."""
    conditions = {"if_none_match": None, "if_match": None, **headers}
    book = book_of(agreement())
    decision = propose(
        book, "vest", agreement(name="V"), fields=fields(), principal=HERNING, now_us=NOW_US, **conditions
    )
    assert isinstance(decision, Refused)
    assert (decision.problem, decision.etag) == (problem, '"1"')


@pytest.mark.parametrize("seen", ['"1"', "*", '"7", "1"'])
def test_the_right_etag_makes_the_next_version(seen: str) -> None:
    """If-Match takes the newest ETag, a list that holds it, or a star."""
    book = book_of(agreement())
    assert isinstance(put(book, agreement(name="Vest"), seen=seen, principal=HERNING), Accepted)
    assert [book.version("vest", number).agreement.name for number in (1, 2)] == ["Vestalliancen", "Vest"]  # type: ignore[union-attr]


def test_if_match_finds_nothing_where_there_is_no_agreement() -> None:
    """An agreement that is not there has no version to match."""
    decision = put(AgreementBook(), agreement(), seen="*")
    assert isinstance(decision, Refused)
    assert decision.problem == "precondition-failed"


def test_only_a_coordinator_of_the_newest_version_changes_it() -> None:
    """Naming oneself in the proposal gives no right to an agreement that does not name one."""
    book = book_of(agreement())
    decision = put(book, agreement(coordinators=["0671"]), seen='"1"', principal=STRUER)
    assert isinstance(decision, Refused)
    assert decision.problem == "forbidden"


def test_a_coordinator_makes_no_agreement_for_others() -> None:
    """A new agreement names the one who makes it among its coordinators, unless an operator does."""
    decision = put(AgreementBook(), agreement(), principal=STRUER)
    assert isinstance(decision, Refused)
    assert decision.problem == "forbidden"


def test_the_body_and_the_path_name_one_agreement() -> None:
    """An agreement cannot be put in another's place."""
    decision = put(AgreementBook(), agreement(), alliance="syd")
    assert isinstance(decision, Refused)
    assert [violation.pointer for violation in decision.violations] == ["/id"]


def test_there_is_one_national_agreement() -> None:
    """A second agreement of kind national is refused; the first may change."""
    book = book_of(agreement(id="national", kind="national"))
    decision = put(book, agreement(kind="national"))
    assert isinstance(decision, Refused)
    assert [violation.pointer for violation in decision.violations] == ["/kind"]
    assert isinstance(put(book, agreement(id="national", kind="national", name="Alle"), seen='"1"'), Accepted)


@pytest.mark.parametrize(
    "body",
    [agreement(), agreement(validUntil=None), agreement(shares={"visit": {"delay": "PT0S"}, "job-order": {}})],
)
def test_the_same_agreement_again_is_no_new_version(body: dict[str, Any]) -> None:
    """A proposal that says what the newest version says is answered with that version."""
    decision = put(book_of(agreement()), body, seen='"1"')
    assert isinstance(decision, Unchanged)
    assert decision.newest.number == 1


ADDS: list[dict[str, Any]] = [
    {"members": [*agreement()["members"], {"participant": "0779"}]},
    {"shares": {**agreement()["shares"], "company-contact": {}}},
    {"shares": {"job-order": {}, "visit": {"fields": [*default_fields("visit"), "/outlook"]}}},
    {"coordinators": ["0671"]},
    {"members": list(reversed(agreement()["members"]))},
]
TAKES: list[tuple[str, dict[str, Any]]] = [
    ("/members", {"members": agreement()["members"][:2]}),
    ("/shares", {"shares": {"job-order": {}}}),
    ("/kind", {"kind": "local"}),
    ("/members/0/reads", {"members": [{"participant": "0657", "reads": ["visit"]}, *agreement()["members"][1:]]}),
    ("/members/0/publishes", {"members": [{"participant": "0657", "publishes": []}, *agreement()["members"][1:]]}),
    ("/shares/job-order/fields", {"shares": {"job-order": {"fields": ["/title"]}, "visit": {}}}),
]


@pytest.mark.parametrize("changes", ADDS)
def test_a_version_may_add(changes: dict[str, Any]) -> None:
    """Members, types and fields may come, and the coordinators may change."""
    assert isinstance(put(book_of(agreement()), agreement(**changes), seen='"1"'), Accepted)


@pytest.mark.parametrize(("pointer", "changes"), TAKES)
def test_a_version_may_not_take_away_yet(pointer: str, changes: dict[str, Any]) -> None:
    """What was shared would have to be retracted, which is not supported yet."""
    decision = put(book_of(agreement()), agreement(**changes), seen='"1"')
    assert isinstance(decision, Refused)
    assert decision.problem == "not-supported-yet"
    assert {violation.pointer for violation in decision.violations} == {pointer}


def test_a_listed_field_may_be_widened_and_not_narrowed() -> None:
    """A pointer may give way to one above it; back again takes something away."""
    narrow = agreement(shares={"visit": {"fields": ["/company/name"]}})
    wide = agreement(shares={"visit": {"fields": ["/company"]}})
    assert isinstance(put(book_of(narrow), wide, seen='"1"'), Accepted)
    assert isinstance(put(book_of(wide), narrow, seen='"1"'), Refused)


def test_the_default_shows_less_of_a_contacts_time_than_a_list_does() -> None:
    """From a listed time to the default the time of day would be lost; the other way round it comes."""
    listed = [*default_fields("company-contact")]
    default = agreement(shares={"company-contact": {}})
    explicit = agreement(shares={"company-contact": {"fields": listed}})
    assert isinstance(put(book_of(default), explicit, seen='"1"'), Accepted)
    assert isinstance(put(book_of(explicit), default, seen='"1"'), Refused)


def test_a_later_version_holds_from_its_own_instant() -> None:
    """Until a version becomes valid the one before it is in force."""
    later = agreement(validFrom="2026-12-01T00:00:00Z", members=[*agreement()["members"], member()])
    book = book_of(agreement(), later)
    december_us = 1_796_083_200_000_000
    assert [version.number for version in book.in_force(december_us - 1).of("0671")] == [1]
    assert [version.number for version in book.in_force(december_us).of("0671")] == [2]
    assert book.reads("0661", "visit", december_us - 1) == ()
    assert book.reads("0661", "visit", december_us) == ("vest",)
    assert book.reads("0661", "visit") == ("vest",)
    assert book.in_force(0).of("0671") == ()


@given(instants=st.lists(st.integers(0, 9), min_size=1, max_size=5), at=st.lists(st.integers(0, 10), max_size=8))
def test_what_is_in_force_does_not_depend_on_what_was_asked_before(instants: list[int], at: list[int]) -> None:
    """The newest version with validFrom at or before the instant holds, in whichever order one asks."""
    bodies = [agreement(name=f"v{n}", validFrom=f"2026-01-01T00:00:0{s}Z") for n, s in enumerate(instants)]
    book = book_of(*bodies)
    start_us = 1_767_225_600_000_000
    for second in at:
        valid = [number for number, from_second in enumerate(instants, 1) if from_second <= second]
        in_force = book.in_force(start_us + second * 1_000_000).by_id
        assert [version.number for version in in_force.values()] == valid[-1:]


def test_a_book_takes_a_record_once() -> None:
    """Reading a part of the topic again changes nothing."""
    book = book_of(agreement())
    value = orjson.dumps({"alliance": "vest", "version": 1, "agreement": agreement()})
    assert book.apply(0, value) is None
    assert len(book.all()) == 1


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"[]",
        b'{"alliance":"vest"}',
        orjson.dumps({"version": 3, "changedBy": "x", "changedAt": "y", "agreement": agreement()}),
        orjson.dumps({"version": 1, "changedBy": "x", "changedAt": "y", "agreement": agreement(excludes=[1])}),
    ],
)
def test_an_unreadable_record_is_an_error_and_not_skipped(value: bytes) -> None:
    """Nobody shares by agreements of which one could not be read."""
    with pytest.raises(UnreadableAgreement):
        AgreementBook().apply(0, value)


def test_same_agreement_ignores_order_of_properties_only() -> None:
    """Two bodies are the same when they say the same; a list's order counts."""
    assert same_agreement({"a": 1, "b": None}, {"a": 1})
    assert not same_agreement({"a": [1, 2]}, {"a": [2, 1]})


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples/agreements").glob("*.json")), ids=lambda path: path.stem
)
def test_the_examples_are_valid(path: Path) -> None:
    """Each example of an agreement can be put as it is."""
    body = json.loads(path.read_text())
    assert body["id"] == path.stem
    assert isinstance(put(AgreementBook(), body), Accepted)
