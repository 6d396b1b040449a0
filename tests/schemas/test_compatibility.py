"""Which change breaks whom: a table of cases, and a promise that holds for any two schemas."""

import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.compatibility import BOTH, READERS, WRITERS, breaks, compare
from schemas.packaged import full_schemas
from schemas.tree import Schema
from schemas.views import shared_view

NEITHER: tuple[str, ...] = ()
TEXT = {"type": "string"}


def of(change: dict[str, Any]) -> Schema:
    """Return a closed object with one text property, changed."""
    base: Schema = {"type": "object", "properties": {"a": TEXT}, "required": [], "additionalProperties": False}
    return {**base, **change}


def a(node: Any) -> Schema:
    """Return a closed object whose one property is this."""
    return of({"properties": {"a": node}})


OPEN = {"additionalProperties": True}
CASES: dict[str, tuple[Schema, Schema, str, str, tuple[str, ...]]] = {
    "an optional property added": (of({}), of({"properties": {"a": TEXT, "b": TEXT}}), "/b", "properties", NEITHER),
    "… to an open schema": (of(OPEN), of({"properties": {"a": TEXT, "b": TEXT}, **OPEN}), "/b", "properties", WRITERS),
    "… of any type": (of(OPEN), of({"properties": {"a": TEXT, "b": {}}, **OPEN}), "/b", "properties", NEITHER),
    "a required one added": (of({}), of({"properties": {"b": TEXT}, "required": ["b"]}), "/b", "required", WRITERS),
    "a property removed": (of({}), of({"properties": {}}), "/a", "properties", WRITERS),
    "… from an open schema": (of(OPEN), of({"properties": {}, **OPEN}), "/a", "properties", READERS),
    "a required property removed": (of({"required": ["a"]}), of({"properties": {}}), "/a", "required", READERS),
    "a property required": (of({}), of({"required": ["a"]}), "/a", "required", WRITERS),
    "a property no longer required": (of({"required": ["a"]}), of({}), "/a", "required", READERS),
    "closed": (of(OPEN), of({}), "", "additionalProperties", WRITERS),
    "opened": (of({}), of(OPEN), "", "additionalProperties", NEITHER),
    "the rest typed": (of(OPEN), of({"additionalProperties": TEXT}), "/*", "type", WRITERS),
    "the rest no longer typed": (of({"additionalProperties": TEXT}), of(OPEN), "/*", "type", READERS),
    "another type": (a(TEXT), a({"type": "integer"}), "/a", "type", BOTH),
    "a type more": (a(TEXT), a({"type": ["string", "null"]}), "/a", "type", READERS),
    "a type less": (a({"type": ["string", "null"]}), a(TEXT), "/a", "type", WRITERS),
    "any type": (a(TEXT), a({}), "/a", "type", READERS),
    "whole numbers to numbers": (a({"type": "integer"}), a({"type": "number"}), "/a", "type", READERS),
    "numbers to whole numbers": (a({"type": "number"}), a({"type": "integer"}), "/a", "type", WRITERS),
    "a value added": (a({"enum": ["x"]}), a({"enum": ["x", "y"]}), "/a", "enum", READERS),
    "a value removed": (a({"enum": ["x", "y"]}), a({"enum": ["x"]}), "/a", "enum", WRITERS),
    "a value replaced": (a({"enum": ["x"]}), a({"enum": ["y"]}), "/a", "enum", BOTH),
    "an enumeration added": (a(TEXT), a({**TEXT, "enum": ["x"]}), "/a", "enum", WRITERS),
    "an enumeration removed": (a({**TEXT, "enum": ["x"]}), a(TEXT), "/a", "enum", READERS),
    "a constant changed": (a({"const": 1}), a({"const": 2}), "/a", "enum", BOTH),
    "a constant to an enumeration with it": (a({"const": 1}), a({"enum": [1, 2]}), "/a", "enum", READERS),
    "a length shorter": (a({"maxLength": 9}), a({"maxLength": 8}), "/a", "maxLength", WRITERS),
    "a length longer": (a({"maxLength": 9}), a({"maxLength": 10}), "/a", "maxLength", READERS),
    "a length given": (a({}), a({"maxLength": 9}), "/a", "maxLength", WRITERS),
    "a length no longer given": (a({"maxLength": 9}), a({}), "/a", "maxLength", READERS),
    "a minimum raised": (a({"minimum": 0}), a({"minimum": 1}), "/a", "minimum", WRITERS),
    "a minimum lowered": (a({"minimum": 1}), a({"minimum": 0}), "/a", "minimum", READERS),
    "a maximum lowered": (a({"maximum": 9}), a({"maximum": 8}), "/a", "maximum", WRITERS),
    "an exclusive minimum given": (a({}), a({"exclusiveMinimum": 0}), "/a", "exclusiveMinimum", WRITERS),
    "more items needed": (a({"minItems": 1}), a({"minItems": 2}), "/a", "minItems", WRITERS),
    "fewer items taken": (a({"maxItems": 9}), a({"maxItems": 2}), "/a", "maxItems", WRITERS),
    "fewer properties taken": (a({}), a({"maxProperties": 2}), "/a", "maxProperties", WRITERS),
    "a pattern changed": (a({"pattern": "^a"}), a({"pattern": "^b"}), "/a", "pattern", BOTH),
    "a pattern added": (a({}), a({"pattern": "^a"}), "/a", "pattern", WRITERS),
    "a pattern removed": (a({"pattern": "^a"}), a({}), "/a", "pattern", READERS),
    "a format changed": (a({"format": "date"}), a({"format": "date-time"}), "/a", "format", BOTH),
    "a format added": (a({}), a({"format": "date"}), "/a", "format", WRITERS),
    "items changed": (a({"items": TEXT}), a({"items": {"type": "integer"}}), "/a/*", "type", BOTH),
    "items described": (a({}), a({"items": TEXT}), "/a/*", "type", WRITERS),
    "no items taken": (a({}), a({"items": False}), "/a/*", "not", BOTH),
    "an alternative added": (a({"anyOf": [TEXT]}), a({"anyOf": [TEXT, {"type": "null"}]}), "/a", "anyOf", READERS),
    "an alternative removed": (a({"anyOf": [TEXT, {"type": "null"}]}), a({"anyOf": [TEXT]}), "/a", "anyOf", WRITERS),
    "alternatives given": (a({}), a({"anyOf": [TEXT]}), "/a", "anyOf", WRITERS),
    "alternatives no longer given": (a({"anyOf": [TEXT]}), a({}), "/a", "anyOf", READERS),
    "a condition added": (a({"allOf": [TEXT]}), a({"allOf": [TEXT, {"minLength": 1}]}), "/a", "allOf", WRITERS),
    "a condition removed": (a({"allOf": [TEXT]}), a({}), "/a", "allOf", READERS),
    "one-of changed": (a({"oneOf": [TEXT]}), a({"oneOf": [TEXT, {"minLength": 1}]}), "/a", "oneOf", BOTH),
    "a negation added": (a({}), a({"not": TEXT}), "/a", "not", BOTH),
    "a pattern for names added": (of({}), of({"patternProperties": {"^x": {}}}), "", "patternProperties", BOTH),
    "another dialect": ({"$schema": "x"}, {"$schema": "y"}, "", "$schema", BOTH),
    "a register to look in": (a(TEXT), a({**TEXT, "x-register": "municipalities"}), "/a", "x-register", WRITERS),
    "no longer guarded": (a({**TEXT, "x-free-text": True}), a(TEXT), "/a", "x-free-text", READERS),
    "a part changed": (
        a({"$ref": "#/$defs/p"}) | {"$defs": {"p": TEXT}},
        a({"$ref": "#/$defs/q"}) | {"$defs": {"q": {"type": "integer"}}},
        "/a",
        "type",
        BOTH,
    ),
    "a strange name": (of({"properties": {"a/~": TEXT}}), of({"properties": {"a/~": {}}}), "/a~1~0", "type", READERS),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_change_breaks_whom_it_breaks(case: tuple[Schema, Schema, str, str, tuple[str, ...]]) -> None:
    """Every case is told with its path and keyword, a reason, and whom it breaks."""
    old, new, path, keyword, broken = case
    changes = {(change.path, change.keyword): change for change in compare(old, new)}
    assert changes[path, keyword].breaks == broken
    assert changes[path, keyword].reason.endswith(".")
    assert str(changes[path, keyword]).startswith(f"{path or '/'}: ")


EQUAL: dict[str, tuple[Schema, Schema]] = {
    "words": (a(TEXT), a({**TEXT, "title": "A", "description": "b", "x-label-da": "c", "examples": [1], "default": 2})),
    "a part taken out": (a(TEXT), a({"$ref": "#/$defs/p"}) | {"$defs": {"p": TEXT}}),
    "a part renamed": (
        a({"anyOf": [{"$ref": "#/$defs/p"}]}) | {"$defs": {"p": TEXT}},
        a({"anyOf": [{"$ref": "#/$defs/q"}]}) | {"$defs": {"q": {**TEXT, "title": "x"}}},
    ),
    "the order of values": (a({"enum": [1, 2]}), a({"enum": [2.0, 1]})),
    "the order of required properties": (of({"required": ["a", "b"]}), of({"required": ["b", "a"]})),
    "a constant and an enumeration of one": (a({"const": 1}), a({"enum": [1]})),
    "anything": (a(True), a({})),
    "nothing": (a(False), a({"not": {}})),
    "one type in a list": (a(TEXT), a({"type": ["string"]})),
    "number and integer": (a({"type": "number"}), a({"type": ["integer", "number"]})),
}


@pytest.mark.parametrize("case", EQUAL.values(), ids=EQUAL)
def test_what_takes_the_same_has_no_change(case: tuple[Schema, Schema]) -> None:
    """Words for people and other ways to write one rule are no change."""
    assert compare(*case) == compare(*reversed(case)) == []


def test_a_schema_that_refers_to_itself_is_compared() -> None:
    """A tree's nodes are compared until they come round, and what changed in them is told."""
    tree = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"left": {"$ref": "#/$defs/t"}}}}}
    other = deepcopy(tree)
    other["$defs"]["t"]["required"] = ["left"]  # type: ignore[index]
    assert compare(tree, tree) == []
    assert [change.path for change in compare(tree, other)] == ["/left", "/left/left"]


@pytest.mark.parametrize("reference", ["#/$defs/none", "#/properties/a", "urn:elsewhere", "#/$defs/0/x"])
def test_a_reference_that_leads_nowhere_is_compared_as_written(reference: str) -> None:
    """Such a file is told to differ from another, and equals itself."""
    one = a({"$ref": reference})
    assert compare(one, deepcopy(one)) == []
    assert [change.keyword for change in compare(one, a({"$ref": "urn:other"}))] == ["$ref"]


@pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])
def test_our_schemas_are_equal_to_themselves(schema: Schema) -> None:
    """And a shared view takes whatever its full schema requires, without what never leaves."""
    assert compare(schema, deepcopy(schema)) == []
    changes = compare(schema, shared_view(schema))
    assert {change.path for change in changes if "writers" in change.breaks} <= {"/sharing", "/agreedAt"}


def test_a_change_is_told_as_json() -> None:
    """For programs that ask before they publish a schema."""
    [change] = compare(a({"enum": ["x"]}), a({"enum": ["x", "y"]}))
    assert change.incompatible
    assert change.as_dict() == {
        "path": "/a",
        "keyword": "enum",
        "incompatibleFor": ["readers"],
        "reason": 'Values were added: "y".',
    }
    assert str(change) == '/a: Values were added: "y". Incompatible for readers.'


# --- the promise ----------------------------------------------------------------------------------

KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["string", "integer", "number", "array", "object", "boolean", ["string", "null"]]),
    "enum": st.lists(st.sampled_from([1, 1.0, "a", "ab", True, None, [], {}]), min_size=1, max_size=4),
    "const": st.sampled_from([1, "a", False]),
    "maxLength": st.integers(0, 3),
    "minLength": st.integers(0, 3),
    "minimum": st.integers(-1, 3),
    "maximum": st.integers(-1, 3),
    "exclusiveMaximum": st.integers(-1, 3),
    "minItems": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "minProperties": st.integers(0, 2),
    "maxProperties": st.integers(0, 2),
    "multipleOf": st.integers(1, 3),
    "uniqueItems": st.booleans(),
    "pattern": st.sampled_from(["^a", "b$"]),
    "required": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
}  # fmt: skip


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    schema = inner | st.booleans()
    some = st.lists(schema, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional=KEYWORDS
        | {
            "properties": st.dictionaries(st.sampled_from("abc"), schema, max_size=3),
            "additionalProperties": schema,
            "items": schema,
            **dict.fromkeys(("anyOf", "allOf", "oneOf"), some),
            "not": schema,
            "prefixItems": some,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), schema, max_size=1),
            "$ref": st.just("#/$defs/part"),
        },
    )


part = st.fixed_dictionaries({}, optional=KEYWORDS)
schemas = st.builds(
    lambda root, definition: {**root, "$defs": {"part": definition}}, st.recursive(part, _nested, max_leaves=4), part
)
instances = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 1.5, -1, "", "a", "ab", "aab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)


def changed(schema: Any, chance: random.Random) -> Any:
    """Return a schema with a little of it changed, so that there is something to compare."""
    if isinstance(schema, list):
        return [changed(item, chance) for item in schema if chance.random() > 0.1]
    if isinstance(schema, bool) or not isinstance(schema, dict):
        return schema + 1 if type(schema) is int and chance.random() < 0.3 else schema
    return {
        key: changed(value, chance)
        for key, value in schema.items()
        if key in ("$defs", "part") or chance.random() > 0.1
    }


def opened(schema: Any) -> Any:
    """Return what a reader takes who ignores the properties that it does not know."""
    if not isinstance(schema, dict):
        return schema
    here = {key: value for key, value in schema.items() if key != "additionalProperties" or value is not False}
    for key in ("items", "additionalProperties"):
        if key in here:
            here[key] = opened(here[key])
    for key in ("properties", "$defs"):
        if key in here:
            here[key] = {name: opened(child) for name, child in here[key].items()}
    return here


@given(schemas, schemas, st.randoms(use_true_random=False), st.booleans(), st.lists(instances, min_size=5, max_size=30))
def test_who_is_not_said_to_be_broken_is_not(
    old: Schema, other: Schema, chance: random.Random, related: bool, values: list[Any]
) -> None:
    """What the old took the new takes, if writers are not broken; and what the new takes its readers take."""
    try:
        new = changed(old, chance) if related else other
        Draft202012Validator.check_schema(new)
    except Exception:  # noqa: BLE001  # a change that leaves no valid schema behind
        new = other
    for before, after in ((old, new), (new, old)):
        changes = compare(before, after)
        takes, took, reads = (Draft202012Validator(schema) for schema in (after, before, opened(before)))
        for value in values:
            if not breaks(changes, "writers"):
                assert takes.is_valid(value) or not took.is_valid(value)
            if not breaks(changes, "readers"):
                assert reads.is_valid(value) or not takes.is_valid(value)
