"""The check of an event against its schema and the dataset's own rules."""

from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.danish import explain
from schemas.event import Event, InvalidEvent
from schemas.identifiers import EventName
from schemas.registry import LIST_LOOKED_AT_MAX, Registry, UnknownSchema
from schemas.violations import VIOLATIONS_MAX
from tests.schemas.strategies import instances, mutated
from tests.schemas.test_examples import EXAMPLES

REGISTRY = Registry.load()


def example(stem: str, **change: Any) -> dict[str, Any]:
    """Return an example with some of its data changed; None takes a property away."""
    event: dict[str, Any] = orjson.loads(next(path for path in EXAMPLES if path.stem == stem).read_bytes())
    data = {name: value for name, value in {**event["data"], **change}.items() if value is not None}
    return {**event, "data": data}


def order(**change: Any) -> dict[str, Any]:
    return example("struer-klejnsmede-aaben", **change)


def check(event: dict[str, Any], registry: Registry = REGISTRY, *, stored: bool = False) -> None:
    registry.check(Event.from_json(event, stored=stored))


def refusal(event: dict[str, Any], registry: Registry = REGISTRY, *, stored: bool = False) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        check(event, registry, stored=stored)
    return refused.value


def test_the_schemas_are_listed_with_their_views() -> None:
    """Five types in version 1.0, and the derived view of each."""
    listed = REGISTRY.list()
    assert {name for name, _ in listed} == {*EventName, *(f"{name}-shared" for name in EventName)}
    assert {version for _, version in listed} == {"1.0"}


@pytest.mark.parametrize("name", EventName)
def test_every_listed_schema_can_be_had(name: EventName) -> None:
    """The full one and the derived view, each under its own urn."""
    assert REGISTRY.schema(name, "1.0")["$id"] == f"urn:kommunebro:schema:{name}:1.0"
    assert REGISTRY.schema(f"{name}-shared", "1.0")["$id"] == f"urn:kommunebro:schema:{name}-shared:1.0"


@pytest.mark.parametrize(
    ("name", "version"), [("job-order", "1.1"), ("joborder", "1.0"), ("", ""), ("../job-order", "1.0")]
)
def test_an_unknown_schema_is_said_to_be_unknown(name: str, version: str) -> None:
    """And the answer lists what there is."""
    with pytest.raises(UnknownSchema, match="job-order-shared"):
        REGISTRY.schema(name, version)


def test_an_unknown_version_is_its_own_problem() -> None:
    """A publisher ahead of this gateway hears which versions it knows."""
    error = refusal({**order(), "dataschema": "urn:kommunebro:schema:job-order:1.7"})
    assert error.problem == "unknown-schema"
    assert error.violations[0].pointer == "/dataschema"
    assert "urn:kommunebro:schema:job-order:1.0" in error.detail


def test_all_that_is_wrong_is_told_in_the_order_of_the_pointers() -> None:
    """Each with the pointer into the whole event, the rule, and what the rule asks for; never with the value."""
    company = {"name": "Vestjysk Staldinventar A/S", "cvr": "12345678", "note": "hemmeligt"}
    error = refusal(order(title=None, positions=0, status="Åben", company=company, startDate="1.2.2027"))
    assert error.problem == "schema-violation"
    assert [violation[:2] for violation in error.violations] == [
        ("/data", "required"),
        ("/data/company/note", "additionalProperties"),
        ("/data/positions", "minimum"),
        ("/data/startDate", "format"),
        ("/data/status", "enum"),
        ("/data/company/cvr", "modulus-11"),
    ]
    assert [violation.expected for violation in error.violations[:3]] == ["title", None, 1]
    assert error.event_id == order()["id"]
    assert "hemmeligt" not in str(error.violations)
    assert "Åben" not in str(error.violations)


def test_what_is_of_the_wrong_type_is_not_also_out_of_range() -> None:
    """One mistake, one message."""
    assert [violation.rule for violation in refusal(order(status=7)).violations] == ["type"]


def test_a_company_needs_a_number_of_some_country() -> None:
    """Either `cvr` or `foreignId`; both are no mistake."""
    foreign = {"country": "DE", "id": "HRB 000000 FL"}
    check(order(company={"name": "Nordsee Windmontage GmbH", "foreignId": foreign}))
    check(order(company={"name": "Nordsee Windmontage GmbH", "foreignId": foreign, "cvr": "93100018"}))
    violation = refusal(order(company={"name": "Nordsee Windmontage GmbH"})).violations[0]
    assert violation[:2] == ("/data/company", "anyOf")
    assert violation.expected == ["cvr", "foreignId"]


def test_the_check_digit_is_a_policy() -> None:
    """Refused by default; as a warning it passes, and the warning tells where."""
    wrong = order(company={"name": "Vestjysk Staldinventar A/S", "cvr": "93100019"})
    assert refusal(wrong).violations[0][:2] == ("/data/company/cvr", "modulus-11")
    lenient = Registry.load(cvr_modulus="warn")
    check(wrong, lenient)
    assert [violation.pointer for violation in lenient.warnings(Event(wrong))] == ["/data/company/cvr"]
    assert REGISTRY.warnings(Event(order())) == []


def test_a_cvr_number_of_the_wrong_form_is_not_also_told_to_fail_its_check() -> None:
    """One mistake, one message, and with the policy `warn` still a mistake."""
    wrong = order(company={"name": "Vestjysk Staldinventar A/S", "cvr": "9310001"})
    assert [violation.rule for violation in refusal(wrong).violations] == ["pattern"]
    assert refusal(wrong, Registry.load(cvr_modulus="warn")).problem == "schema-violation"


@pytest.mark.parametrize("code", ["0000", "0999", "0411", "0675"])
def test_an_unknown_municipality_is_refused_by_the_register(code: str) -> None:
    """With a reason of its own, for the workplace as for the company's site."""
    company = {**order()["data"]["company"], "municipality": code}
    error = refusal(order(company=company, workplace={"municipality": code}))
    assert {violation.rule for violation in error.violations} == {"register"}
    assert {violation.pointer for violation in error.violations} == {
        "/data/company/municipality",
        "/data/workplace/municipality",
    }
    assert code in error.violations[0].detail


@pytest.mark.parametrize(
    "change",
    [
        {"hoursPerWeek": {"min": 37, "max": 12}},
        {"hoursPerWeek": {"min": 18.5, "max": 300.25}},
        {"positionsFilled": 9},
        {"applicationDeadline": "1999-12-31", "startDate": "1999-12-31"},
        {"employmentTypes": ["ordinary", "ordinary"]},
        {"startWith": [], "requirements": [], "languages": [""]},
        {"title": ""},
        {"positions": 3.0},
        {"positions": 2**53},
        {"requirements": ["x"] * 3000},
        {"occupation": {"label": "x", "codes": [{"system": "DISCO-08", "code": "999999"}]}},
        {"contactPerson": {"name": "Poul", "phone": "efter aftale", "email": "kommer"}},
        {"workplace": {"municipality": "0671", "postcode": "D-24939"}},
        {"agreedAt": "2026-11-16"},
        {"sharing": {"scope": "own", "alliances": ["findes-ikke"]}},
        {"applyVia": "direct", "contactPerson": None},
        {"status": "filled", "employerAgreed": "no"},
    ],
)
def test_no_rule_but_those_of_the_page_refuses_an_event(change: dict[str, Any]) -> None:
    """What is odd may still be so: the dataset's page has no rule against it."""
    check(order(**change))


@pytest.mark.parametrize("length", [100, 101])
def test_lengths_are_counted_in_characters(length: int) -> None:
    """Not in bytes: Danish letters and emoji count as one."""
    for character in "xæ😀":
        if length == 100:
            check(order(title=character * length))
        else:
            assert refusal(order(title=character * length)).violations[0][:2] == ("/data/title", "maxLength")


def test_a_retention_contact_may_have_any_scope() -> None:
    """Scope own is what connectors choose for it, unless set otherwise; it is not a rule."""
    check(example("viborg-fastholdelse-kun-os", sharing={"scope": "national"}))


def test_a_forwarded_event_is_checked_by_its_view() -> None:
    """Cut to id and status it is right; with something wrong in what is left, or that never leaves, it is not."""
    whole = order()
    cut = {**whole, "dataschema": "urn:kommunebro:schema:job-order-shared:1.0", "alliance": "vestalliancen"}
    cut["data"] = {name: whole["data"][name] for name in ("jobOrderId", "status")}
    check(cut, stored=True)
    check({**cut, "data": {**cut["data"], "consultant": {"unit": "Jobcenter Struer"}}}, stored=True)
    for leak in ({"sharing": {"scope": "own"}}, {"agreedAt": "2026-11-16"}, {"positions": 0}, {"note": "x"}):
        assert refusal({**cut, "data": {**cut["data"], **leak}}, stored=True).problem == "schema-violation"
    assert refusal({**cut, "data": {"jobOrderId": cut["subject"]}}, stored=True).violations[0].expected == "status"


def test_a_thousand_mistakes_are_not_all_told() -> None:
    """The answer stays small."""
    error = refusal(order(requirements=[1] * 5000, languages=["020384-1111"] * 5000))
    assert len(error.violations) == VIOLATIONS_MAX


def test_a_mistake_far_down_a_long_list_is_found() -> None:
    """The slow validator looks at the first items only; the fast one says where the rest is wrong."""
    error = refusal(order(requirements=["x"] * (LIST_LOOKED_AT_MAX + 50) + [7] + ["x"]))
    assert [violation[:2] for violation in error.violations] == [
        (f"/data/requirements/{LIST_LOOKED_AT_MAX + 50}", "type")
    ]


@pytest.mark.parametrize("name", ["x" * 65, "020384-1111", "a/b~c", "", "\u0000"])
def test_a_strange_property_is_told_where_it_can_be(name: str) -> None:
    """Its name is repeated if it is short and no citizen's number, as a proper JSON Pointer."""
    pointer = refusal(order(**{name: 1})).violations[0].pointer
    expected = {"x" * 65: "/data", "020384-1111": "/data", "a/b~c": "/data/a~1b~0c"}
    assert pointer == expected.get(name, f"/data/{name}")


def test_a_schema_with_look_around_is_refused_when_it_is_registered() -> None:
    """The linear engine takes none, so no event can make the hot path slow."""
    schema = deepcopy(REGISTRY.schema("job-order", "1.0"))
    schema["properties"]["title"]["pattern"] = "^(?!x)"
    with pytest.raises(ValueError, match="regex"):
        Registry([schema], REGISTRY._rules)


@pytest.mark.parametrize("name", EventName)
@settings(max_examples=40)
@given(data=st.data())
def test_any_data_is_taken_or_refused_with_words(name: EventName, data: st.DataObject) -> None:
    """There is no third way out, in English or in Danish, and what is told can be sent as JSON."""
    value = data.draw(mutated(instances(REGISTRY.schema(name, "1.0"))))
    value = {**value, name.id_property: "1"} if isinstance(value, dict) else {name.id_property: "1"}
    frame = {"type": name.type, "dataschema": f"urn:kommunebro:schema:{name}:1.0", "subject": "1", "data": value}
    try:
        check({**order(), **frame})
    except InvalidEvent as error:
        assert error.violations  # noqa: PT017  # a refusal is one of two right outcomes
        for violation in error.violations:
            assert violation.detail
            assert violation.pointer.startswith("/data")
            assert explain(violation, name).endswith(".")
            assert orjson.dumps([*violation])
