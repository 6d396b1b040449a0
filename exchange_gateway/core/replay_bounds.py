"""Where a replay begins and ends in each topic, written down so that it can be given back for the same bytes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange_gateway.core.replay import ReplayRequest, WrongParameter, parse_request

FILTERS = ("participant", "type", "subject", "cvr")
"""The parameters of a replay that select events; all others only say where it begins and ends."""

OFFSET_MAX = 10**15
SHA256_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """A replay's resolved bounds. spans: per topic the first offset, and the one behind the last.

    instance: whose offsets they are. sha256: of the answer that they were written for, in hexadecimal, where known.
    """

    instance: str
    spans: Mapping[str, tuple[int, int]]
    filters: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return them as they are written down."""
        body: dict[str, Any] = {
            "instance": self.instance,
            "filters": dict(self.filters),
            "topics": {topic: {"from": start, "to": end} for topic, (start, end) in sorted(self.spans.items())},
        }
        return body if self.sha256 is None else body | {"sha256": self.sha256}

    @classmethod
    def of(cls, body: Any) -> "Bounds":
        """Read what `as_json` wrote. Raises `WrongParameter`."""
        if not isinstance(body, dict) or not body.keys() <= {"instance", "filters", "topics", "sha256"}:
            raise WrongParameter("bounds", "They are what a replay wrote: instance, filters and topics.")
        filters, topics, sha256 = body.get("filters", {}), body.get("topics"), body.get("sha256")
        if not isinstance(body.get("instance"), str):
            raise WrongParameter("instance", "It is the name of the instance whose offsets these are.")
        if not isinstance(filters, dict) or not filters.keys() <= set(FILTERS):
            raise WrongParameter("filters", f"It is an object with any of {', '.join(FILTERS)}.")
        if not all(isinstance(value, str) for value in filters.values()):
            raise WrongParameter("filters", "Each is a text.")
        if not isinstance(topics, dict):
            raise WrongParameter("topics", "It is an object: for each topic `from` and `to`.")
        if sha256 is not None and (not isinstance(sha256, str) or len(sha256) != SHA256_CHARACTERS):
            raise WrongParameter("sha256", "It is a SHA-256 in hexadecimal.")
        spans = {topic: _span(topic, span) for topic, span in topics.items()}
        return cls(body["instance"], spans, filters, sha256)

    def request(self, now_us: int) -> ReplayRequest:
        """Return what selects events within the bounds. Raises `WrongParameter`, also for a topic that is not given."""
        asked = parse_request(self.filters, now_us)
        for topic in self.spans:
            named = ReplayRequest(topic, None, None, None, asked.participant, asked.name, asked.subject, asked.cvr)
            if not named.wants(topic):
                raise WrongParameter("topics", f"{topic[:64]} is no topic that a replay with these filters gives.")
        return asked


def _span(topic: str, span: Any) -> tuple[int, int]:
    if isinstance(span, dict) and span.keys() == {"from", "to"}:
        start, end = span["from"], span["to"]
        # JSON's true is an int to Python.
        if type(start) is int and type(end) is int and 0 <= start <= end <= OFFSET_MAX:
            return start, end
    raise WrongParameter("topics", f'{topic[:64]}: it is {{"from": OFFSET, "to": OFFSET}}, `to` not included.')


def whose(bounds: Bounds, instance: str | None) -> None:
    """Refuse the bounds of another instance, whose offsets mean other records. Raises `WrongParameter`."""
    if bounds.instance != instance:
        raise WrongParameter(
            "instance", f"These bounds are of instance {bounds.instance[:64]}, and this is {instance}."
        )
