"""What the forwarder remembers of a thing, so that it forwards each state once and can retract it. Pure."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import orjson

NEWEST_IDS_MAX = 256
"""Events of one thing at one `time`. Second copies come from gateways that took in the same event at the
same instant, so they stand close together; a bound keeps a thing's state small whatever a publisher does."""

OLDER_IDS_MAX = 16


class Seen(NamedTuple):
    """One event of a thing: 60 bits of its `source` and `id`, and where in its topic it stands.

    Its content is not kept: should the same `source` and `id` come again, the record itself is read.
    """

    id_digest: int
    offset: int


def id_digest(source: str, event_id: str) -> int:
    """Return 60 bits of an event's `source` and `id`, to find it by."""
    return int.from_bytes(blake2b(f"{source}\n{event_id}".encode(), digest_size=8).digest(), "big") >> 4


class Known(NamedTuple):
    """One thing as the forwarder remembers it.

    time_us: the newest `time` (UTC microseconds). newest: the events that have it. older: some before.
    shared: the alliances that see the thing now. closed: those that were told its end by its own event.
    """

    time_us: int
    newest: tuple[Seen, ...]
    older: tuple[Seen, ...] = ()
    shared: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    def find(self, digest: int) -> int | None:
        """Return the offset of the first event with an id digest; None when none is remembered."""
        return next((seen.offset for seen in self.older + self.newest if seen.id_digest == digest), None)

    def with_event(
        self, event: Seen, time_us: int, shared: frozenset[str] = frozenset(), closed: frozenset[str] = frozenset()
    ) -> "Known":
        """Remember one more event of the thing, its newest or a stale one, and who knows what after it."""
        if not self.newest:
            return Known(max(time_us, self.time_us), (event,), self.older, shared, closed)
        if time_us > self.time_us:
            older = (self.older + self.newest)[-OLDER_IDS_MAX:]
            return Known(time_us, (event,), older, shared, closed)
        if time_us == self.time_us:
            return Known(time_us, (*self.newest, event)[-NEWEST_IDS_MAX:], self.older, shared, closed)
        return Known(self.time_us, self.newest, (*self.older, event)[-OLDER_IDS_MAX:], shared, closed)


NOTHING = Known(time_us=-(2**63), newest=())
"""What is known of a thing of which no event came yet."""


def thing_key(owner: str, name: str, subject: str) -> str:
    """Return the key under which a thing's state is kept."""
    return f"{owner}/{name}/{subject}"


def dump(known: Known) -> bytes:
    """Write what is known as one line of JSON."""
    state: dict[str, object] = {"time": known.time_us, "newest": list(chain.from_iterable(known.newest))}
    if known.older:
        state["older"] = list(chain.from_iterable(known.older))
    if known.shared:
        state["shared"] = sorted(known.shared)
    if known.closed:
        state["closed"] = sorted(known.closed)
    return orjson.dumps(state)


def load(raw: bytes) -> Known:
    """Read what `dump` wrote."""
    state = orjson.loads(raw)
    return Known(
        state["time"],
        _pairs(state["newest"]),
        _pairs(state.get("older", ())),
        frozenset(state.get("shared", ())),
        frozenset(state.get("closed", ())),
    )


def _pairs(flat: Sequence[int]) -> tuple[Seen, ...]:
    return tuple(map(Seen, flat[::2], flat[1::2]))
