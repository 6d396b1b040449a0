"""Finding one's way in an OpenAPI or AsyncAPI document."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs


def references(node: Any) -> Iterator[str]:
    """Give every `$ref` in a document."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    """Return what a local reference names, or None."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return the check of a schema that stands in a document."""
    whole = {"components": {"schemas": document["components"]["schemas"]}, "allOf": [schema]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
