"""What both drivers share: httpx's requests, answers and errors as the core knows them."""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Never

import httpx
import orjson

from kommunebro.answers import Streamed
from kommunebro.core.asking import Answer, Gateway, Lost, Pause, Request
from kommunebro.core.server_sent import Decoder
from kommunebro.errors import BadAddress, ClientError, GatewayUnavailable

CONNECT_TIMEOUT_S = 10.0
RETRY_DEFAULT_S = 2.0

Token = str | Callable[[], str]
"""A bearer token, or what gets one: asked at first, and again when the gateway does not accept it any more."""

AsyncToken = str | Callable[[], str | Awaitable[str]]

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def arguments(request: Request, token: str) -> dict[str, Any]:
    """Return what `build_request` of httpx is given. Raises `ClientError` for what cannot be a token."""
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        # httpx's own error would hold the token.
        raise ClientError("The token has characters that no token has. Was all of it copied, and nothing else?")
    return {
        "method": request.method, "url": request.path, "params": dict(request.params), "content": request.body,
        "headers": {**request.headers, "Authorization": f"Bearer {token}"},
        "timeout": httpx.Timeout(request.timeout_s, connect=min(request.timeout_s, CONNECT_TIMEOUT_S)),
    }  # fmt: skip


def answer_of(response: httpx.Response, *, stream: bool = False) -> Answer:
    """Return an answer as the core knows it; its body was read, unless it is a stream."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, b"" if stream else response.content, response if stream else None)


def lost(url: str, error: httpx.HTTPError | httpx.InvalidURL) -> Lost:
    """Return what a failure means. Raises `BadAddress`."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        raise BadAddress(url) from None
    return Lost(type(error).__name__, not isinstance(error, _NOT_SENT))


def seconds(pause: Pause) -> float:
    """Return how long a pause is, by chance."""
    return random.uniform(pause.least_s, pause.most_s)  # noqa: S311  # spreads the callers


def streamed(place: Decoder, piece: bytes) -> list[Streamed]:
    """Return the events that a piece of a stream completes. Raises `GatewayUnavailable` for what is no event."""
    try:
        return [Streamed(orjson.loads(one.data), one.id) for one in place.feed(piece)]
    except orjson.JSONDecodeError:
        raise GatewayUnavailable("The stream holds what is not JSON. Is it a gateway that answers?") from None


def until_again(place: Decoder) -> Pause:
    """Return the pause before a stream that ended is opened again; all of a gateway's may have ended at once."""
    most_s = RETRY_DEFAULT_S if place.retry_ms is None else place.retry_ms / 1000
    return Pause(min(0.05, most_s), most_s)


def broken_off(gateway: Gateway) -> Never:
    """Raise what an answer that was not whole means."""
    raise GatewayUnavailable(f"The answer of {gateway.url} broke off and is not whole. Ask again.")


@contextmanager
def whole(gateway: Gateway) -> Iterator[None]:
    """Turn a body that breaks off into an error that says so."""
    try:
        yield
    except httpx.HTTPError:
        broken_off(gateway)
