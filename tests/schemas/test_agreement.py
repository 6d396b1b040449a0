"""The fast validator and the one with the words are of one mind."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import dates
from schemas.packaged import full_schemas
from schemas.tree import Schema
from schemas.views import shared_view
from schemas.violations import VIOLATIONS_MAX, all_errors, from_fast_path, in_words, reference
from tests.schemas.strategies import HOSTILE, instances, mutated

SCHEMAS = [*full_schemas(), *map(shared_view, full_schemas())]
BY_ID = {schema["$id"]: schema for schema in SCHEMAS}
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def fast(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, pattern_options=options)


FAST = {schema["$id"]: fast(schema) for schema in SCHEMAS}
SLOW = {schema["$id"]: reference(schema) for schema in SCHEMAS}


def agree(name: str, value: Any) -> None:
    found = {violation[:2] for violation in in_words(all_errors(SLOW[name], value))}
    if len(found) < VIOLATIONS_MAX:
        quick = in_words(from_fast_path(error, BY_ID[name]) for error in FAST[name].iter_errors(value))
        assert found == {violation[:2] for violation in quick}
    assert FAST[name].is_valid(value) == (not found)


@pytest.mark.parametrize("name", BY_ID)
@settings(relaxed, max_examples=15)
@given(data=st.data())
def test_right_instances_are_taken_by_both(name: str, data: st.DataObject) -> None:
    """What is made by the schema is taken, by the hot path and by the reference."""
    value = data.draw(instances(BY_ID[name]))
    assert FAST[name].is_valid(value)
    agree(name, value)


@pytest.mark.parametrize("name", BY_ID)
@settings(relaxed, max_examples=60)
@given(data=st.data())
def test_both_find_the_same_wrong_in_mutated_instances(name: str, data: st.DataObject) -> None:
    """Whatever is done to an instance, both say yes or no alike, with the same pointers and rules."""
    agree(name, data.draw(mutated(instances(BY_ID[name]))))


@pytest.mark.parametrize("name", BY_ID)
@settings(relaxed, max_examples=30)
@given(value=st.recursive(HOSTILE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9))
def test_both_refuse_anything_else_alike(name: str, value: Any) -> None:
    """Any JSON at all gets the same answer of both."""
    agree(name, value)


def near(pieces: str, most: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(pieces), max_size=most)


@relaxed
@given(st.dates().map(str) | near("0123456789-W", 11) | HOSTILE.filter(lambda value: isinstance(value, str)))
def test_a_date_means_the_same_to_both(text: str) -> None:
    """`format: date` of jsonschema-rs and our own reading of RFC 3339 agree."""
    assert jsonschema_rs.is_valid({"format": "date"}, text, validate_formats=True) == dates.is_date(text)


times = st.from_regex(
    r"\A(0000|2026|1999|2000)-(0[1-9]|1[0-3])-(0[1-9]|[123][0-9])[Tt ](0[0-9]|2[0-4]):([05][0-9]|60):([05][0-9]|60|61)"
    r"(\.[0-9]{0,10})?(Z|z|[+-](0[0-9]|2[34]):([05][0-9]|60)|)\Z"
)


@relaxed
@given(times | near("0123456789-T:+Z.", 30) | HOSTILE.filter(lambda value: isinstance(value, str)))
def test_a_date_time_means_the_same_to_both(text: str) -> None:
    """`format: date-time` of jsonschema-rs and our own reading of RFC 3339 agree, leap seconds included."""
    assert jsonschema_rs.is_valid({"format": "date-time"}, text, validate_formats=True) == dates.is_date_time(text)
