"""Every rule that a schema has, found by walking through it: what counterexamples must cover."""

from collections.abc import Iterator
from typing import NamedTuple

from schemas.tree import Schema, join, resolved


class RulePlace(NamedTuple):
    """A rule, and the pointer of the property it is on, with `0` for a list's items."""

    pointer: str
    rule: str
    node: Schema
    name: str = ""

    @property
    def stem(self) -> str:
        """A file name that says what is wrong."""
        tokens = ["item" if token == "0" else token for token in (*self.pointer.split("/")[1:], self.name) if token]
        return "-".join([*tokens, self.rule])


KEYWORDS = {
    **{keyword: keyword for keyword in ("enum", "maxLength", "pattern", "format", "minimum", "minItems")},
    "x-free-text": "cpr",
    "x-check": "modulus-11",
    "x-register": "register",
}
"""Keywords that are a rule by themselves, and its name in a violation."""


def rules_in(root: Schema, node: Schema | None = None, pointer: str = "") -> Iterator[RulePlace]:
    """Yield the rules on a node and on all below."""
    here = resolved(root, root if node is None else node)
    if pointer:
        yield RulePlace(pointer, "type", here)
    for keyword in here.keys() & KEYWORDS.keys():
        yield RulePlace(pointer, KEYWORDS[keyword], here)
    for branch in here.get("anyOf", ())[:1]:
        yield RulePlace(pointer, "format" if "format" in branch else "anyOf", here)
    for name in here.get("required", ()):
        yield RulePlace(pointer, "required", here, name)
    if here.get("additionalProperties") is False:
        yield RulePlace(pointer, "additionalProperties", here)
    for name, child in here.get("properties", {}).items():
        yield from rules_in(root, child, join(pointer, name))
    if "items" in here:
        yield from rules_in(root, here["items"], join(pointer, 0))
