"""Turn a validator's errors into words for people. Never the value itself: it may be somebody's data."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from schemas import cpr, dates
from schemas.event import Violation
from schemas.tree import Schema, join

VIOLATIONS_MAX = 50
"""As many things wrong with one event are told; a hostile event can have thousands."""

NAME_TOLD_MAX = 64
"""A longer name of an unknown property is not repeated."""

_JSON_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_EXAMPLES = {"date": "2026-11-23", "date-time": "2026-11-23T08:05:00+01:00"}


def _pattern(validator: Validator, pattern: str, instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    # `$` is the very end to JSON Schema (ECMA-262); to Python's `re` also the place before a last line break.
    if validator.is_type(instance, "string") and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("does not match the pattern")


_Reference: type[Validator] = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


# jsonschema has these formats only with further packages installed and passes silently without; jsonschema-rs
# brings its own. A property test holds the two to one meaning.
_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date")(lambda value: not isinstance(value, str) or dates.is_date(value))
_FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or dates.is_date_time(value))


def reference(schema: Schema) -> Validator:
    """Return the validator that tells all errors: slower than the hot path's, and of one mind with it."""
    return _Reference(schema, format_checker=_FORMATS)


class Error(NamedTuple):
    """What either validator tells.

    path: where in the data. keyword, expected: the keyword that is broken and its value in the schema.
    known: the properties that the schema names there.
    """

    path: tuple[str | int, ...]
    keyword: str
    expected: Any
    instance: Any
    known: Collection[str]


def all_errors(validator: Validator, data: Any) -> Iterator[Error]:
    """Yield what the reference finds wrong, the first `VIOLATIONS_MAX` errors."""
    for error in islice(validator.iter_errors(data), VIOLATIONS_MAX):
        node = error.schema if isinstance(error.schema, dict) else {}
        yield Error(
            tuple(error.absolute_path),
            str(error.validator),
            error.validator_value,
            error.instance,
            node.get("properties", ()),
        )


def from_fast_path(error: jsonschema_rs.ValidationError, schema: Schema) -> Error:
    """Return an error of the hot path's validator in the reference's terms."""
    node: Any = schema
    for step in error.schema_path[:-1]:
        node = node[step]
    keyword = str(error.schema_path[-1])
    return Error(tuple(error.instance_path), keyword, node[keyword], error.instance, node.get("properties", ()))


def in_words(found: Iterable[Error]) -> list[Violation]:
    """Return violations in the order of their pointers, each once, at most `VIOLATIONS_MAX`."""
    told = {
        (violation.pointer, violation.rule, violation.detail): violation
        for error in found
        for violation in _told(error)
    }
    # What is of the wrong type is not one of the allowed values either, and so on: the type says it all.
    wrong_type = {pointer for pointer, rule, _ in told if rule == "type"}
    kept = [told[key] for key in sorted(told) if key[1] == "type" or key[0] not in wrong_type]
    return kept[:VIOLATIONS_MAX]


def _told(error: Error) -> Iterator[Violation]:
    pointer = join("/data", *error.path)
    if error.keyword == "required":
        for name in error.expected:
            if name not in error.instance:
                yield Violation(pointer, "required", f"{name!r} is missing.", name)
    elif error.keyword == "additionalProperties":
        for name in error.instance:
            if name not in error.known:
                yield _unknown_property(pointer, name)
    elif error.keyword == "anyOf":
        yield _none_of(pointer, error.expected)
    else:
        in_detail = _DETAILS.get(error.keyword, lambda expected: f"Not as {error.keyword} asks for: {expected}.")
        yield Violation(pointer, error.keyword, in_detail(error.expected), error.expected)


def _unknown_property(pointer: str, name: str) -> Violation:
    if len(name) > NAME_TOLD_MAX or cpr.holds_cpr(name):
        return Violation(pointer, "additionalProperties", "Has a property that the schema does not know.")
    detail = f"The schema knows no property {name!r} here."
    return Violation(join(pointer, name), "additionalProperties", detail)


def _none_of(pointer: str, branches: list[Schema]) -> Violation:
    """Say what would do, for the two kinds of `anyOf` in our schemas: formats, and required properties."""
    formats = [branch["format"] for branch in branches if "format" in branch]
    if formats:
        detail = "Not one of these: " + ", ".join(_format_detail(name).removeprefix("Not ") for name in formats)
        return Violation(pointer, "format", detail, formats)
    names = [name for branch in branches for name in branch["required"]]
    return Violation(pointer, "anyOf", f"One of these is needed: {', '.join(names)}.", names)


def _format_detail(name: str) -> str:
    kind = "a date" if name == "date" else "a time with its offset from UTC"
    return f"Not {kind} such as {_EXAMPLES[name]} (RFC 3339)."


_DETAILS: dict[str, Callable[[Any], str]] = {
    "type": lambda name: f"Not {_JSON_TYPES[name]}.",
    "enum": lambda values: f"Not one of: {', '.join(str(value) for value in values)}.",
    "pattern": lambda pattern: f"Does not match the pattern {pattern}.",
    "format": _format_detail,
    "maxLength": lambda most: f"Longer than {most} characters.",
    "minimum": lambda least: f"Less than {least}.",
    "minItems": lambda least: f"Fewer than {least} in the list.",
}
