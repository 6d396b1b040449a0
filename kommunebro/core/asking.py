"""Ask a gateway until there is an answer that trying again would not better.

What is to be done is a program: a generator that yields what it wants done (`Request`, `Pause`, `Now`, `Renew`) and is
sent what came of it. It knows no network, clock or chance. Two drivers, `client.py` and `async_client.py`, run it.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import orjson

from kommunebro.errors import BadAddress, GatewayUnavailable, Problem, problem_of

TIMEOUT_S = 60.0
PATIENCE_S = 60.0
WAIT_FIRST_S, WAIT_MAX_S = 0.25, 15.0
"""Between two attempts: doubled each time, and spread, so that many clients do not come back at one instant."""

RETRY_AFTER_MAX_S = 300.0
"""The longest that a gateway's `Retry-After` is obeyed."""

UNAUTHORIZED = 401
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_NOT_TAKEN = {"rate-limited", "too-many-connections", "starting"}
"""Problems that are told before a request is looked at."""

T = TypeVar("T")


class Again(Enum):
    """When a request may be sent again.

    ALWAYS: twice is as good as once. UNTAKEN: only where it surely was not taken, since twice is not as good as once.
    """

    ALWAYS = 1
    UNTAKEN = 2


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be asked. streamed: the answer's body is read piece by piece, by whoever drives."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    again: Again = Again.ALWAYS
    timeout_s: float = TIMEOUT_S
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. headers: names in lower case. stream: the open answer, where one was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    stream: Any = None

    @property
    def ok(self) -> bool:
        """Whether the gateway did what was asked."""
        return self.status // 100 == 2  # noqa: PLR2004  # 2xx


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer. sent: False where the request surely did not arrive."""

    what: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, for a time between the two that chance picks."""

    least_s: float
    most_s: float


class Now:
    """Tell the time, in seconds since whenever."""


class Renew:
    """Get another token; answered with whether there is one."""


Effect = Request | Pause | Now | Renew
Program = Generator[Effect, Any, T]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Whom a client asks. url: for messages. patience_s: how long one request is tried again."""

    url: str
    patience_s: float = PATIENCE_S


def address(url: str) -> str:
    """Return a gateway's address without a slash at its end. Raises `BadAddress`."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        # A port that is no number, or half an IPv6 address.
        good = False
    if not good or not url.isprintable() or " " in url:
        raise BadAddress(url)
    return url.rstrip("/")


def segment(text: str) -> str:
    """Write an id as one part of a path."""
    return quote(text, safe="")


def ask(gateway: Gateway, request: Request) -> Program[Answer]:
    """Return the answer to a request, sent again while that may help. Raises `ClientError`."""
    deadline = (yield from now()) + gateway.patience_s
    wait, renewed = WAIT_FIRST_S, False
    while True:
        reply: Answer | Lost = yield request
        if isinstance(reply, Answer) and reply.status == UNAUTHORIZED and not renewed:
            renewed = True
            if (yield Renew()):
                continue
        if not _helps(request, reply):
            return _checked(gateway, request, reply)
        pause = _pause(reply, wait)
        if (yield from now()) + pause.most_s > deadline:
            raise given_up(gateway, reply if isinstance(reply, Lost) else refusal(reply))
        yield pause
        wait = min(wait * 2, WAIT_MAX_S)


def now() -> Program[float]:
    """Return the time, in seconds since whenever."""
    return cast("float", (yield Now()))


def _helps(request: Request, reply: Answer | Lost) -> bool:
    if isinstance(reply, Lost):
        return request.again is Again.ALWAYS or not reply.sent
    problem = parsed(reply)
    if reply.status not in _TRY_AGAIN or problem.get("retryable") is False:
        return False
    name = str(problem.get("type", "")).rpartition("/")[2]
    return request.again is Again.ALWAYS or name in _NOT_TAKEN


def _pause(reply: Answer | Lost, wait_s: float) -> Pause:
    text = "" if isinstance(reply, Lost) else reply.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        after_s = min(float(text), RETRY_AFTER_MAX_S)
        return Pause(after_s, after_s)
    return Pause(wait_s / 2, wait_s)


def _checked(gateway: Gateway, request: Request, reply: Answer | Lost) -> Answer:
    if isinstance(reply, Lost):
        raise GatewayUnavailable(
            f"The gateway at {gateway.url} broke off ({reply.what}) while it was asked to {request.method} "
            f"{request.path}. Whether it did that is not known: look, before you ask again."
        )
    if reply.ok:
        return reply
    raise refusal(reply)


def given_up(gateway: Gateway, why: Lost | Problem) -> GatewayUnavailable:
    """Return the error for a request that was tried for as long as patience lasts."""
    if isinstance(why, Problem) and why.name:
        # It is a gateway, so neither it nor its address is what is missing.
        return GatewayUnavailable(
            f"The gateway at {gateway.url} can't do this just now. {why.detail.rstrip('.')}. Try again later.", why
        )
    said = f"It does not answer ({why.what})" if isinstance(why, Lost) else why.detail.rstrip(".")
    return GatewayUnavailable(
        f"The gateway at {gateway.url} can't be had. {said}. Is it running, and is the address right?",
        why if isinstance(why, Problem) else None,
    )


def refusal(answer: Answer) -> Problem:
    """Return the problem that an answer tells."""
    return problem_of(answer.status, parsed(answer), answer.headers.get("x-request-id"))


def parsed(answer: Answer) -> dict[str, Any]:
    """Return an answer's JSON object; an empty one where it has none."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def promised(gateway: Gateway, answer: Answer, *names: str) -> dict[str, Any]:
    """Return an answer's JSON object. Raises `GatewayUnavailable` where it is none, or lacks one of the names."""
    found = parsed(answer)
    if not found or not all(name in found for name in names):
        raise not_ours(gateway.url)
    return found


def not_ours(url: str) -> GatewayUnavailable:
    """Return the error for an answer that no gateway gives."""
    return GatewayUnavailable(f"{url} does not answer like a Kommunebro gateway. Is the address right?")
