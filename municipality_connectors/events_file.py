"""Read whole events from .json (one event, or an array of them) and .ndjson (one a line)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from municipality_connectors.sources.replacing import open_file, read_file
from municipality_connectors.tables import SourceError
from schemas import strict_json
from schemas.event import Event, InvalidEvent, Violation

LINE_BYTES_MAX = 1024 * 1024
"""The longest line that is read; an event has at most 256 KiB. The file itself may have any size."""


class ReadEvent(NamedTuple):
    """One event's text and the event, or what is wrong with it. number: its line, or its place in the array from 1."""

    number: int
    line: bytes
    event: Event | InvalidEvent


def read_events(path: Path) -> Iterator[ReadEvent]:
    """Yield a file's events in order. Raises `SourceError` for a file that is neither form."""
    if path.suffix.lower() in (".ndjson", ".jsonl"):
        with open_file(path) as stream:
            yield from _lines(stream)
    else:
        yield from _values(read_file(path))


def _lines(stream: BinaryIO) -> Iterator[ReadEvent]:
    number = 0
    while line := stream.readline(LINE_BYTES_MAX):
        number += 1
        if len(line) == LINE_BYTES_MAX:
            raise SourceError(
                "too-large", f"Linje {number} fylder over 1 MB. Er der én hændelse på hver linje?", row=number
            )
        line = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if line:
            yield ReadEvent(number, line, _event(line))


def _event(line: bytes) -> Event | InvalidEvent:
    try:
        return Event.parse(line)
    except strict_json.UnreadableJson as error:
        return InvalidEvent("unreadable", error.detail, [Violation("", "unreadable", error.detail)])
    except InvalidEvent as error:
        return error


def _values(raw: bytes) -> Iterator[ReadEvent]:
    try:
        parsed = strict_json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except strict_json.UnreadableJson as error:
        raise SourceError(
            "unreadable",
            f"Filen er ikke gyldig JSON ({error.detail}) Har den én hændelse pr. linje, skal den hedde .ndjson.",
        ) from None
    for number, value in enumerate(parsed if isinstance(parsed, list) else [parsed], 1):
        yield ReadEvent(number, orjson.dumps(value), _parsed(value))


def _parsed(value: Any) -> Event | InvalidEvent:
    try:
        return Event.from_json(value)
    except InvalidEvent as error:
        return error
