"""The derived view of a forwarded event: whatever an agreement cuts to is right, and nothing slips through."""

import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.packaged import full_schemas
from schemas.tree import Schema, properties
from schemas.views import shared_view
from tests.schemas.strategies import instances
from tests.schemas.test_schemas import nodes

FULL = pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])


@FULL
def test_only_id_and_status_or_kind_are_required(schema: Schema) -> None:
    """At the top; inside parts nothing is, since an agreement may list single properties of them."""
    view = shared_view(schema)
    own_id = next(iter(schema["properties"]))
    state = [name for name in ("status", "kind") if name in schema["properties"]]
    assert view["required"] == [own_id, *state]
    assert [node for node in nodes(view) if isinstance(node.get("required"), list)] == [view]


@FULL
def test_it_is_a_schema_of_its_own(schema: Schema) -> None:
    """Valid, closed, with its own urn, and without parts that nothing in it uses; the full one is left as it was."""
    before = str(schema)
    view = shared_view(schema)
    assert str(schema) == before
    Draft202012Validator.check_schema(view)
    name, version = schema["$id"].split(":")[-2:]
    assert view["$id"] == f"urn:kommunebro:schema:{name}-shared:{version}"
    assert all(
        part["additionalProperties"] is False for part in [view, *view["$defs"].values()] if "properties" in part
    )
    assert {node["$ref"].removeprefix("#/$defs/") for node in nodes(view) if "$ref" in node} == view["$defs"].keys()


@FULL
def test_what_never_leaves_is_not_in_it(schema: Schema) -> None:
    """Sharing and the time of the employer's word are the publisher's own."""
    pointers = {pointer for pointer, _ in properties(shared_view(schema))}
    assert not [pointer for pointer in pointers if pointer.startswith(("/sharing", "/agreedAt"))]
    gone = {pointer for pointer, _ in properties(schema)} - pointers
    assert gone <= {"/sharing", "/sharing/scope", "/sharing/alliances", "/agreedAt"}


def cut(value: Any, chance: random.Random) -> Any:
    """Take properties away at every level, as an agreement's list of pointers does."""
    if isinstance(value, list):
        return [cut(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: cut(item, chance) for name, item in value.items() if chance.random() < 0.6}


@FULL
@settings(max_examples=30)
@given(data=st.data(), chance=st.randoms(use_true_random=False))
def test_every_cut_of_a_right_event_is_right(schema: Schema, data: st.DataObject, chance: random.Random) -> None:
    """Whatever an agreement leaves, if it leaves the id and the status."""
    view = shared_view(schema)
    whole = data.draw(instances(schema))
    left = cut({name: item for name, item in whole.items() if name not in ("sharing", "agreedAt")}, chance)
    left |= {name: whole[name] for name in view["required"]}
    assert jsonschema_rs.Draft202012Validator(view, validate_formats=True).is_valid(left)


def test_a_contacts_day_may_stand_without_its_clock() -> None:
    """By default an agreement shows the date of a contact only."""
    view = next(shared_view(schema) for schema in full_schemas() if "company-contact" in schema["$id"])
    fast = jsonschema_rs.Draft202012Validator(view, validate_formats=True)
    assert fast.is_valid({"contactId": "1", "occurredAt": "2026-11-16"})
    assert fast.is_valid({"contactId": "1", "occurredAt": "2026-11-16T08:05:00+01:00"})
    assert not fast.is_valid({"contactId": "1", "occurredAt": "16-11-2026"})
