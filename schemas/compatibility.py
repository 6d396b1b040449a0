"""Compare two versions of a JSON Schema: which changes break whom. Pure.

A change breaks *writers* when something that the old schema takes may be refused by the new one: who still
writes the old is refused. It breaks *readers* when something that the new schema takes may be refused by
the old one, properties that the old one does not name left aside, since readers ignore what they do not
know (docs/dataset.md). So a new optional property breaks nobody, and a new value of an enumeration breaks
readers. Where it can't be told, both are said to be broken.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from schemas import tree
from schemas.tree import Schema

Broken = Literal["readers", "writers"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change between two schemas.

    path: a JSON Pointer into the data, with `*` for every item of a list. keyword: the JSON Schema keyword
    that changed. reason: what changed, and who is hurt by it. breaks: whom.
    """

    path: str
    keyword: str
    reason: str
    breaks: tuple[Broken, ...] = ()

    @property
    def incompatible(self) -> bool:
        """Whether a new major version is needed."""
        return bool(self.breaks)

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON."""
        return {
            "path": self.path,
            "keyword": self.keyword,
            "incompatibleFor": list(self.breaks),
            "reason": self.reason,
        }

    def __str__(self) -> str:
        whom = " and ".join(self.breaks)
        return f"{self.path or '/'}: {self.reason} " + (f"Incompatible for {whom}." if whom else "Compatible.")


def compare(old: Schema, new: Schema) -> list[Change]:
    """Return each change from `old` to `new` that matters to what is taken or refused, in the order of its path."""
    found = _Comparison(old, new).nodes(old, new, "")
    return sorted(found, key=lambda change: (change.path, change.keyword))


def breaks(changes: list[Change], whom: Broken) -> bool:
    """Whether one of the changes breaks them."""
    return any(whom in change.breaks for change in changes)


READERS: tuple[Broken, ...] = ("readers",)
WRITERS: tuple[Broken, ...] = ("writers",)
BOTH: tuple[Broken, ...] = ("readers", "writers")

_UPPER_LIMITS = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER_LIMITS = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
_OPAQUE = (
    "oneOf", "not", "if", "then", "else", "contains", "minContains", "maxContains", "prefixItems", "patternProperties",
    "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
    "multipleOf", "uniqueItems", "$ref", "$dynamicRef", "$recursiveRef", "$schema",
)  # fmt: skip
"""Keywords of which only equality is told; ours use none of them."""

_REACHING = frozenset({"patternProperties", "unevaluatedItems", "unevaluatedProperties", "prefixItems", "$dynamicRef"})
"""Keywords whose meaning hangs on those beside them: beside one, no change can be judged by itself."""

_OWN_RULES = ("x-free-text", "x-check", "x-register")
"""Our own keywords that refuse events (`rules.py`)."""

_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._under_way: set[tuple[int, int]] = set()

    def nodes(self, old: Any, new: Any, path: str) -> Iterator[Change]:
        """Compare two subschemas that stand for the same place in the data."""
        pair = (id(old), id(new))
        if pair in self._under_way:
            return
        self._under_way.add(pair)
        before, after = _taken_in(self._old, old), _taken_in(self._new, new)
        if _reach(before, after) and _plain(self._old, before) != _plain(self._new, after):
            yield Change(path, min(_REACHING & (before.keys() | after.keys())), _UNTOLD, BOTH)
        else:
            for comparison in _COMPARISONS:
                yield from comparison(before, after, path)
            yield from self._opaque(before, after, path)
            yield from self._combined(before, after, path)
            yield from self._properties(before, after, path)
            yield from self.nodes(before.get("items", True), after.get("items", True), path + "/*")
        self._under_way.discard(pair)

    def _opaque(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        for keyword in _OPAQUE:
            before, after = ({keyword: node[keyword]} if keyword in node else {} for node in (old, new))
            if _plain(self._old, before) != _plain(self._new, after):
                yield Change(path, keyword, _UNTOLD, BOTH)

    def _combined(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        """Compare the branches of `anyOf` (one more takes more) and of `allOf` (one more takes less)."""
        for keyword in ("anyOf", "allOf"):
            before, after = self._branches(old, new, keyword)
            gone, come = before - after, after - before
            # No anyOf takes everything, as if it had every branch.
            if keyword == "allOf" or not (before and after):
                gone, come = come, gone
            if before != after:
                yield Change(path, keyword, f"The branches of {keyword} changed.", _by(narrower=gone, wider=come))

    def _branches(self, old: Schema, new: Schema, keyword: str) -> tuple[set[str], set[str]]:
        before = {_plain(self._old, branch) for branch in old.get(keyword, ())}
        return before, {_plain(self._new, branch) for branch in new.get(keyword, ())}

    def _properties(self, old: Schema, new: Schema, path: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        rest_before, rest_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        for name in before.keys() | after.keys():
            here = f"{path}/{tree.escape(name)}"
            if name in before and name in after:
                yield from self.nodes(before[name], after[name], here)
            elif name in after:
                yield self._added(rest_before, after[name], here)
            else:
                yield self._removed(before[name], rest_after, here)
        yield from self._rest(rest_before, rest_after, path)

    def _added(self, rest: Any, node: Any, path: str) -> Change:
        """Judge a new property. Readers who knew nothing of it ignore it; what writers sent there may be refused."""
        if rest is False:
            return Change(path, "properties", "The property was added.")
        broken = {whom for change in self.nodes(rest, node, path) for whom in change.breaks}
        # Where the old schema took whatever it did not name, readers ignored that.
        broken -= set(READERS) if rest is True else set()
        reason = "The property was added, and the old schema took what it did not name, so it may be there already."
        return Change(path, "properties", reason, _in_order(broken))

    def _removed(self, node: Any, rest: Any, path: str) -> Change:
        """Judge a property that is gone. If it was required, `required` says so of readers."""
        if rest is False:
            return Change(path, "properties", "The property was removed: who still writes it is refused.", WRITERS)
        broken = {whom for change in self.nodes(node, rest, path) for whom in change.breaks}
        reason = "The property was removed, so its value can now be anything that the schema takes unnamed."
        return Change(path, "properties", reason, _in_order(broken))

    def _rest(self, old: Any, new: Any, path: str) -> Iterator[Change]:
        """Compare what becomes of properties that are not named; readers ignore those."""
        if (old is False) == (new is False):
            if old is not False and (isinstance(old, dict) or isinstance(new, dict)):
                yield from self.nodes(old, new, path + "/*")
        elif new is False:
            reason = "Properties that are not named are now refused."
            yield Change(path, "additionalProperties", reason, WRITERS)
        else:
            yield Change(path, "additionalProperties", "Properties that are not named are now taken.")


_UNTOLD = "What this keyword takes has changed in a way that can't be judged."


def _in_order(broken: Collection[Broken]) -> tuple[Broken, ...]:
    return tuple(whom for whom in BOTH if whom in broken)


def _by(*, narrower: object, wider: object) -> tuple[Broken, ...]:
    """Return whom a change breaks: writers where less is taken, readers where more is."""
    return (READERS if wider else ()) + (WRITERS if narrower else ())


def _types(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    before, after = _type_set(old), _type_set(new)
    if before != after:
        reason = f"type was {_shown(old, 'type')}, is {_shown(new, 'type')}."
        yield Change(path, "type", reason, _by(narrower=before - after, wider=after - before))


def _type_set(node: Schema) -> frozenset[str]:
    types = node.get("type", _TYPES)
    types = frozenset([types] if isinstance(types, str) else types)
    return types | {"integer"} if "number" in types else types


def _values(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    before, after = _value_set(old), _value_set(new)
    if before == after:
        return
    if before is None or after is None:
        reason = (
            "Any value was taken, now only some are." if before is None else "Only some values were taken, now any is."
        )
        yield Change(path, "enum", reason, _by(narrower=before is None, wider=after is None))
        return
    gone, come = before - after, after - before
    told = [
        f"were {words}: {', '.join(sorted(values))}" for words, values in (("added", come), ("removed", gone)) if values
    ]
    yield Change(path, "enum", f"Values {' and '.join(told)}.", _by(narrower=gone, wider=come))


def _value_set(node: Schema) -> frozenset[str] | None:
    """Return the values of `enum` and `const`, as JSON; None where any is taken."""
    sets = [frozenset(map(_as_json, values)) for values in (node.get("enum"), _const(node)) if values is not None]
    return frozenset.intersection(*sets) if sets else None


def _const(node: Schema) -> list[Any] | None:
    return [node["const"]] if "const" in node else None


def _as_json(value: Any) -> str:
    # 3.0 and 3 are one number to JSON Schema.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return json.dumps(whole, ensure_ascii=False, sort_keys=True)


def _limits(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    for keywords, sign in ((_UPPER_LIMITS, 1), (_LOWER_LIMITS, -1)):
        for keyword in keywords:
            before, after = (sign * node[keyword] if keyword in node else math.inf for node in (old, new))
            if before != after:
                reason = f"{keyword} was {_shown(old, keyword)}, is {_shown(new, keyword)}."
                yield Change(path, keyword, reason, _by(narrower=after < before, wider=after > before))


def _required(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    for name in after - before:
        yield Change(
            f"{path}/{tree.escape(name)}",
            "required",
            "The property is now required: who leaves it out is refused.",
            WRITERS,
        )
    for name in before - after:
        yield Change(
            f"{path}/{tree.escape(name)}",
            "required",
            "The property is no longer required, so it may be missing.",
            READERS,
        )


def _rules_there_or_not(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    """Compare keywords of which only this can be told: there is one, or not, or another."""
    for keyword in ("pattern", "format", *_OWN_RULES):
        if old.get(keyword) != new.get(keyword):
            reason = f"{keyword} was {_shown(old, keyword)}, is {_shown(new, keyword)}."
            yield Change(path, keyword, reason, _by(narrower=keyword in new, wider=keyword in old))


def _shown(node: Schema, keyword: str) -> str:
    return json.dumps(node[keyword], ensure_ascii=False) if keyword in node else "not given"


def _reach(old: Schema, new: Schema) -> bool:
    return bool(_REACHING & (old.keys() | new.keys()))


def _taken_in(root: Schema, node: Any, seen: tuple[str, ...] = ()) -> Schema:
    """Return a subschema with its local `$ref` taken in; true and false as the objects that mean the same.

    A reference that leads nowhere, round, or out of the file stays, and is compared as it is written.
    """
    if isinstance(node, bool):
        return {} if node else {"not": {}}
    reference = node.get("$ref")
    found = _target(root, reference) if isinstance(reference, str) and reference not in seen else None
    if found is None:
        return dict(node)
    target = _taken_in(root, found, (*seen, str(reference)))
    beside = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
    if any(keyword in _RULES for keyword in target.keys() & beside.keys()):
        return {**beside, "allOf": [*beside.get("allOf", ()), target]}
    return {**target, **beside}


def _target(root: Schema, reference: str) -> Any:
    """Return what a local reference leads to, or None."""
    if not reference.startswith("#"):
        return None
    node: Any = root
    for token in tree.split(reference):
        try:
            node = node[int(token)] if isinstance(node, list) else node[token]
        except (LookupError, ValueError, TypeError):
            return None
    return node


def _plain(root: Schema, node: Any, inside: tuple[str, ...] = ()) -> str:
    """Write a subschema in one way, references taken in and annotations left out, to compare for equality."""
    return json.dumps(_simplified(root, node, inside), sort_keys=True)


def _simplified(root: Schema, node: Any, inside: tuple[str, ...]) -> Any:
    """Return a subschema, or a list of them, without annotations; a reference that comes round stays one."""
    if isinstance(node, list):
        return [_simplified(root, item, inside) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if reference in inside:
        return {"$ref": reference}
    inside = (*inside, reference) if reference else inside
    taken_in = {keyword: value for keyword, value in _taken_in(root, node).items() if keyword in _RULES}
    for keyword in taken_in.keys() & _OF_SCHEMAS:
        taken_in[keyword] = _simplified(root, taken_in[keyword], inside)
    for keyword in taken_in.keys() & _OF_NAMED_SCHEMAS:
        taken_in[keyword] = {name: _simplified(root, child, inside) for name, child in taken_in[keyword].items()}
    return taken_in


_OF_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_OF_SCHEMAS = frozenset(
    {"items", "additionalProperties", "anyOf", "allOf", "oneOf", "not", "if", "then", "else", "contains"}
    | {"prefixItems", "propertyNames", "unevaluatedItems", "unevaluatedProperties"}
)
_RULES = frozenset(
    {"type", "enum", "const", "required", "pattern", "format", "dependentRequired", "$ref", *_OWN_RULES}
    | {*_UPPER_LIMITS, *_LOWER_LIMITS, *_OPAQUE}
    | _OF_NAMED_SCHEMAS
    | _OF_SCHEMAS
)
"""All keywords that refuse something; the others are annotations."""

_COMPARISONS: tuple[Callable[[Schema, Schema, str], Iterator[Change]], ...] = (
    _types,
    _values,
    _limits,
    _required,
    _rules_there_or_not,
)
