"""Every example passes, every counterexample fails where it says."""

from pathlib import Path

import orjson
import pytest

import schemas
from schemas.event import Event, InvalidEvent
from schemas.identifiers import EventName
from schemas.registry import Registry

HERE = Path(schemas.__file__).parent
EXAMPLES = sorted(HERE.glob("*/examples/*/*.json"))
COUNTEREXAMPLES = sorted(HERE.glob("*/counterexamples/*/*.json"))
REGISTRY = Registry.load()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-4]}/{path.stem}")
def test_an_example_passes(path: Path) -> None:
    """Each example is an event that the dataset takes."""
    REGISTRY.check(Event.parse(path.read_bytes().strip()))


@pytest.mark.parametrize("path", COUNTEREXAMPLES, ids=lambda path: f"{path.parts[-4]}/{path.stem}")
def test_a_counterexample_fails_where_it_says(path: Path) -> None:
    """Each counterexample is refused, with an error at the pointer that it names."""
    value = orjson.loads(path.read_bytes())
    pointer = value.pop("x-fails-at")
    with pytest.raises(InvalidEvent) as refusal:
        REGISTRY.check(Event.from_json(value))
    assert pointer in [violation.pointer for violation in refusal.value.violations]


@pytest.mark.parametrize("name", EventName)
def test_there_are_at_least_five_examples(name: EventName) -> None:
    """Every schema has five examples or more."""
    assert len([path for path in EXAMPLES if path.parts[-4] == name]) >= 5
