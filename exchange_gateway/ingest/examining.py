"""Deciding what an event is: may it be published, by whom, as what. Waits for nothing."""

from functools import lru_cache
from typing import NamedTuple

from broker_adapters.codec import addition, encode_line, encode_published
from broker_adapters.log import NewRecord
from exchange_gateway.clock import Clock
from exchange_gateway.core.access import Principal, may_publish
from exchange_gateway.ingest.outcomes import Arrival, Refused
from exchange_gateway.known_events import known_key
from exchange_gateway.problems import Problem
from exchange_gateway.settings import Limits
from schemas import strict_json
from schemas.event import Event, InvalidEvent, digest, digest_of, format_time
from schemas.identifiers import pub_topic
from schemas.named_tuples import new_tuple
from schemas.registry import Registry


class Checked(NamedTuple):
    """An event that may be published, as it will be stored, and what tells whether it is new.

    The parsed event is let go of here: thousands wait for the log at once, and while they keep their parsed
    data each new one is read into memory that no cache holds, which made it twice as slow.
    """

    event_id: str
    source: str
    name: str
    topic: str
    key: int
    digest: int
    record: NewRecord


LINE_FEED, CARRIAGE_RETURN = b"\n\r"


class Now(NamedTuple):
    """The instant of a request. latest_us: the latest `time` (UTC µs) that an event may have then.

    added: what is added to each event of the request (`codec.addition`).
    """

    latest_us: int
    added: bytes


class Examiner:
    """Examines events by one instance's settings."""

    def __init__(self, registry: Registry, *, digest_key: bytes, limits: Limits, clock: Clock) -> None:
        self._registry, self._digest_key, self._limits, self._clock = registry, digest_key, limits, clock
        self._read_quickly = registry.quick.read
        self._event_bytes_max = limits.event_bytes_max
        self._future_us = int(limits.future_minutes_max * 60_000_000)

    def now(self, principal: Principal) -> Now:
        """Return the instant, for one request of the principal's."""
        now_us = self._clock.now_us()
        return Now(now_us + self._future_us, _addition(now_us // 1000, principal.client_id))

    def examine(self, principal: Principal, arrival: Arrival | bytes, now: Now) -> Checked | Refused:
        """Decide whether an event may be published. Bytes are structured JSON, as it came."""
        if type(arrival) is bytes:
            return self.quickly(principal, arrival, now) or self._carefully(principal, Arrival(arrival), now)
        return self._carefully(principal, arrival, now)  # type: ignore[arg-type]  # mypy narrows by isinstance only

    def quickly(self, principal: Principal, line: bytes, now: Now) -> Checked | None:
        """Examine an event of the usual kind; None where the careful way must judge, or find the words."""
        if (
            len(line) > self._event_bytes_max
            or not line.startswith(b"{")
            or not line.endswith(b"}")
            or LINE_FEED in line
            or CARRIAGE_RETURN in line
            or (reading := self._read_quickly(line)) is None
        ):
            return None
        event_id, source, name, participant, subject, time, time_us, canonical = reading
        if time_us > now.latest_us or may_publish(principal, participant) is not None:
            return None
        return new_tuple(
            Checked,
            (
                event_id,
                source,
                name,
                pub_topic(participant, name),
                known_key(source, event_id, self._digest_key),
                digest_of(canonical, self._digest_key),
                encode_line(line, event_id, source, name, subject, time, now.added),
            ),
        )

    def _carefully(self, principal: Principal, arrival: Arrival, now: Now) -> Checked | Refused:
        event_id = arrival.event_id
        try:
            event = self._read(arrival)
            event_id = event.id
            denied = may_publish(principal, event.participant)
            if denied is not None:
                return Refused(event_id, Problem(denied.problem, denied.detail))
            if event.time_us > now.latest_us:
                raise self._in_future(event)
            self._registry.check(event)
        except strict_json.UnreadableJson as error:
            return Refused(None, Problem("unreadable", error.detail))
        except InvalidEvent as error:
            problem = Problem(error.problem, error.detail, violations=error.violations)
            return Refused(event_id or error.event_id, problem)
        except Problem as problem:
            return Refused(event_id, problem)
        source: str = event.attributes["source"]
        return Checked(
            event_id,
            source,
            event.name,
            pub_topic(event.participant, event.name),
            known_key(source, event_id, self._digest_key),
            digest(event.attributes, self._digest_key),
            encode_published(event, arrival.raw, now.added),
        )

    def _read(self, arrival: Arrival) -> Event:
        if isinstance(arrival.parsed, Event):
            return arrival.parsed
        if isinstance(arrival.parsed, Problem):
            raise arrival.parsed
        raw = arrival.raw or b""
        if len(raw) > self._limits.event_bytes_max:
            raise Problem(
                "body-too-large", f"The event has {len(raw)} bytes; at most {self._limits.event_bytes_max} are taken."
            )
        return Event.parse(raw)

    def _in_future(self, event: Event) -> Problem:
        return Problem(
            "time-in-future",
            f"time is {event.attributes['time']}, more than {self._limits.future_minutes_max:g} minutes "
            f"ahead of the gateway's clock ({format_time(self._clock.now_us())}).",
        )


@lru_cache(maxsize=64)
def _addition(now_ms: int, client_id: str) -> bytes:
    """Return what is added to the events of one millisecond: under load there are many."""
    return addition(format_time(now_ms * 1000), client_id)
