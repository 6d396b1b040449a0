"""The rules of the dataset that JSON Schema cannot say: modulus 11, the registers, and citizens' numbers.

Which property a rule is for stands in the schemas (`x-check`, `x-register`, `x-free-text`); a plan of
where those properties are is made of a schema once, so that an event is walked through only there.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from schemas import cpr
from schemas.event import Violation
from schemas.identifiers import cvr_has_valid_form, cvr_passes_modulus
from schemas.tree import Schema, join, resolved

_MUNICIPALITY_CODE = re.compile(r"[0-9]{4}")


class Rule(IntEnum):
    """What a property is looked at for; the numbers are places in what `gather` fills."""

    FREE_TEXT = 0
    CVR = 1
    P_NUMBER = 2
    MUNICIPALITY = 3


class Plan(NamedTuple):
    """Where in an instance are properties with rules: here, and in plans for what lies below."""

    texts: tuple[str, ...]
    """Free texts, which are most of them."""
    texts_in_lists: tuple[str, ...]
    others: tuple[tuple[str, int], ...]
    """Properties with another rule, and its number."""
    objects: tuple[tuple[str, "Plan"], ...]
    lists: tuple[tuple[str, "Plan"], ...]


def plan_of(root: Schema, node: Schema | None = None) -> Plan:
    """Make a schema's plan."""
    children = resolved(root, root if node is None else node).get("properties", {})
    here = {name: resolved(root, child) for name, child in children.items()}
    items = {name: resolved(root, child["items"]) for name, child in here.items() if "items" in child}
    rules = {name: rule for name, child in here.items() if (rule := rule_of(name, child)) is not None}
    objects = {name: plan_of(root, child) for name, child in here.items() if "properties" in child}
    lists = {name: plan_of(root, child) for name, child in items.items() if "properties" in child}
    return Plan(
        texts=tuple(name for name, rule in rules.items() if rule is Rule.FREE_TEXT),
        texts_in_lists=tuple(name for name, child in items.items() if rule_of(name, child) is Rule.FREE_TEXT),
        others=tuple((name, int(rule)) for name, rule in rules.items() if rule is not Rule.FREE_TEXT),
        objects=tuple((name, plan) for name, plan in objects.items() if any(plan)),
        lists=tuple((name, plan) for name, plan in lists.items() if any(plan)),
    )


def rule_of(name: str, node: Schema) -> Rule | None:
    """Return the rule that a property's schema puts on it, if any."""
    if node.get("x-free-text"):
        return Rule.FREE_TEXT
    if node.get("x-check") == "modulus-11":
        return Rule.CVR
    if node.get("x-register") == "municipalities":
        return Rule.MUNICIPALITY
    return Rule.P_NUMBER if name == "pNumber" else None


Gathered = tuple[list[str], list[str], list[str], list[str]]
"""What each `Rule` looks at, in the order of their numbers."""


def gather(value: dict[str, Any], plan: Plan, found: Gathered) -> None:
    """Put what the rules look at into `found`. The hot path: no pointers, no checks of types."""
    texts, texts_in_lists, others, objects, lists = plan
    gathered = found[0]
    for name in texts:
        if name in value:
            gathered.append(value[name])
    for name in texts_in_lists:
        gathered += value.get(name, ())
    for name, rule in others:
        if name in value:
            found[rule].append(value[name])
    for name, below in objects:
        if name in value:
            gather(value[name], below, found)
    for name, below in lists:
        for item in value.get(name, ()):
            gather(item, below, found)


def walk(value: Any, plan: Plan, pointer: str) -> Iterator[tuple[str, Rule, str]]:
    """Yield (pointer, rule, text) of what the rules look at; takes an instance that its schema refuses, too."""
    if not isinstance(value, dict):
        return
    for name, rule in (*((name, 0) for name in plan.texts), *plan.others):
        if isinstance(value.get(name), str):
            yield join(pointer, name), Rule(rule), value[name]
    for name in plan.texts_in_lists:
        for index, item in enumerate(_list(value.get(name))):
            if isinstance(item, str):
                yield join(pointer, name, index), Rule.FREE_TEXT, item
    for name, below in plan.objects:
        yield from walk(value.get(name), below, join(pointer, name))
    for name, below in plan.lists:
        for index, item in enumerate(_list(value.get(name))):
            yield from walk(item, below, join(pointer, name, index))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class Rules:
    """The rules with one instance's settings and registers.

    municipality_codes: the codes that the register knows. check_modulus: whether a CVR number with a wrong
    check digit is refused.
    """

    def __init__(self, municipality_codes: frozenset[str], *, check_modulus: bool) -> None:
        self._municipality_codes, self._check_modulus = municipality_codes, check_modulus

    def all_kept(self, data: dict[str, Any], plan: Plan) -> bool:
        """Whether `data`, which its schema takes, keeps all rules."""
        found: Gathered = ([], [], [], [])
        gather(data, plan, found)
        return self.kept(found)

    def kept(self, found: Gathered) -> bool:
        """Whether what was gathered from data that its schema takes keeps all rules."""
        texts, cvrs, p_numbers, municipalities = found
        return (
            self._municipality_codes.issuperset(municipalities)
            and (not self._check_modulus or all(map(_passes_modulus, cvrs)))
            and not cpr.any_holds_cpr(texts, p_numbers)
        )

    def violations(self, data: Any, plan: Plan, *, check_modulus: bool | None = None) -> Iterator[Violation]:
        """Say which rules are broken, and where."""
        modulus = self._check_modulus if check_modulus is None else check_modulus
        found = list(walk(data, plan, "/data"))
        p_numbers = {text for _, rule, text in found if rule is Rule.P_NUMBER}
        for pointer, rule, text in found:
            if rule is Rule.FREE_TEXT and cpr.holds_cpr(text, p_numbers):
                yield Violation(pointer, "cpr", "Holds something like a CPR number; no citizen's data enters.")
            elif rule is Rule.CVR and modulus and cvr_has_valid_form(text) and not cvr_passes_modulus(text):
                yield Violation(pointer, "modulus-11", "Not a CVR number: its check digit (modulus 11) is wrong.")
            elif rule is Rule.MUNICIPALITY and _is_code(text) and text not in self._municipality_codes:
                yield Violation(pointer, "register", f"The register knows no municipality with the code {text}.")


@lru_cache(maxsize=65536)
def _passes_modulus(cvr: str) -> bool:
    return cvr_passes_modulus(cvr)


def _is_code(text: str) -> bool:
    # Any other text is refused by the schema's pattern already.
    return _MUNICIPALITY_CODE.fullmatch(text) is not None
