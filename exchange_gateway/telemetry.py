"""What the gateway tells about itself: log lines and metrics, each name in one place.

A log line is a fact with key-values. Never personal data, never a token: `_withhold` drops what has a
name on the deny list, and nobody hands event data to `log_event`.
"""

import logging
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

LogEvent = Literal[
    "agreement_changed",
    "agreement_unreadable",
    "client_cut_off",
    "connections_exhausted",
    "forwarder_failed",
    "forwarder_fenced",
    "forwarder_started",
    "gateway_closed",
    "gateway_started",
    "instance_created",
    "intake_failed",
    "intake_fenced",
    "intake_started",
    "intake_waiting",
    "issuer_unavailable",
    "known_events_caught_up",
    "known_events_rebuilt",
    "log_unavailable",
    "mailbox_records_lost",
    "mailboxes_created",
    "open_files_limited",
    "places_taken",
    "read_model_rebuilt",
    "record_unreadable",
    "replay_broken_off",
    "request_failed",
    "shutdown_step_failed",
    "spans_not_sent",
    "stream_broken_off",
    "subscriptions_not_kept",
    "worker_failed",
]

DENIED_KEYS = frozenset(
    {"token", "authorization", "data", "event", "value", "body", "contactPerson", "password", "secret"}
)
"""Keys whose values never reach a log line, whoever hands them over."""

_logger = structlog.get_logger("kommunebro")


def _withhold(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace the values of denied keys; `event` is structlog's own name for the line's name."""
    return {key: "withheld" if key in DENIED_KEYS and key != "event" else item for key, item in facts.items()}


def configure_logging(level: str = "info", *, as_json: bool = True, stream: TextIO = sys.stderr) -> None:
    """Send log lines to `stream`, one a line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _withhold,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def log_event(name: LogEvent, level: Literal["debug", "info", "warning", "error"] = "info", **facts: Any) -> None:
    """Write one fact."""
    getattr(_logger, level)(name, **facts)


class Seldom:
    """Tells of what can happen to hundreds at once: the first time at once, then at most once a minute.

    `untold` in a line: how often it happened since the line before without being told.
    """

    def __init__(self, name: LogEvent, every_s: float = 60.0) -> None:
        self._name, self._every_s = name, every_s
        self._due_s, self._untold = float("-inf"), 0

    def tell(self, **facts: Any) -> None:
        """Write a warning, or count it."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            self._untold += 1
            return
        self._due_s = now_s + self._every_s
        untold, self._untold = self._untold, 0
        log_event(self._name, "warning", **facts, **({"untold": untold} if untold else {}))


WAY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
"""From milliseconds to the day that a subscriber was away."""

MANY = 8
"""From so many events on, a look for each bucket is less work than one for each event."""


class Durations(Collector):
    """A histogram that takes many equal durations at once: events come, and are forwarded, by the thousand."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry, label: str | None = None) -> None:
        self._name, self._text, self._label = name, text, label
        self._found: dict[str, list[float]] = {}
        registry.register(self)

    def add(self, seconds: float, number: int = 1, label: str = "") -> None:
        """Count `number` events that took so long; what a clock that jumped makes negative counts as none."""
        counts, seconds = self._counts(label), max(0.0, seconds)
        counts[bisect_left(WAY_BUCKETS_S, seconds)] += number
        counts[-1] += seconds * number

    def add_since(self, begun_s: Sequence[float], now_s: float, label: str = "") -> None:
        """Count events that began at these times: the same as `add` for each, with one look for each bucket."""
        ascending = sorted(begun_s)
        count = len(ascending)
        if count < MANY or ascending[-1] > now_s:
            for one_s in ascending:
                self.add(now_s - one_s, label=label)
            return
        counts, counted = self._counts(label), 0
        for place, bound_s in enumerate(WAY_BUCKETS_S):
            at_most = count - bisect_left(ascending, now_s - bound_s)
            counts[place] += at_most - counted
            counted = at_most
            if counted == count:
                break
        counts[len(WAY_BUCKETS_S)] += count - counted
        counts[-1] += count * now_s - sum(ascending)

    def _counts(self, label: str) -> list[float]:
        """Return a count for each bucket, one for what is beyond, and the sum."""
        counts = self._found.get(label)
        if counts is None:
            counts = self._found[label] = [0.0] * (len(WAY_BUCKETS_S) + 2)
        return counts

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was counted."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label] if self._label else [])
        bounds = [*map(str, map(float, WAY_BUCKETS_S)), "+Inf"]
        empty: dict[str, list[float]] = {} if self._label else {"": [0.0] * (len(WAY_BUCKETS_S) + 2)}
        for label, counts in ({**empty, **self._found}).items():
            buckets = list(zip(bounds, accumulate(counts[:-1]), strict=True))
            family.add_metric([label] if self._label else [], buckets, counts[-1])
        yield family


class Lag(NamedTuple):
    """events: how many records follow, at most. seconds: how long the oldest of them has waited."""

    events: int = 0
    seconds: float = 0.0


class LagGauges(Collector):
    """Two gauges, events and seconds, for whoever was there when it was last measured: who is gone leaves no series."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._found: Mapping[tuple[str, ...], Lag] = {}
        registry.register(self)

    def tell(self, found: Mapping[tuple[str, ...], Lag]) -> None:
        """Take what was measured, by the labels' values."""
        self._found = found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return what was measured last."""
        events = GaugeMetricFamily(f"{self._name}_events", f"{self._text}, in records.", labels=self._labels)
        how_long = f"{self._text}: how long the oldest has waited."
        seconds = GaugeMetricFamily(f"{self._name}_seconds", how_long, labels=self._labels)
        for labels, lag in self._found.items():
            events.add_metric(labels, lag.events)
            seconds.add_metric(labels, lag.seconds)
        yield from (events, seconds)


class Metrics:
    """The gateway's metrics, in a registry of its own so that two gateways in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._children: dict[tuple[Any, ...], Counter] = {}
        self.events = self._counter(
            "events", "Events taken in, by type, what became of them, and door.", "type", "outcome", "door"
        )
        self.refused = self._counter("refused", "Events refused, by problem.", "problem")
        self.requests = self._counter(
            "requests", "HTTP answers, by method, route and status.", "method", "route", "status"
        )
        self.publish_seconds = Histogram(
            "kommunebro_publish_seconds",
            "From a publishing request's last byte to its answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self.quarantined = self._counter("quarantined", "Messages set aside at the native door, by problem.", "problem")
        self.forwarded = self._counter("forwarded", "Events forwarded, by alliance and type.", "alliance", "type")
        self.withheld = self._counter("withheld", "Forwarding decisions not to share, by reason.", "reason")
        self.forward_seconds = Durations(
            "kommunebro_forward_seconds",
            "From an event's recording to the commit of what the forwarder decided on it.",
            self.registry,
        )
        self.delivery_seconds = Durations(
            "kommunebro_delivery_seconds",
            "From an event's recording by the gateway to its being handed to a subscriber, by door.",
            self.registry,
            "door",
        )
        self.spans = self._counter("spans", "Spans for OpenTelemetry, by whether they could be sent.", "outcome")
        self.delivered = self._counter("delivered", "Events handed to subscribers, by door.", "door")
        self.shard_lag = LagGauges(
            "kommunebro_shard_lag", "What a shard that is run here has before it", ("work", "shard"), self.registry
        )
        self.subscription_lag = LagGauges(
            "kommunebro_subscription_lag",
            "What a subscription has behind its committed cursor",
            ("participant", "subscription"),
            self.registry,
        )
        self.streams = self._gauge("streams", "Streams that are open.")
        self.known_events = self._gauge("known_events", "Event ids held in memory to recognise duplicates.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"kommunebro_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"kommunebro_{name}", text, registry=self.registry)

    def count(self, counter: Counter, labels: tuple[str, ...], number: int = 1) -> None:
        """Add to the counter of `labels`, remembered: finding it took a tenth of publishing one event."""
        place = (counter, *labels)
        child = self._children.get(place)
        if child is None:
            child = self._children[place] = counter.labels(*labels)
        child.inc(number)
