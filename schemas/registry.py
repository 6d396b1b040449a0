"""The schemas, found by name and version, and the check of an event against its own.

What judges is jsonschema-rs with its linear regex engine, then the dataset's own rules (`rules.py`): yes or
no in some 6 µs. Most published events are taken before that by `quick`, which only ever says yes. Only an event
that is refused meets jsonschema, which finds all that is wrong and where. Property tests hold that they agree.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self

import jsonschema_rs
from jsonschema.protocols import Validator

from schemas.event import Event, InvalidEvent, Violation
from schemas.identifiers import DataSchema
from schemas.packaged import full_schemas
from schemas.quick import QuickReader
from schemas.registers import Registers
from schemas.rules import Plan, Rules, plan_of
from schemas.tree import Schema
from schemas.views import shared_view
from schemas.violations import VIOLATIONS_MAX, all_errors, from_fast_path, in_words, reference

LIST_LOOKED_AT_MAX = 200
"""Items of a list that the slow validator looks at: 5 µs each, and 256 KiB hold 80,000."""


class UnknownSchema(LookupError):
    """There is no schema of that name and version."""


class Known(NamedTuple):
    """One schema and what was made of it."""

    schema: Schema
    fast: jsonschema_rs.Draft202012Validator
    slow: Validator
    plan: Plan


class Registry:
    """All schemas, the derived views included. Make it with `load`; it does not change."""

    def __init__(self, schemas: list[Schema], rules: Rules) -> None:
        self._rules = rules
        self._known = {schema["$id"]: _known(schema) for schema in schemas}
        self.quick = QuickReader(schemas, rules)

    @classmethod
    def load(cls, cvr_modulus: Literal["refuse", "warn"] = "refuse") -> Self:
        """Read the schemas that come with this package.

        cvr_modulus: what becomes of a CVR number with a wrong check digit; `warnings` tells it either way.
        """
        full = full_schemas()
        rules = Rules(Registers.load().municipality_codes, check_modulus=cvr_modulus == "refuse")
        return cls([*full, *map(shared_view, full)], rules)

    def check(self, event: Event) -> None:
        """Return if the event's data is right.

        Raises `InvalidEvent` with the problem `unknown-schema`, `citizen-number` where a free text holds
        something like a CPR number, or `schema-violation` for any other rule of the dataset.
        """
        attributes = event.attributes
        known = self._known.get(attributes["dataschema"])
        if known is None:
            raise self._unknown(event)
        if not self._is_right(attributes["data"], known):
            raise self._refusal(event, known)

    def takes(self, dataschema: str, data: dict[str, Any]) -> bool:
        """Whether an event's data is right; False, too, where the schema is not known. `check` says why not."""
        known = self._known.get(dataschema)
        return known is not None and self._is_right(data, known)

    def _is_right(self, data: Any, known: Known) -> bool:
        return known.fast.is_valid(data) and self._rules.all_kept(data, known.plan)

    def warnings(self, event: Event) -> list[Violation]:
        """Return what a setting lets through although it looks wrong: CVR numbers' check digits."""
        known = self._known[event.attributes["dataschema"]]
        found = self._rules.violations(event.data, known.plan, check_modulus=True)
        return [violation for violation in found if violation.rule == "modulus-11"]

    def schema(self, name: str, version: str) -> dict[str, Any]:
        """Return a schema, such as `job-order` or `job-order-shared` in version `1.0`. Raises `UnknownSchema`."""
        known = self._known.get(f"urn:kommunebro:schema:{name}:{version}")
        if known is None:
            raise UnknownSchema(f"There is no schema {name} {version}; there are {', '.join(self._names())}.")
        return known.schema

    def list(self) -> list[tuple[str, str]]:
        """Return (name, version) of every schema, the derived views included."""
        return [(known.name, known.version) for known in map(DataSchema.parse, self._known)]

    def _names(self) -> Iterator[str]:
        return (f"{name} {version}" for name, version in self.list())

    def _unknown(self, event: Event) -> InvalidEvent:
        versions = [str(known) for known in map(DataSchema.parse, self._known) if known.name == event.name]
        detail = f"There is no schema {event.dataschema}; use {' or '.join(versions)}."
        return InvalidEvent("unknown-schema", detail, [Violation("/dataschema", "enum", detail, versions)], event.id)

    def _refusal(self, event: Event, known: Known) -> InvalidEvent:
        """Say all that is wrong with an event of which it is known that something is."""
        broken = in_words(all_errors(known.slow, _shortened(event.data)))
        broken += self._rules.violations(event.data, known.plan)
        if not broken:
            broken = in_words([_first_error(known, event.data)])
        citizen = any(violation.rule == "cpr" for violation in broken)
        return InvalidEvent(
            "citizen-number" if citizen else "schema-violation",
            _CITIZEN_DETAIL if citizen else f"The data does not follow {event.dataschema}: see each error.",
            sorted(broken, key=lambda violation: violation.rule != "cpr")[:VIOLATIONS_MAX],
            event.id,
        )


_CITIZEN_DETAIL = "A text holds something like a CPR number. Take it out: no citizen's data may enter."


def _first_error(known: Known, data: Any) -> Any:
    """Return what the fast validator stumbles over, for lists too long for the slow one."""
    try:
        known.fast.validate(data)
    except jsonschema_rs.ValidationError as error:
        return from_fast_path(error, known.schema)
    raise AssertionError("An event was refused that nothing is wrong with.")


def _shortened(value: Any) -> Any:
    """Copy `value` with every list cut to what the slow validator looks at."""
    if isinstance(value, list):
        return [_shortened(item) for item in value[:LIST_LOOKED_AT_MAX]]
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return value


def _known(schema: Schema) -> Known:
    # The linear engine refuses a pattern with look-around here, at load; formats are asserted, not annotations.
    fast = jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
    )
    return Known(schema, fast, reference(schema), plan_of(schema))
