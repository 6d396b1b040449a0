"""A subscription, as every version of it stands in `control.subscriptions`. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from broker_adapters.log import NewRecord
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.subscriptions.matching import Filter
from schemas.identifiers import TYPE_PREFIX, EventName, alliance_topic

EARLIEST, LATEST = "earliest", "latest"


@dataclass(frozen=True)
class Subscription:
    """One version of a subscription.

    participant: whose it is. types, alliances: short names and ids; None for all that is readable. positions: where
    it began, by topic; a topic that is not there is read from its first record. start: as it was asked for.
    """

    id: str
    participant: str
    version: int
    name: str
    types: tuple[str, ...] | None
    alliances: tuple[str, ...] | None
    filter: Mapping[str, Any]
    start: str
    positions: Mapping[str, int]
    created_at: str
    changed_at: str
    changed_by: str
    deleted: bool = False

    @cached_property
    def wanted(self) -> Filter:
        """What its filter lets through."""
        return Filter.of(self.filter)

    def record(self) -> NewRecord:
        """Write this version down."""
        return NewRecord(orjson.dumps(self.body()), self.id.encode())

    def body(self) -> dict[str, Any]:
        """Return this version as it is written down."""
        return {
            "id": self.id,
            "participant": self.participant,
            "version": self.version,
            "name": self.name,
            "types": self.types,
            "alliances": self.alliances,
            "filter": self.filter,
            "start": self.start,
            "positions": self.positions,
            "createdAt": self.created_at,
            "changedAt": self.changed_at,
            "changedBy": self.changed_by,
            "deleted": self.deleted,
        }

    @classmethod
    def of(cls, value: bytes) -> "Subscription":
        """Read what `record` wrote. Raises `KeyError`, `TypeError`, `ValueError`."""
        return cls.of_body(orjson.loads(value))

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> "Subscription":
        """Read what `body` returned. Raises `KeyError`, `TypeError`, `ValueError`."""
        return cls(
            id=body["id"],
            participant=body["participant"],
            version=body["version"],
            name=body["name"],
            types=None if body["types"] is None else tuple(body["types"]),
            alliances=None if body["alliances"] is None else tuple(body["alliances"]),
            filter=body["filter"],
            start=body["start"],
            positions=body["positions"],
            created_at=body["createdAt"],
            changed_at=body["changedAt"],
            changed_by=body["changedBy"],
            deleted=body["deleted"],
        )


def wanted_topics(
    types: Iterable[str] | None,
    alliances: Iterable[str] | None,
    participants: Iterable[str],
    book: AgreementBook,
    at_us: int,
) -> frozenset[str]:
    """Return the topics that a subscription is about, of those that its subscriber may read at an instant.

    Whoever leaves an alliance loses them at once, and whoever joins has them from then on. Not all need be there yet.
    """
    chosen = None if alliances is None else frozenset(alliances)
    names = [name.value for name in EventName] if types is None else list(types)
    readers = list(participants)
    return frozenset(
        alliance_topic(alliance, name)
        for name in names
        for participant in readers
        for alliance in book.reads(participant, name, at_us)
        if chosen is None or alliance in chosen
    )


def short_name(event_type: str) -> str:
    """Return a full event type's short name."""
    return event_type.removeprefix(TYPE_PREFIX)
