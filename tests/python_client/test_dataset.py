"""The types of what events hold follow the schemas."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from kommunebro import dataset
from schemas.identifiers import EventName
from tests.python_client.make_types import FOLDER, modules
from tests.support import SCHEMAS

EXAMPLES = sorted(SCHEMAS.glob("*/examples/1.0/*.json"))


def test_the_types_are_those_of_the_schemas() -> None:
    """What is committed is what `python -m tests.python_client.make_types` makes."""
    assert {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.py")} == modules()


def adapter(union: Any) -> TypeAdapter[Any]:
    return TypeAdapter(union, config=ConfigDict(extra="forbid", strict=True))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parents[2].name}-{path.stem}")
def test_every_example_has_its_type(path: Path) -> None:
    """Each of the dataset's examples fits its type, key by key."""
    text = path.read_text("utf-8")
    adapter(dataset.PublishedEvent).validate_json(text)


@pytest.mark.parametrize("name", list(EventName))
def test_what_a_schema_refuses_for_its_shape_the_type_refuses(name: EventName) -> None:
    """A missing property, a wrong kind of value and a value that is not listed do not fit."""
    fits = adapter(dataset.PublishedEvent)
    paths = [
        path
        for path in sorted((SCHEMAS / name.value / "counterexamples" / "1.0").glob("*.json"))
        if path.stem.endswith(("-type", "-enum", "-required"))
    ]
    refused = 0
    for path in paths:
        text = path.read_text("utf-8").replace('"x-fails-at"', '"traceparent"')
        try:
            fits.validate_json(text)
        except ValidationError:
            refused += 1
    # Two ways of naming a company (one of which must be there), and dates as texts, are more than a type can say.
    assert len(paths) > 10
    assert refused / len(paths) > 0.9
