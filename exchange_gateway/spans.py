"""Spans for OpenTelemetry: an event's way, under the trace that its publisher began. Only there where it is configured.

An event that carries a sampled `traceparent` has a span where it was recorded (`publish`), where the forwarder decided
on it (`forward`) and each time that it was handed to a subscriber (`deliver`), all of them children of the publisher's
own. What is stored stays as it was published, so an event without a `traceparent` leaves the gateway without one; its
request has a span all the same, under the request's own `traceparent`, or for a share of the requests without one.

A span says where an event stands, by topic and offset, and nothing of what is in it.
"""

import logging
import os
import random
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import orjson
import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from broker_adapters.log import NewRecord, Record
from exchange_gateway.telemetry import Metrics, log_event

TRACES_PATH = "/v1/traces"
EVENT_SPANS_MAX = 100
"""Spans for the events of one request, one step or one page: a batch has thousands, and each costs some 30 µs."""

QUEUE_SPANS = 4_096
BATCH_SPANS = 512
SEND_EVERY_MS = 1_000
SEND_TIMEOUT_S = 3.0
"""For one batch, with all attempts. A receiver that is away costs spans, never events."""

_MARK = b'"traceparent"'
_CARRIED = re.compile(rb'"traceparent"\s*:\s*"([0-9a-f-]{55})"')
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

Attributes = Mapping[str, str | int | Sequence[str]]


class Traced(NamedTuple):
    """An event that is traced, and the context that it came with."""

    record: Record
    context: SpanContext


def context_of(traceparent: str) -> SpanContext | None:
    """Read a `traceparent` of W3C's Trace Context; None for what is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None


def sampled_context(value: bytes) -> SpanContext | None:
    """Return the context that a stored event carries; None where there is none, or its trace is not wanted."""
    if _MARK not in value or (found := _CARRIED.search(value)) is None:
        return None
    context = context_of(found[1].decode("ascii"))
    return context if context is not None and context.trace_flags.sampled else None


class Tracing:
    """Makes spans and sends them, from a thread of its own and a queue with an end: what does not fit is dropped."""

    def __init__(self, endpoint: str, *, ratio: float, version: str, metrics: Metrics) -> None:
        # It writes to standard error by itself; what matters is told in a line of ours.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        address = endpoint if endpoint.rstrip("/").endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH
        self._ratio = ratio
        self._exporter = _Exporter(OTLPSpanExporter(address, timeout=SEND_TIMEOUT_S), metrics)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=SEND_EVERY_MS,
        )
        resource = Resource({
            "service.name": "kommunebro",
            "service.version": version,
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        })  # fmt: skip
        # What is not to be traced is never begun, so whatever is begun is kept.
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("kommunebro", version)

    def close(self) -> None:
        """Send what waits, for some seconds at most. Blocks."""
        self._exporter.closing = True
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    # --- a request ------------------------------------------------------------------------------

    def chosen(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether a request is traced: by its own `traceparent`, else by chance."""
        parent = _parent_of(headers)
        return random.random() < self._ratio if parent is None else parent.trace_flags.sampled  # noqa: S311

    @contextmanager
    def request(self, name: str, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Iterator[trace.Span]:
        """Have what happens within it belong to the span of a request that was `chosen`."""
        parent = _parent_of(headers)
        with self._tracer.start_as_current_span(
            name,
            context=None if parent is None else _under(parent),
            kind=SpanKind.SERVER,
            attributes={"kommunebro.request_id": request_id},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    # --- events ---------------------------------------------------------------------------------

    def published(self, events: Iterable[tuple[NewRecord, str, int, str]], *, door: str, began_ns: int) -> None:
        """Make the spans of events that came in. Each: its record, its topic, its offset (-1: none), its outcome."""
        request = trace.get_current_span()
        known = request.get_span_context()
        links = [Link(known)] if known.is_valid else []
        left = EVENT_SPANS_MAX
        for record, topic, offset, outcome in events:
            context = sampled_context(record.value)
            if context is None:
                continue
            request.add_link(context)
            attributes: dict[str, str | int] = {"kommunebro.door": door, "kommunebro.outcome": outcome}
            self._event("publish", context, (topic, offset), began_ns, attributes, kind=SpanKind.PRODUCER, links=links)
            left -= 1
            if left == 0:
                return

    @staticmethod
    def traced(records: Iterable[Record]) -> "list[Traced]":
        """Return those of the records that are traced, as many as get spans."""
        found: list[Traced] = []
        for record in records:
            if (context := sampled_context(record.value)) is not None:
                found.append(Traced(record, context))
                if len(found) == EVENT_SPANS_MAX:
                    break
        return found

    def forwarded(self, events: Iterable[Traced], outputs: Mapping[str, Iterable[NewRecord]], began_ns: int) -> None:
        """Make the spans of events that the forwarder has decided on. outputs: by topic, what came of all of them."""
        shared: dict[tuple[str, str], list[str]] = {}
        for topic, records in outputs.items():
            for record in records:
                if _MARK in record.value:
                    shared.setdefault(_name_of(record.value), []).append(topic)
        for one in events:
            topics = shared.get(_name_of(one.record.value), ())
            self._event("forward", one.context, _place(one.record), began_ns, {"kommunebro.shared_in": tuple(topics)})

    def delivered(self, records: Iterable[Record], *, door: str, subscription: str, asked: str | None) -> None:
        """Make the spans of events that a subscriber gets. asked: the `traceparent` of the subscriber's own request."""
        reader = context_of(asked) if asked is not None else None
        links = [Link(reader)] if reader is not None else []
        attributes = {"kommunebro.door": door, "kommunebro.subscription": subscription}
        began_ns = time.time_ns()
        for one in self.traced(records):
            place = _place(one.record)
            self._event("deliver", one.context, place, began_ns, attributes, kind=SpanKind.CONSUMER, links=links)

    def _event(
        self,
        name: str,
        context: SpanContext,
        place: tuple[str, int],
        began_ns: int,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> None:
        told: dict[str, str | int | Sequence[str]] = {"kommunebro.topic": place[0], **attributes}
        if place[1] >= 0:
            told["kommunebro.offset"] = place[1]
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id is not None:
            told["kommunebro.request_id"] = request_id
        span = self._tracer.start_span(name, _under(context), kind, attributes=told, links=links, start_time=began_ns)
        span.end(max(began_ns, time.time_ns()))


def _place(record: Record) -> tuple[str, int]:
    return record.topic, record.offset


def _name_of(value: bytes) -> tuple[str, str]:
    """Return what an event is known by: its source and its id."""
    event = orjson.loads(value)
    return event["source"], event["id"]


class _Exporter(SpanExporter):
    """Sends spans, counts them, and tells once when that fails and nothing more until it works again."""

    def __init__(self, inner: SpanExporter, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics
        self._failing = False
        self.closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        # Whoever stops the process must not wait for a receiver that is away.
        result = SpanExportResult.FAILURE if self.closing and self._failing else self._inner.export(spans)
        sent = result is SpanExportResult.SUCCESS
        self._metrics.count(self._metrics.spans, ("sent" if sent else "lost",), len(spans))
        if not sent and not self._failing:
            log_event("spans_not_sent", "warning", spans=len(spans))
        self._failing = not sent
        return result

    def shutdown(self) -> None:
        """Let go of the connection."""
        self._inner.shutdown()


def _parent_of(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    given = next((value for name, value in headers if name == b"traceparent"), None)
    return None if given is None else context_of(given.decode("latin-1"))


def _under(context: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(context))
