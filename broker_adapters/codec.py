"""Between an `Event` and the bytes that the log keeps. Pure.

The stored value is the publisher's own JSON on one line, with what the gateway adds spliced in before
the last brace: splicing takes 0.2 µs where dumping the event again takes 0.9 µs.
"""

from functools import lru_cache

import orjson

from broker_adapters.log import NewRecord, Record
from schemas.event import STRUCTURED, Event
from schemas.identifiers import TYPE_PREFIX
from schemas.named_tuples import new_tuple

FORMAT = b"1"
"""The number of the stored form. It changes when the value is no longer plain structured JSON."""

Headers = tuple[tuple[str, bytes], ...]

_COMMON_HEADERS = (("content-type", STRUCTURED.encode()), ("ce_specversion", b"1.0"), ("kommunebro_format", FORMAT))


def addition(recorded_time: str, recorded_by: str) -> bytes:
    """Return what the gateway adds to an event, to be put in the place of its last brace.

    recorded_by: the client's id, plain ASCII without quotes (a token's claims are checked for that).
    """
    return f',"recordedtime":"{recorded_time}","recordedby":"{recorded_by}"}}'.encode()


def encode_published(event: Event, raw: bytes | None, added: bytes) -> NewRecord:
    """Return the record of a published event.

    raw: the structured JSON that it came as, where it did; it is kept byte for byte but for line breaks.
    added: see `addition`.
    """
    body = raw.strip() if raw is not None else orjson.dumps(event.attributes)
    if b"\n" in body or b"\r" in body:
        body = orjson.dumps(event.attributes)
    return NewRecord(body[:-1] + added, event.subject.encode(), event_headers(event))


def encode_line(line: bytes, event_id: str, source: str, name: str, subject: str, time: str, added: bytes) -> NewRecord:
    """Return the record of an event that is one line of JSON already, without a space around it."""
    key = subject.encode()
    own = (("ce_id", event_id.encode()), ("ce_subject", key), ("ce_time", time.encode()))
    return new_tuple(NewRecord, (line[:-1] + added, key, _headers_alike(source, name) + own))


def event_headers(event: Event) -> Headers:
    """Return CloudEvents' Kafka headers, so that a reader can sort without parsing."""
    attributes = event.attributes
    return (
        *_headers_alike(attributes["source"], attributes["type"].removeprefix(TYPE_PREFIX)),
        ("ce_id", attributes["id"].encode()),
        ("ce_subject", attributes["subject"].encode()),
        ("ce_time", attributes["time"].encode()),
    )


@lru_cache(maxsize=4096)
def _headers_alike(source: str, name: str) -> Headers:
    """Return the headers that all events of one type from one source have."""
    return (*_COMMON_HEADERS, ("ce_source", source.encode()), ("ce_type", f"{TYPE_PREFIX}{name}".encode()))


def decode(record: Record) -> Event:
    """Return a stored record's event. What the gateway took in once is an event for ever."""
    return Event(orjson.loads(record.value), stored=True)
