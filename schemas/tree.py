"""Find one's way in a JSON Schema: local references followed, nodes found by an instance's JSON Pointer."""

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def escape(token: str) -> str:
    """Write one property name as a JSON Pointer's token (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def split(pointer: str) -> list[str]:
    """Return a JSON Pointer's tokens, unescaped; the empty pointer has none."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def join(pointer: str, *tokens: str | int) -> str:
    """Return `pointer` with more tokens behind it."""
    return pointer + "".join("/" + escape(str(token)) for token in tokens)


def resolved(root: Schema, node: Schema) -> Schema:
    """Return `node` with its `$ref` into `root`'s `$defs` taken in; what stands beside the `$ref` wins."""
    while "$ref" in node:
        target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def node_at(root: Schema, pointer: str) -> Schema | None:
    """Return the schema of what an instance has at `pointer`, references taken in; None where it has no schema.

    A list's index may be given or left out: `/outlook/0/direction` and `/outlook/direction` are one node.
    """
    if pointer and not pointer.startswith("/"):
        return None
    node = resolved(root, root)
    for token in split(pointer):
        if "items" in node:
            node = resolved(root, node["items"])
            if _INDEX.fullmatch(token):
                continue
        if token not in node.get("properties", {}):
            return None
        node = resolved(root, node["properties"][token])
    return node


def properties(root: Schema, node: Schema | None = None, pointer: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield (pointer without list indices, schema) of each property at every level, in reading order."""
    node = resolved(root, root if node is None else node)
    if "items" in node:
        yield from properties(root, node["items"], pointer)
    for name, child in node.get("properties", {}).items():
        here = join(pointer, name)
        yield here, resolved(root, child)
        yield from properties(root, child, here)
