"""The Python client: publish events to a gateway over HTTP, again and again until they are taken in.

Sending again is always safe, since the gateway recognises what it has: an event is a duplicate when its
`source`, `id` and content are known. So the client tries again whenever that can help.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import orjson

CHUNK_EVENTS = 500
"""Events in one request. The gateway takes 10,000; smaller requests show progress and are repeated cheaply."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes in one request, of the 16 MiB that the gateway takes."""

TIMEOUT_S = 60.0
WAIT_FIRST_S, WAIT_MAX_S = 0.25, 15.0
CONNECT_PATIENCE_S = 3.0
"""How long a gateway that was never reached is tried."""

RETRY_AFTER_MAX_S = 300.0
"""The longest that a gateway's `Retry-After` is obeyed."""

_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
NDJSON = "application/x-ndjson"
_HEALTH = "/healthz"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event. status: accepted, duplicate or refused; problem: why it was refused (RFC 9457)."""

    index: int
    id: str | None
    status: str
    topic: str | None = None
    offset: int | None = None
    problem: dict[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the gateway did not take the event."""
        return self.status == "refused"

    @property
    def problem_name(self) -> str:
        """The problem type's short name, such as `schema-violation`; empty where there is none."""
        return str(self.problem.get("type", "")).rpartition("/")[2]


class ClientError(Exception):
    """The base of what can go wrong between client and gateway."""


class GatewayUnavailable(ClientError):
    """The gateway did not answer, or not with what it promises, for as long as was to be waited. Try again later."""


class TokenRefused(ClientError):
    """The gateway does not accept the token (401)."""


class NotAllowed(ClientError):
    """The token lacks a role for this (403)."""


class BadAddress(ClientError):
    """What should be the gateway's address is none."""


class RequestRefused(ClientError):
    """The gateway refused the request as a whole. problem: its problem details."""

    def __init__(self, detail: str, problem: dict[str, Any]) -> None:
        super().__init__(detail)
        self.problem = problem


class PublishRefused(ClientError):
    """Some events were refused; the others were taken in. results: every event's, in order."""

    def __init__(self, results: Sequence[Result]) -> None:
        refused = [result for result in results if result.refused]
        first = refused[0].problem.get("detail", "") if refused else ""
        super().__init__(f"{len(refused)} of {len(results)} events were refused. The first: {first}")
        self.results = tuple(results)


class GatewayClient:
    """Talks to one gateway with one token. Use as a context manager.

    give_up_after_s: how long one request is tried again. sleep: waits; tests hand in their own.
    """

    def __init__(
        self, url: str, token: str, *, give_up_after_s: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise BadAddress(f"{url!r} is not an address such as http://127.0.0.1:8080.")
        self.url = url.rstrip("/")
        self._give_up_after_s, self._sleep = give_up_after_s, sleep
        headers = {"Authorization": f"Bearer {token.strip()}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def publish(self, events: Iterable[dict[str, Any] | bytes]) -> list[Result]:
        """Publish events (dicts, or each one's JSON on one line) and return when all are durable.

        Raises `PublishRefused` when any was refused; the others are taken in. Raises `GatewayUnavailable`,
        `TokenRefused`, `NotAllowed`; what was sent before is then taken in, and sending all again is safe.
        """
        results = self.send(events)
        if any(result.refused for result in results):
            raise PublishRefused(results)
        return results

    def send(self, events: Iterable[dict[str, Any] | bytes]) -> list[Result]:
        """Publish events as `publish` does, but return the refused ones among the results."""
        return [result for chunk in chunks(events) for result in self._send_chunk("/v1/events", chunk[0], chunk[1])]

    def validate(self, events: Iterable[dict[str, Any] | bytes]) -> list[Result]:
        """Return what `send` would, with nothing recorded."""
        return [
            result
            for start, chunk in chunks(events)
            for result in self._send_chunk("/v1/events:validate", start, chunk)
        ]

    def instance(self) -> str | None:
        """Return the name of the gateway's instance; None when the gateway does not tell it.

        Raises `GatewayUnavailable` soon when nobody answers: a wrong address should not take a minute.
        """
        answer = self._request("GET", _HEALTH, give_up_after_s=min(self._give_up_after_s, CONNECT_PATIENCE_S))
        name = _json(answer).get("instance")
        return name if isinstance(name, str) else None

    def _send_chunk(self, path: str, start: int, chunk: Sequence[bytes]) -> list[Result]:
        try:
            answer = self._request("POST", path, b"\n".join(chunk), NDJSON)
        except RequestRefused as error:
            if error.problem.get("status") != httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                raise
            return self._send_smaller(path, start, chunk, error.problem)
        return self._with_retries(path, start, chunk, [_result(start, row) for row in self._rows(answer, len(chunk))])

    def _rows(self, answer: httpx.Response, count: int) -> list[dict[str, Any]]:
        rows = _json(answer).get("results")
        if not isinstance(rows, list) or len(rows) != count or not all(isinstance(row, dict) for row in rows):
            raise _not_ours(self.url)
        return rows

    def _send_smaller(self, path: str, start: int, chunk: Sequence[bytes], problem: dict[str, Any]) -> list[Result]:
        if len(chunk) == 1:
            return [Result(start, None, "refused", problem=problem)]
        half = len(chunk) // 2
        return self._send_chunk(path, start, chunk[:half]) + self._send_chunk(path, start + half, chunk[half:])

    def _with_retries(self, path: str, start: int, chunk: Sequence[bytes], results: list[Result]) -> list[Result]:
        """Send again those that the gateway could not take in just then, alone."""
        deadline, wait = time.monotonic() + self._give_up_after_s, WAIT_FIRST_S
        while again := [place for place, result in enumerate(results) if result.problem.get("retryable")]:
            if time.monotonic() + wait > deadline:
                raise GatewayUnavailable(str(results[again[0]].problem.get("detail", "The log does not answer.")))
            self._sleep(wait)
            wait = min(wait * 2, WAIT_MAX_S)
            answer = self._request("POST", path, b"\n".join(chunk[place] for place in again), NDJSON)
            for place, row in zip(again, self._rows(answer, len(again)), strict=True):
                results[place] = _result(start, row | {"index": place})
        return results

    def _request(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = None,
        *, give_up_after_s: float | None = None,
    ) -> httpx.Response:  # fmt: skip
        """Ask until there is an answer that trying again would not better."""
        headers = {"Content-Type": media_type} if media_type else {}
        patience = self._give_up_after_s if give_up_after_s is None else give_up_after_s
        deadline, wait = time.monotonic() + patience, WAIT_FIRST_S
        while True:
            try:
                answer = self._http.request(method, path, content=body, headers=headers)
                if answer.status_code not in _TRY_AGAIN:
                    return self._checked(answer)
                failure, after = _said(answer), _retry_after(answer)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise BadAddress(f"{self.url!r} is not an address such as http://127.0.0.1:8080.") from None
            except httpx.TransportError as error:
                failure, after = f"It does not answer ({type(error).__name__})", None
            pause = after if after is not None else wait * random.uniform(0.5, 1.0)  # noqa: S311  # spreads the callers
            if time.monotonic() + pause > deadline:
                raise GatewayUnavailable(
                    f"The gateway at {self.url} can't be had. {failure}. Is it running, and is the address right?"
                )
            self._sleep(pause)
            wait = min(wait * 2, WAIT_MAX_S)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise TokenRefused(f"{_said(answer)}. Make a new token with `kommunebro token`; tokens expire.")
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise NotAllowed(f"{_said(answer)}. Publishing needs a token with the role publisher.")
        problem = _json(answer, refuse=False)
        raise RequestRefused(f"{self.url}: {_said(answer)}.", {"status": answer.status_code} | problem)


def chunks(events: Iterable[dict[str, Any] | bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Cut events into requests: the first one's place, and each event on one line."""
    chunk: list[bytes] = []
    start = size = 0
    for event in events:
        line = event if isinstance(event, bytes) else orjson.dumps(event)
        if chunk and (len(chunk) >= CHUNK_EVENTS or size + len(line) > CHUNK_BYTES):
            yield start, chunk
            start, chunk, size = start + len(chunk), [], 0
        chunk.append(line)
        size += len(line) + 1
    if chunk:
        yield start, chunk


def _result(start: int, row: dict[str, Any]) -> Result:
    return Result(
        start + int(row.get("index", 0)), row.get("id"), str(row.get("status")),
        row.get("topic"), row.get("offset"), row.get("problem") or {},
    )  # fmt: skip


def _json(answer: httpx.Response, *, refuse: bool = True) -> dict[str, Any]:
    try:
        parsed = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if refuse:
        raise _not_ours(str(answer.url))
    return {}


def _not_ours(url: str) -> GatewayUnavailable:
    return GatewayUnavailable(f"{url} does not answer like a Kommunebro gateway. Is the address right?")


def _said(answer: httpx.Response) -> str:
    """Return what the gateway said, for a message."""
    detail = _json(answer, refuse=False).get("detail")
    return str(detail).rstrip(".")[:500] if isinstance(detail, str) else f"It answered {answer.status_code}"


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), RETRY_AFTER_MAX_S) if text.isascii() and text.isdigit() else None
