"""Cut data to the fields that may leave. Pure; what is not listed does not leave.

The JSON Pointers that an agreement lists are turned into a tree once; cutting walks data and tree
together. A pointer passes through a list to each of its items.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from exchange_gateway.core.agreements.fields import tokens

Tree = Mapping[str, Optional["Tree"]]
"""Property name to what of it leaves: None means the whole of it."""


def tree_of(fields: Iterable[str]) -> Tree:
    """Turn JSON Pointers into a tree; a pointer to something whole wins over those to its parts."""
    root: dict[str, Any] = {}
    for field in fields:
        _plant(root, tokens(field))
    return root


def _plant(node: dict[str, Any], path: list[str]) -> None:
    for token in path[:-1]:
        child = node.setdefault(token, {})
        if child is None:
            return
        node = child
    node[path[-1]] = None


def intersect(one: Tree | None, other: Tree | None) -> Tree | None:
    """Return what both trees let leave."""
    if one is None:
        return other
    if other is None:
        return one
    return {name: intersect(one[name], other[name]) for name in one if name in other}


def cut(data: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """Return what of `data` leaves. Parts of which nothing is left are left out altogether."""
    kept: dict[str, Any] = {}
    for name, value in data.items():
        if name not in tree:
            continue
        inner = tree[name]
        if inner is None:
            kept[name] = value
            continue
        part = _cut_value(value, inner)
        if part:
            kept[name] = part
    return kept


def _cut_value(value: Any, tree: Tree) -> Any:
    """Cut an object, or each object in a list; anything else has no such properties, so nothing is left."""
    if isinstance(value, dict):
        return cut(value, tree)
    if isinstance(value, list):
        parts = [_cut_value(item, tree) for item in value]
        return [part for part in parts if part]
    return None
