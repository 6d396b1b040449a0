"""How a thing is taken back: its last state, changed so that nobody acts on it any more. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.identifiers import EventName


class _Way(NamedTuple):
    """How things of a type are taken back. closed: the values of `property` with which nothing is left to take back."""

    change: Mapping[str, Any]
    property: str
    closed: tuple[Any, ...]


_WAYS: Mapping[EventName, _Way] = {
    EventName.JOB_ORDER: _Way({"status": "withdrawn"}, "status", ("filled", "expired", "withdrawn")),
    # A visit that was held took place, whether or not its row is kept.
    EventName.VISIT: _Way({"status": "cancelled"}, "status", ("held", "cancelled", "not-met")),
    EventName.COMPANY_COOPERATION: _Way({"active": False}, "active", (False,)),
    EventName.JOB_ORDER_RESPONSE: _Way({"kind": "withdrawn"}, "kind", ("withdrawn",)),
    # A contact has no status: it is no longer shared.
    EventName.COMPANY_CONTACT: _Way({"sharing": {"scope": "own"}}, "sharing", ({"scope": "own"},)),
}


def withdrawn(name: EventName | str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a thing's data, taken back."""
    return {**data, **_WAYS[EventName(name)].change}


def is_closed(name: EventName | str, data: Mapping[str, Any]) -> bool:
    """Whether a thing has come to its end by itself, so that there is nothing to take back when its row is gone."""
    way = _WAYS[EventName(name)]
    return data.get(way.property) in way.closed
