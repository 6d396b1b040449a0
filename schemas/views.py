"""Derive the view in which a forwarded event is written. Pure.

An agreement cuts an event to the properties that it lists, at any depth, so in the view nothing is
required but the thing's id and its status or kind. All else of the full schema stays: what is there must
be right, and nothing may be there that the schema does not name. What never leaves is not in the view,
so that a fault in cutting would be refused here.
"""

from copy import deepcopy
from typing import Any

from schemas.identifiers import ID_PROPERTIES, DataSchema
from schemas.tree import Schema

STATES = ("status", "kind")
"""The properties that say where a thing stands; each schema has at most one of them."""

NEVER_LEAVES = ("sharing", "agreedAt")


def shared_view(schema: Schema) -> Schema:
    """Return the derived `-shared` schema of a full one."""
    identity = DataSchema.parse(schema["$id"])
    view: Schema = _nothing_required(deepcopy(schema))
    view["$id"] = str(identity.shared)
    view["title"] += ", shared"
    view["description"] += " This is the view of a forwarded event: cut to what the alliance's agreement shows."
    for name in NEVER_LEAVES:
        view["properties"].pop(name, None)
    id_property = ID_PROPERTIES[identity.name]  # type: ignore[index]  # a StrEnum's keys are texts
    view["required"] = [id_property, *(state for state in STATES if state in view["properties"])]
    view["$defs"] = _used_definitions(view)
    return view


def _nothing_required(node: Any) -> Any:
    """Drop `required`, and each `anyOf` that only says which properties are required, at every level."""
    if isinstance(node, list):
        return [_nothing_required(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if not _requires(key, value)}
    return {key: _nothing_required(value) for key, value in kept.items()}


def _requires(key: str, value: Any) -> bool:
    # A property may be called `required`; its value is a schema then, not a list.
    if key == "required":
        return isinstance(value, list)
    return key == "anyOf" and isinstance(value, list) and all(branch.keys() == {"required"} for branch in value)


def _used_definitions(view: Schema) -> Schema:
    definitions, used, waiting = view["$defs"], set[str](), [view["properties"]]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in used:
                used.add(name)
                waiting.append(definitions[name])
    return {name: definition for name, definition in definitions.items() if name in used}


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/$defs/")} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(_references, node.values()))
