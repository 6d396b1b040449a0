"""What the forwarder remembers of a thing, so that it forwards each state once and can retract it. Pure."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson

from schemas.event import Event, digest

NEWEST_IDS_MAX = 256
"""Events of one thing at one `time`. Second copies come from gateways that took in the same event at the
same instant, so they stand close together; a bound keeps a thing's state small whatever a publisher does."""

OLDER_IDS_MAX = 16


class Identity(NamedTuple):
    """An event's identity, 60 bits each: of (`source`, `id`), and of its content."""

    id_digest: int
    content_digest: int


def identify(event: Event, key: bytes) -> Identity:
    """Compute an event's identity. key: the instance's digest key, so that nobody else can guess content."""
    name = f"{event.attributes['source']}\n{event.attributes['id']}".encode()
    id_digest = int.from_bytes(blake2b(name, digest_size=8, key=key).digest(), "big") >> 4
    return Identity(id_digest, digest(event.attributes, key))


class Known(NamedTuple):
    """One thing as the forwarder remembers it.

    time_us: the newest `time` (UTC microseconds). newest: the events that have it. older: some before.
    shared: the alliances that see the thing now. closed: those that were told its end by its own event.
    """

    time_us: int
    newest: tuple[Identity, ...]
    older: tuple[Identity, ...] = ()
    shared: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()

    def with_event(self, identity: Identity, time_us: int) -> "Known":
        """Remember one more event of the thing, whether it is its newest or a stale one."""
        if time_us > self.time_us:
            older = (self.older + self.newest)[-OLDER_IDS_MAX:]
            return self._replace(time_us=time_us, newest=(identity,), older=older)
        if time_us == self.time_us:
            return self._replace(newest=(*self.newest, identity)[-NEWEST_IDS_MAX:])
        return self._replace(older=(*self.older, identity)[-OLDER_IDS_MAX:])


NOTHING = Known(time_us=-(2**63), newest=())
"""What is known of a thing of which no event came yet."""


def thing_key(owner: str, name: str, subject: str) -> str:
    """Return the key under which a thing's state is kept."""
    return f"{owner}/{name}/{subject}"


def dump(known: Known) -> bytes:
    """Write what is known as one line of JSON."""
    state: dict[str, object] = {"time": known.time_us, "newest": [part for pair in known.newest for part in pair]}
    if known.older:
        state["older"] = [part for pair in known.older for part in pair]
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


def _pairs(flat: Sequence[int]) -> tuple[Identity, ...]:
    return tuple(map(Identity, flat[::2], flat[1::2]))
