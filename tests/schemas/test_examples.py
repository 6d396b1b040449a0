"""Every example passes, every counterexample fails where it says, and no rule is without one."""

from pathlib import Path
from typing import Any

import orjson
import pytest

import schemas
from schemas.event import Event, InvalidEvent
from schemas.identifiers import EventName
from schemas.packaged import full_schemas
from schemas.registry import Registry
from schemas.tree import Schema
from tests.schemas import make_counterexamples
from tests.schemas.rules_in_schemas import rules_in

HERE = Path(schemas.__file__).parent
EXAMPLES = sorted(HERE.glob("*/examples/*/*.json"))
COUNTEREXAMPLES = sorted(HERE.glob("*/counterexamples/*/*.json"))
REGISTRY = Registry.load()


def refusal(value: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        REGISTRY.check(Event.from_json(value))
    return refused.value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-4]}/{path.stem}")
def test_an_example_passes(path: Path) -> None:
    """Each example is an event that the dataset takes."""
    REGISTRY.check(Event.parse(path.read_bytes()))


@pytest.mark.parametrize("path", COUNTEREXAMPLES, ids=lambda path: f"{path.parts[-4]}/{path.stem}")
def test_a_counterexample_fails_where_it_says_and_nowhere_else(path: Path) -> None:
    """Each counterexample is refused for one thing only, at the pointer that it names."""
    value = orjson.loads(path.read_bytes())
    pointer = value.pop("x-fails-at")
    assert {violation.pointer for violation in refusal(value).violations} == {pointer}


@pytest.mark.parametrize("name", EventName)
def test_there_are_at_least_five_examples(name: EventName) -> None:
    """Every schema has five examples or more."""
    assert len([path for path in EXAMPLES if path.parts[-4] == name]) >= 5


@pytest.mark.parametrize("name", EventName)
def test_the_examples_show_every_property(name: EventName) -> None:
    """Whoever maps a system of their own finds each top-level property in some example."""
    schema = next(schema for schema in full_schemas() if f":{name}:" in schema["$id"])
    shown = {key for path in EXAMPLES if path.parts[-4] == name for key in orjson.loads(path.read_bytes())["data"]}
    assert shown == schema["properties"].keys()


@pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])
def test_every_rule_has_a_counterexample(schema: Schema) -> None:
    """For each rule that the schema has on each property there is a file, with what the maker makes of it."""
    made = make_counterexamples.of_schema(schema)
    name, version = schema["$id"].split(":")[-2:]
    assert {path.stem for path in made} >= {place.stem for place in rules_in(schema)}
    assert set((HERE / name / "counterexamples" / version).glob("*.json")) == made.keys()
    for path, counterexample in made.items():
        assert path.read_text("utf-8") == make_counterexamples.text_of(counterexample)


@pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])
def test_a_counterexample_breaks_the_rule_that_it_is_for(schema: Schema) -> None:
    """The rule in a counterexample's name is the one that refuses it, but for the id, whose subject is first."""
    made = {path.stem: value for path, value in make_counterexamples.of_schema(schema).items()}
    for place in rules_in(schema):
        value = dict(made[place.stem])
        value.pop("x-fails-at")
        rules = {violation.rule for violation in refusal(value).violations}
        assert rules == {place.rule} or place.pointer.endswith("Id"), place.stem
