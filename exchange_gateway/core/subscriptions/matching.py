"""Which events a subscription's filter lets through. Pure.

A filter names properties and the values that are wanted. An event passes when it has every property that is named,
with a wanted value. The end of a thing always passes: an event that is cut to id and status has none of the other
properties, and a subscriber who never heard of the end would keep the thing for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from broker_adapters.log import Record
from exchange_gateway.core.agreements.fields import STATUS_PROPERTIES
from exchange_gateway.core.job_orders import normal
from schemas.identifiers import ID_PROPERTIES, TYPE_PREFIX, EventName


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; an empty part wants everything.

    municipality: of the workplace. occupation: parts of a label, or beginnings of a code, with its system's name
    before it or without (`ESCO:7212`, `svejser`). industry: beginnings of a code (`25`, `DB07:25`). positions_min:
    how many are to be hired at least.
    """

    owner: frozenset[str] = frozenset()
    municipality: frozenset[str] = frozenset()
    occupation: tuple[str, ...] = ()
    industry: tuple[str, ...] = ()
    status: frozenset[str] = frozenset()
    positions_min: int = 0

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Filter":
        """Read the `filter` of a subscription that was checked."""
        return cls(
            owner=frozenset(body.get("owner") or ()),
            municipality=frozenset(body.get("municipality") or ()),
            occupation=tuple(map(normal, body.get("occupation") or ())),
            industry=tuple(map(normal, body.get("industry") or ())),
            status=frozenset(body.get("status") or ()),
            positions_min=body.get("positionsMin") or 0,
        )

    def lets_through(self, record: Record) -> bool:
        """Decide on one record of an alliance's topic. What is no event is let through: nothing is left out unseen."""
        if self.owner and owner_of(record) not in self.owner:
            return False
        if not self._looks_at_data:
            return True
        try:
            event = orjson.loads(record.value)
            name, data = event["type"].removeprefix(TYPE_PREFIX), event["data"]
            return _is_end(name, data) or self._wants(name, data)
        except (KeyError, TypeError, ValueError, AttributeError):
            return True

    @property
    def _looks_at_data(self) -> bool:
        return bool(self.municipality or self.occupation or self.industry or self.status or self.positions_min)

    def _wants(self, name: str, data: Mapping[str, Any]) -> bool:
        if self.status and data.get(STATUS_PROPERTIES.get(name, "status")) not in self.status:
            return False
        if self.positions_min and _number(data.get("positions")) < self.positions_min:
            return False
        if self.municipality and _object(data, "workplace").get("municipality") not in self.municipality:
            return False
        if self.industry and not _has_code(_object(data, "company").get("industryCodes"), self.industry):
            return False
        return not self.occupation or self._is_occupation(_object(data, "occupation"))

    def _is_occupation(self, occupation: Mapping[str, Any]) -> bool:
        codes = occupation.get("codes")
        labels = [occupation.get("label"), *(code.get("label") for code in _objects(codes))]
        texts = [normal(label) for label in labels if isinstance(label, str)]
        return _has_code(codes, self.occupation) or any(wanted in text for wanted in self.occupation for text in texts)


def owner_of(record: Record) -> str:
    """Return whose thing a record of an alliance's topic is about: its key is `<owner>/<subject>`."""
    return (record.key or b"").partition(b"/")[0].decode(errors="replace")


def owner_prefix(participant: str) -> bytes:
    """Return how the keys of a participant's things begin, for `is_of`."""
    return participant.encode() + b"/"


def is_of(record: Record, prefixes: tuple[bytes, ...]) -> bool:
    """Whether a record is about a thing of one of these owners: as `owner_of`, but asked a thousand times a page."""
    return ((record.key or b"") + b"/").startswith(prefixes)


def _is_end(name: str, data: Mapping[str, Any]) -> bool:
    """Whether an event holds no more than id and status: what an alliance sees of a thing that left it."""
    return data.keys() <= {ID_PROPERTIES[EventName(name)], STATUS_PROPERTIES.get(name, "status")}


def _has_code(codes: Any, beginnings: tuple[str, ...]) -> bool:
    written = [
        normal(text)
        for code in _objects(codes)
        for text in (f"{code.get('code')}", f"{code.get('system')}:{code.get('code')}")
    ]
    return any(text.startswith(beginnings) for text in written)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
