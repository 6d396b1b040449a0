"""The Danish words for properties and enumerations, from the schemas' own `x-label-da` and `x-enum-labels-da`.

name: a type's short name such as `job-order`. pointer: a JSON Pointer into its `data`, such as
`/company/cvr`; a list's index may be left out.
"""

from schemas.packaged import newest
from schemas.tree import Schema, node_at, resolved


def label(name: str, pointer: str) -> str:
    """Return a property's label; the empty pointer has the type's own. Raises `KeyError` where there is none."""
    return str(_node(name, pointer)["x-label-da"])


def enum_labels(name: str, pointer: str) -> dict[str, str]:
    """Return value to label of an enumeration, or of a list's items, in the schema's order.

    Empty for what is no enumeration. Raises `KeyError` for an unknown pointer.
    """
    node = _node(name, pointer)
    if "items" in node:
        node = resolved(newest(name), node["items"])
    return dict(node.get("x-enum-labels-da", {}))


def enum_label(name: str, pointer: str, value: str | int) -> str:
    """Return one value's label. Raises `KeyError`."""
    return enum_labels(name, pointer)[str(value)]


def enum_value(name: str, pointer: str, danish: str) -> str:
    """Return the value that has a label, whatever its case and outer spaces. Raises `KeyError`."""
    wanted = danish.strip().casefold()
    for value, words in enum_labels(name, pointer).items():
        if words.casefold() == wanted:
            return value
    raise KeyError(danish)


def _node(name: str, pointer: str) -> Schema:
    node = node_at(newest(name), pointer)
    if node is None:
        raise KeyError(f"{name}{pointer}")
    return node
