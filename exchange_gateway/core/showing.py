"""What an agreement shows of a thing: its fields, and the dataset's rules that go before them. Pure.

Source of the rules: `docs/agreements.md` and the notes to each type in `docs/dataset.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from exchange_gateway.core.agreements.fields import (
    DEFAULT_WHEN_HELD,
    DEFAULT_WITHOUT_CLOCK,
    NEVER_LEAVE,
    STATUS_PROPERTIES,
    always_leaves,
    default_fields,
)
from exchange_gateway.core.cutting import Tree, cut, intersect, tree_of
from schemas.identifiers import ID_PROPERTIES, EventName

WITHOUT_NAME = frozenset({"company", "contactPerson", "title", "description", "requirements", "externalIds"})
"""What would tell who the employer is; it does not leave when the employer agreed to be anonymous."""

ANONYMOUS_WORKPLACE: Tree = {"municipality": None}

CASE_SYSTEMS = frozenset({"vitas"})
"""Systems whose ids are case numbers; those are never shared. DFDG's id is the order's own, so that it
is not seen twice."""

DATE_CHARACTERS = len("2026-11-23")


@dataclass(frozen=True, slots=True, eq=False)
class Showing:
    """The fields that one agreement shows of one type, ready to cut with.

    Equal field lists share one object (see `showing`), so its identity tells whether two cuts are the same.
    trees: by `_variant` of the data. without_clock: a property whose time of day is left out.
    """

    name: str
    trees: tuple[Tree, ...]
    without_clock: str | None

    def show(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of `data` leaves."""
        if "externalIds" in data:
            data = {**data, "externalIds": [item for item in data["externalIds"] if not _is_case_number(item)]}
        shown = cut(data, self.trees[_variant(self.name, data)])
        if self.without_clock is not None and self.without_clock in shown:
            shown[self.without_clock] = shown[self.without_clock][:DATE_CHARACTERS]
        return shown


def _variant(name: str, data: Mapping[str, Any]) -> int:
    """Say which of a `Showing`'s trees holds for this state of a thing."""
    if name == EventName.JOB_ORDER:
        # Whatever is not "named" is treated as anonymous: what nobody agreed to does not leave.
        return 2 * (data.get("employerAgreed") != "named") + (data.get("applyVia") != "direct")
    if name == EventName.VISIT:
        return int(data.get("status") != "held")
    return 0


@lru_cache(maxsize=1024)
def showing(name: str, fields: tuple[str, ...] | None) -> Showing:
    """Compile an agreement's field list for a type; None is the default list."""
    listed = default_fields(name) if fields is None else always_leaves(name) + fields
    tree = {top: inner for top, inner in tree_of(listed).items() if "/" + top not in NEVER_LEAVE}
    if name == EventName.JOB_ORDER:
        return Showing(name, tuple(_job_order(tree, variant) for variant in range(4)), None)
    if name == EventName.VISIT and fields is None:
        planned = tree_of(field for field in listed if field != DEFAULT_WHEN_HELD[name])
        return Showing(name, (tree, planned), None)
    clock = DEFAULT_WITHOUT_CLOCK.get(name) if fields is None else None
    return Showing(name, (tree, tree), clock and clock[1:])


def _job_order(tree: Tree, variant: int) -> Tree:
    anonymous, not_direct = variant & 2, variant & 1
    kept = dict(tree)
    if not_direct:
        kept.pop("contactPerson", None)
    if anonymous:
        kept = {top: inner for top, inner in kept.items() if top not in WITHOUT_NAME}
        if "workplace" in kept:
            kept["workplace"] = intersect(kept["workplace"], ANONYMOUS_WORKPLACE)
    return kept


def _is_case_number(external_id: Mapping[str, Any]) -> bool:
    return str(external_id.get("system", "")).lower() in CASE_SYSTEMS


def bare(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return nothing but the id and, where the type has one, the status or kind."""
    own_id, status = ID_PROPERTIES[EventName(name)], STATUS_PROPERTIES.get(name)
    return {own_id: data[own_id]} if status is None else {own_id: data[own_id], status: data[status]}
