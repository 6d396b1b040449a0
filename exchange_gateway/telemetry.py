"""What the gateway tells about itself: log lines and metrics, each name in one place.

A log line is a fact with key-values. Never personal data, never a token: `_withhold` drops what has a
name on the deny list, and nobody hands event data to `log_event`.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LogEvent = Literal[
    "agreement_changed",
    "agreement_unreadable",
    "forwarder_failed",
    "forwarder_fenced",
    "forwarder_started",
    "gateway_closed",
    "gateway_started",
    "instance_created",
    "issuer_unavailable",
    "known_events_caught_up",
    "known_events_rebuilt",
    "log_unavailable",
    "read_model_rebuilt",
    "record_unreadable",
    "replay_broken_off",
    "request_failed",
    "shutdown_step_failed",
    "stream_broken_off",
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


class Metrics:
    """The gateway's metrics, in a registry of its own so that two gateways in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._children: dict[tuple[Any, ...], Counter] = {}
        self.events = Counter(
            "kommunebro_events_total",
            "Events taken in, by type and what became of them.",
            ("type", "outcome"),
            registry=self.registry,
        )
        self.refused = Counter(
            "kommunebro_refused_total",
            "Events refused, by problem.",
            ("problem",),
            registry=self.registry,
        )
        self.requests = Counter(
            "kommunebro_requests_total",
            "HTTP answers, by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.publish_seconds = Histogram(
            "kommunebro_publish_seconds",
            "From a publishing request's last byte to its answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self.forwarded = Counter(
            "kommunebro_forwarded_total",
            "Events forwarded, by alliance and type.",
            ("alliance", "type"),
            registry=self.registry,
        )
        self.withheld = Counter(
            "kommunebro_withheld_total",
            "Forwarding decisions not to share, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.delivered = Counter(
            "kommunebro_delivered_total",
            "Events handed to subscribers, by door.",
            ("door",),
            registry=self.registry,
        )
        self.streams = Gauge(
            "kommunebro_streams",
            "Streams that are open.",
            registry=self.registry,
        )
        self.known_events = Gauge(
            "kommunebro_known_events",
            "Event ids held in memory to recognise duplicates.",
            registry=self.registry,
        )

    def count(self, counter: Counter, labels: tuple[str, ...], number: int = 1) -> None:
        """Add to the counter of `labels`, remembered: finding it took a tenth of publishing one event."""
        place = (counter, *labels)
        child = self._children.get(place)
        if child is None:
            child = self._children[place] = counter.labels(*labels)
        child.inc(number)
