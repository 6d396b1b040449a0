"""Between an `Event` and the bytes that the log keeps. Pure.

The stored value is the publisher's own JSON on one line, with what the gateway adds spliced in before
the last brace: splicing takes 0.2 µs where dumping the event again takes 0.9 µs.
"""

import orjson

from broker_adapters.log import NewRecord, Record
from schemas.event import STRUCTURED, Event

FORMAT = b"1"
"""The number of the stored form. It changes when the value is no longer plain structured JSON."""

_COMMON_HEADERS = (("content-type", STRUCTURED.encode()), ("ce_specversion", b"1.0"), ("kommunebro_format", FORMAT))


def encode_published(event: Event, raw: bytes | None, recorded_time: str, recorded_by: str) -> NewRecord:
    """Return the record of a published event.

    raw: the structured JSON that it came as, where it did; it is kept byte for byte but for line breaks.
    recorded_by: the client's id, plain ASCII without quotes (a token's claims are checked for that).
    """
    body = raw.strip() if raw is not None else orjson.dumps(event.attributes)
    if b"\n" in body or b"\r" in body:
        body = orjson.dumps(event.attributes)
    addition = f',"recordedtime":"{recorded_time}","recordedby":"{recorded_by}"}}'
    return NewRecord(body[:-1] + addition.encode(), event.subject.encode(), event_headers(event))


def event_headers(event: Event) -> tuple[tuple[str, bytes], ...]:
    """Return CloudEvents' Kafka headers, so that a reader can sort without parsing."""
    attributes = event.attributes
    return (
        *_COMMON_HEADERS,
        ("ce_id", attributes["id"].encode()),
        ("ce_source", attributes["source"].encode()),
        ("ce_type", attributes["type"].encode()),
        ("ce_subject", attributes["subject"].encode()),
        ("ce_time", attributes["time"].encode()),
    )


def decode(record: Record) -> Event:
    """Return a stored record's event. What the gateway took in once is an event for ever."""
    return Event(orjson.loads(record.value), stored=True)
