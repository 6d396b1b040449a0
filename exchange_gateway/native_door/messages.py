"""A Kafka message as an event, structured or binary. Pure.

Source: CloudEvents' Kafka protocol binding 1.0.2. Everything in a message is hostile until it has been read here.
"""

from collections.abc import Iterable
from typing import Any

from broker_adapters.log import Record
from exchange_gateway.ingest import Arrival
from exchange_gateway.problems import Problem
from schemas import strict_json
from schemas.event import JSON, STRUCTURED, Event, InvalidEvent

CONTENT_TYPE = "content-type"
ATTRIBUTE_PREFIX = "ce_"
HEADERS_MAX = 64
"""An event has some ten attributes; other headers are a producer's own and count for nothing but their number."""


def arrival_of(record: Record, event_bytes_max: int) -> Arrival:
    """Read a message. What is wrong with it becomes the arrival's problem, as in a batch over HTTP."""
    try:
        return _read(record, event_bytes_max)
    except Problem as found:
        return Arrival(parsed=found)
    except strict_json.UnreadableJson as error:
        return Arrival(parsed=Problem("unreadable", error.detail))
    except InvalidEvent as error:
        problem = Problem(error.problem, error.detail, violations=error.violations)
        return Arrival(parsed=problem, event_id=error.event_id)


def _read(record: Record, event_bytes_max: int) -> Arrival:
    headers = _headers(record.headers)
    media_type = _media_type(headers)
    is_binary = media_type != STRUCTURED and (CONTENT_TYPE in headers or _has_attributes(headers))
    size = len(record.value) + (sum(map(len, headers.values())) if is_binary else 0)
    if size > event_bytes_max:
        raise Problem("body-too-large", f"The event has {size} bytes; at most {event_bytes_max} are taken.")
    return Arrival(parsed=_binary(headers, media_type, record.value)) if is_binary else Arrival(record.value)


def _headers(pairs: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """Return the headers that concern the event, each of which may come once."""
    found: dict[str, bytes] = {}
    for number, (name, value) in enumerate(pairs, 1):
        if number > HEADERS_MAX:
            raise Problem("not-an-event", f"The message has more than {HEADERS_MAX} headers.")
        known = CONTENT_TYPE if name.lower() == CONTENT_TYPE else name
        if known != CONTENT_TYPE and not known.startswith(ATTRIBUTE_PREFIX):
            continue
        if known in found:
            raise Problem("not-an-event", f"The header {known[:64]} stands in the message more than once.")
        found[known] = value or b""
    return found


def _has_attributes(headers: Iterable[str]) -> bool:
    return any(name.startswith(ATTRIBUTE_PREFIX) for name in headers)


def _media_type(headers: dict[str, bytes]) -> str | None:
    """Return the content type without parameters, None where there is none."""
    if CONTENT_TYPE not in headers:
        return None
    text = headers[CONTENT_TYPE].decode("latin-1")
    media_type, _, parameters = text.partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type not in (STRUCTURED, JSON) or charset not in ("", "charset=utf-8"):
        taken = f"{STRUCTURED}, or {JSON} with ce_* headers; always UTF-8"
        raise Problem("unsupported-media-type", f"The content-type {text[:100]!r} is not taken. Send {taken}.")
    return media_type


def _binary(headers: dict[str, bytes], media_type: str | None, value: bytes) -> Event:
    if ATTRIBUTE_PREFIX + "specversion" not in headers:
        detail = "The message is in binary mode and needs the attributes in ce_* headers. For a whole event send the "
        raise Problem("unsupported-media-type", detail + f"header {CONTENT_TYPE}: {STRUCTURED}.")
    if ATTRIBUTE_PREFIX + "data" in headers:
        raise Problem("not-an-event", "'data' is the message's value, and no header.")
    attributes: dict[str, Any] = {}
    for name, raw in headers.items():
        if name == CONTENT_TYPE:
            continue
        try:
            attributes[name.removeprefix(ATTRIBUTE_PREFIX)] = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Problem("unreadable", f"The header {name[:64]} is not UTF-8.") from None
    if media_type is not None:
        attributes.setdefault("datacontenttype", media_type)
    attributes["data"] = strict_json.loads(value)
    return Event.from_json(attributes)
