"""All subscriptions, and how far each has read: the fold of `control.subscriptions` and `control.cursors`. Pure.

A cursor's record either commits (`positions`, in an `epoch`) or rewinds. Commits only ever go forwards, topic by
topic, whatever order they come in; one of an epoch that is over counts for nothing. So any gateway may write them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from broker_adapters.log import NewRecord
from exchange_gateway.core.subscriptions.cursors import Cursor
from exchange_gateway.core.subscriptions.model import Subscription


class Moved(NamedTuple):
    """A record of `control.cursors`: a commit, or a rewinding to `positions`."""

    subscription: str
    cursor: Cursor
    rewound: bool
    at: str
    by: str

    def record(self) -> NewRecord:
        """Write it down."""
        body = {
            "subscription": self.subscription,
            "epoch": self.cursor.epoch,
            "positions": self.cursor.positions,
            "rewound": self.rewound,
            "at": self.at,
            "by": self.by,
        }
        return NewRecord(orjson.dumps(body), self.subscription.encode())


@dataclass(frozen=True, slots=True)
class Reading:
    """A subscription as it is now, and the committed cursor."""

    subscription: Subscription
    committed: Cursor
    committed_at: str | None = None


class SubscriptionBook:
    """Every subscription that is not deleted, by its id."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def get(self, subscription: str) -> Reading | None:
        """Return one; None where there is none."""
        return self._readings.get(subscription)

    def of(self, participants: frozenset[str]) -> dict[str, Reading]:
        """Return those that belong to any of the participants, by id."""
        return {
            found.subscription.id: found
            for found in self._readings.values()
            if found.subscription.participant in participants
        }

    def all(self) -> list[Reading]:
        """Return all."""
        return list(self._readings.values())

    def dump(self) -> list[Any]:
        """Return all as JSON can hold it."""
        return [
            [one.subscription.body(), one.committed.epoch, one.committed.positions, one.committed_at]
            for one in self._readings.values()
        ]

    @classmethod
    def load(cls, dumped: Any) -> "SubscriptionBook":
        """Read what `dump` wrote. Raises `KeyError`, `TypeError`, `ValueError`."""
        book = cls()
        for body, epoch, positions, at in dumped:
            subscription = Subscription.of_body(body)
            book._readings[subscription.id] = Reading(subscription, Cursor(epoch, positions), at)
        return book

    def apply_subscription(self, value: bytes) -> None:
        """Take in a record of `control.subscriptions`. Raises `KeyError`, `TypeError`, `ValueError`."""
        new = Subscription.of(value)
        before = self._readings.get(new.id)
        if new.deleted:
            self._readings.pop(new.id, None)
        elif before is None:
            # One that was deleted does not come back with a version that was written at the same moment.
            if new.version == 1:
                self._readings[new.id] = Reading(new, Cursor(0, dict(new.positions)))
        else:
            self._readings[new.id] = Reading(new, before.committed, before.committed_at)

    def apply_cursor(self, value: bytes) -> None:
        """Take in a record of `control.cursors`. Raises `KeyError`, `TypeError`, `ValueError`."""
        body: dict[str, Any] = orjson.loads(value)
        before = self._readings.get(body["subscription"])
        positions: Mapping[str, int] = body["positions"]
        if before is None:
            return
        epoch, committed = before.committed
        if body["rewound"]:
            after = Cursor(epoch + 1, positions)
        elif body["epoch"] == epoch:
            after = Cursor(epoch, forward(committed, positions))
        else:
            return
        self._readings[body["subscription"]] = Reading(before.subscription, after, body["at"])


def forward(committed: Mapping[str, int], positions: Mapping[str, int]) -> dict[str, int]:
    """Return what is committed after a commit: never backwards in any topic."""
    return {**committed, **{topic: max(offset, committed.get(topic, 0)) for topic, offset in positions.items()}}
