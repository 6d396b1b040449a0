"""Publish events, again and again until each is taken in or refused for good.

Sending again is always safe, since the gateway recognises what it has: an event is a duplicate when its `source`, `id`
and content are known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from kommunebro.core.asking import (
    WAIT_FIRST_S,
    WAIT_MAX_S,
    Gateway,
    Pause,
    Program,
    Request,
    ask,
    given_up,
    not_ours,
    now,
    parsed,
)
from kommunebro.errors import Problem, Refused, Result, problem_of

CHUNK_EVENTS = 500
"""Events in one request. The gateway takes 10,000; smaller requests show progress and are repeated cheaply."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes in one request, of the 16 MiB that the gateway takes."""

PUBLISH, VALIDATE = "/v1/events", "/v1/events:validate"
_NDJSON = {"Content-Type": "application/x-ndjson"}
_TOO_LARGE, _UNAVAILABLE = 413, 503

OneEvent = Mapping[str, object] | bytes
"""An event: its attributes, or its JSON."""


def publish(gateway: Gateway, events: OneEvent | Iterable[OneEvent]) -> Program[list[Result]]:
    """Send events; raises `Refused` when any was refused."""
    results = yield from send(gateway, PUBLISH, events)
    if any(result.refused for result in results):
        raise Refused(results)
    return results


def send(gateway: Gateway, path: str, events: OneEvent | Iterable[OneEvent]) -> Program[list[Result]]:
    """Send events to be published or validated, and return what became of each. Raises `ClientError`."""
    results: list[Result] = []
    for start, chunk in chunks([events] if isinstance(events, Mapping | bytes) else events):
        results += yield from _chunk(gateway, path, start, chunk)
    return results


def chunks(events: Iterable[OneEvent]) -> Iterator[tuple[int, list[bytes]]]:
    """Cut events into requests: the first one's place, and each event on one line."""
    chunk: list[bytes] = []
    start = size = 0
    for event in events:
        line = _line(event)
        if chunk and (len(chunk) >= CHUNK_EVENTS or size + len(line) > CHUNK_BYTES):
            yield start, chunk
            start, chunk, size = start + len(chunk), [], 0
        chunk.append(line)
        size += len(line) + 1
    if chunk:
        yield start, chunk


def _line(event: OneEvent) -> bytes:
    if not isinstance(event, bytes):
        return orjson.dumps(event if isinstance(event, dict) else dict(event))
    # In JSON a line's end stands between values only, where a blank says the same.
    return event.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in event or b"\r" in event else event


def _chunk(gateway: Gateway, path: str, start: int, chunk: Sequence[bytes]) -> Program[list[Result]]:
    try:
        rows = yield from _rows(gateway, path, chunk)
    except Problem as problem:
        if problem.status != _TOO_LARGE:
            raise
        if len(chunk) == 1:
            return [Result(start, None, "refused", problem={"status": _TOO_LARGE} | problem.body)]
    else:
        return (yield from _until_taken(gateway, path, start, chunk, [_result(start, row) for row in rows]))
    half = len(chunk) // 2
    first = yield from _chunk(gateway, path, start, chunk[:half])
    return first + (yield from _chunk(gateway, path, start + half, chunk[half:]))


def _rows(gateway: Gateway, path: str, chunk: Sequence[bytes]) -> Program[list[dict[str, Any]]]:
    answer = yield from ask(gateway, Request("POST", path, body=b"\n".join(chunk), headers=_NDJSON))
    rows = parsed(answer).get("results")
    if not isinstance(rows, list) or len(rows) != len(chunk) or not all(isinstance(row, dict) for row in rows):
        raise not_ours(gateway.url)
    return rows


def _until_taken(
    gateway: Gateway, path: str, start: int, chunk: Sequence[bytes], results: list[Result]
) -> Program[list[Result]]:
    """Send again those that the gateway could not take in just then, alone."""
    deadline, wait = (yield from now()) + gateway.patience_s, WAIT_FIRST_S
    while again := [place for place, result in enumerate(results) if result.problem.get("retryable")]:
        if (yield from now()) + wait > deadline:
            raise given_up(gateway, _why_not_taken(results[again[0]]))
        yield Pause(wait / 2, wait)
        wait = min(wait * 2, WAIT_MAX_S)
        rows = yield from _rows(gateway, path, [chunk[place] for place in again])
        for place, row in zip(again, rows, strict=True):
            results[place] = _result(start, row | {"index": place})
    return results


def _why_not_taken(result: Result) -> Problem:
    return problem_of(int(result.problem.get("status", _UNAVAILABLE)), result.problem, None)


def _result(start: int, row: dict[str, Any]) -> Result:
    return Result(
        start + int(row.get("index", 0)), row.get("id"), str(row.get("status")),
        row.get("topic"), row.get("offset"), row.get("problem") or {},
    )  # fmt: skip
