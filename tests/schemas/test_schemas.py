"""What holds for every schema file: it stands alone, is closed, and says what each property is."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.danish import PATTERNS
from schemas.identifiers import EventName
from schemas.packaged import full_schemas
from schemas.tree import Schema, properties, resolved

FULL = pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])

# docs/dataset.md, written as it was agreed: what is in brackets is in another part, `?` is optional.
AGREED = {
    "job-order": "jobOrderId status company title occupation positions positionsFilled? candidatesWanted? "
    "employmentTypes startWith? duration? hoursPerWeek? workingTime? startDate? startAsap? applicationDeadline? "
    "answerBy? workplace requirements? certificates? drivingLicence? languages? description? applyVia contactPerson? "
    "consultant employerAgreed agreedAt? sharing externalIds? registeredAt",
    "company-contact": "contactId company occurredAt channel initiatedBy purposes outcomes? agreed? followUp? outlook? "
    "relatedJobOrders? campaign? doNotContactUntil? contactPerson? consultant sharing",
    "visit": "visitId status cancelReason? company start end? with? purposes outcomes? agreed? followUp? outlook? "
    "relatedJobOrders? contactPerson? consultant sharing",
    "company-cooperation": "cooperationId company forms active since? until? band? keyConsultant sharing",
    "job-order-response": "responseId jobOrderOwner jobOrderId via kind candidateCount? positions? until? reason? "
    "handover? message? consultant",
    "company": "cvr? foreignId? pNumber? name municipality? postcode? industryCodes? sizeBand? soleTrader?",
    "foreignId": "country id",
    "industryCode": "system code label?",
    "contactPerson": "name role? phone? email?",
    "consultant": "name unit phone email?",
    "sharing": "scope alliances?",
    "occupation": "label codes?",
    "occupationCode": "system code label?",
    "hoursPerWeek": "min max",
    "workplace": "municipality postcode? city?",
    "externalId": "system id",
    "followUp": "date action done",
    "outlook": "occupation horizonMonths direction positions?",
}


def parts(schema: Schema) -> dict[str, Schema]:
    name = schema["$id"].split(":")[-2]
    return {name: schema, **{name: part for name, part in schema["$defs"].items() if "properties" in part}}


def nodes(node: Any) -> list[Schema]:
    if isinstance(node, list):
        return [found for item in node for found in nodes(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for value in node.values() for found in nodes(value))]


@FULL
def test_it_has_the_agreed_properties(schema: Schema) -> None:
    """Each part has the properties of the dataset's page, in its order, and requires those without a question mark."""
    for name, part in parts(schema).items():
        written = [f"{prop}{'' if prop in part['required'] else '?'}" for prop in part["properties"]]
        assert " ".join(written) == AGREED[name]


def test_every_type_has_a_schema() -> None:
    """All five types have version 1.0, in a file whose `$id` is the urn."""
    assert [schema["$id"] for schema in full_schemas()] == [f"urn:kommunebro:schema:{name}:1.0" for name in EventName]


@FULL
def test_it_stands_alone(schema: Schema) -> None:
    """An outside tool needs only the one file: valid JSON Schema 2020-12, with references into itself only."""
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for node in nodes(schema):
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]


@FULL
def test_it_is_closed_at_every_level(schema: Schema) -> None:
    """No object takes a property that it does not name."""
    for part in parts(schema).values():
        assert part["additionalProperties"] is False


@FULL
def test_every_property_is_described(schema: Schema) -> None:
    """Every property has a title and a description in English, and a Danish label."""
    for part in parts(schema).values():
        for prop in part["properties"].values():
            assert all(prop[text] for text in ("title", "description", "x-label-da"))


@FULL
def test_every_enumeration_has_danish_labels(schema: Schema) -> None:
    """Each value has exactly one label, and no two values share one."""
    for node in nodes(schema):
        if isinstance(node.get("enum"), list):
            labels = node["x-enum-labels-da"]
            assert list(labels) == [str(value) for value in node["enum"]]
            assert len({label.casefold() for label in labels.values()}) == len(labels)


@FULL
def test_texts_have_lengths(schema: Schema) -> None:
    """A title has 100 characters, a description 5,000, any other text 500, unless its form bounds it."""
    for pointer, node in properties(schema):
        texts = [node] if node.get("type") == "string" else [resolved(schema, node["items"])] if "items" in node else []
        for text in texts:
            if text.get("type") == "string" and not text.keys() & {"enum", "pattern", "format", "anyOf"}:
                assert text["maxLength"] == {"/title": 100, "/description": 5000}.get(pointer, 500), pointer


@FULL
def test_personal_properties_are_marked(schema: Schema) -> None:
    """The contact person, `agreed` and `message` are personal, and the name and address of a sole trader."""
    personal = {pointer for pointer, node in properties(schema) if node.get("x-personal")}
    people = {f"/contactPerson{part}" for part in ("", "/name", "/role", "/phone", "/email")}
    expected = {pointer for pointer, _ in properties(schema)} & (people | {"/agreed", "/message"})
    assert personal == expected
    if "company" in schema["properties"]:
        marked = {pointer for pointer, node in properties(schema) if node.get("x-personal-when") == "soleTrader"}
        assert marked == {"/company/name", "/company/municipality", "/company/postcode"}


@FULL
def test_free_text_is_marked(schema: Schema) -> None:
    """Free text is what people type: no id, code, number or phone."""
    last = re.compile(r"(^|/)(id|\w+Id|code|phone|postcode|cvr|pNumber|country|system|municipality)$")
    for pointer, node in properties(schema):
        items = resolved(schema, node["items"]) if "items" in node else node
        if items.get("x-free-text"):
            assert not last.search(pointer), pointer
        elif items.get("type") == "string" and "maxLength" in items:
            assert last.search(pointer) or pointer in ("/via", "/sharing/alliances"), pointer


@FULL
def test_its_patterns_are_linear_and_have_danish_words(schema: Schema) -> None:
    """The linear engine takes every pattern, all are anchored, and each can be told to a sheet's owner."""
    for node in nodes(schema):
        if isinstance(node.get("pattern"), str):
            assert node["pattern"] in PATTERNS
            assert node["pattern"][0] + node["pattern"][-1] == "^$"


def test_parts_used_by_several_are_the_same_in_each() -> None:
    """A company is the same thing in every schema."""
    seen: dict[str, Schema] = {}
    for schema in full_schemas():
        for name, part in schema["$defs"].items():
            assert seen.setdefault(name, part) == part


@FULL
def test_no_rule_but_those_of_the_page(schema: Schema) -> None:
    """The schemas use these keywords only: a new one is a new rule, which the page must have first."""
    rules = {keyword for node in nodes(schema) for keyword, value in node.items() if not isinstance(value, dict)}
    known = {"type", "enum", "format", "pattern", "maxLength", "minimum", "minItems", "required", "anyOf", "$ref"}
    annotations = {"$schema", "$id", "title", "description", "additionalProperties"}
    named = {str(value) for value in range(13)} | {value for node in nodes(schema) for value in node.get("enum", [])}
    assert {keyword for keyword in rules if not keyword.startswith("x-")} <= known | annotations | named
