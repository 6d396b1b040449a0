"""What can go wrong between a client and its gateway. No message holds a token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

NO_TYPE = "about:blank"
"""The type of a problem that has none (RFC 9457, section 4.2.1)."""

SHOWN_MAX = 5
"""Refused events, and violations of one, that a message names."""

_OLDEST = "oldest"


class Violation(NamedTuple):
    """One thing that is wrong. pointer: a JSON Pointer into what was sent. detail: what is wrong there."""

    pointer: str
    detail: str


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
        return short_name(str(self.problem.get("type", "")))


class ClientError(Exception):
    """The base of what can go wrong between client and gateway."""


class BadAddress(ClientError):
    """What should be the gateway's address is none."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url!r} is not an address such as http://127.0.0.1:8080.")


class Problem(ClientError):
    """The gateway refused the request. Decide by `name` or `retryable`; `GET /problems/<name>` explains each.

    type: such as `/problems/schema-violation`. errors: what exactly is wrong, where the gateway says it.
    retryable: whether the same request can succeed later. request_id: names the request to the gateway's operator.
    body: all problem details.
    """

    def __init__(self, status: int, body: Mapping[str, Any], request_id: str | None = None) -> None:
        self.status, self.body, self.request_id = status, dict(body), request_id
        self.type = str(body.get("type", NO_TYPE))
        self.title = str(body.get("title", f"It answered {status}"))
        self.detail = str(body.get("detail", f"It answered {status}."))[:500]
        self.errors = violations_of(body)
        self.retryable = body.get("retryable") is True
        super().__init__(self._message())

    @property
    def name(self) -> str:
        """The type's short name, such as `schema-violation`; empty where there is none."""
        return short_name(self.type)

    def _message(self) -> str:
        return self.detail + _listed(self.errors)


class TokenRefused(Problem):
    """The gateway does not accept the token (401)."""

    def _message(self) -> str:
        return f"{self.detail.rstrip('.')}. Make a new token with `kommunebro token`; tokens expire."


class NotAllowed(Problem):
    """The token lacks a role for this, or speaks for somebody else (403)."""


class NotFound(Problem):
    """There is nothing there that the token may see (404)."""


class CursorExpired(Problem):
    """The log does not keep what stands at the cursor any more (410): what lay before `oldest` cannot be had here."""

    @property
    def oldest(self) -> str | None:
        """The oldest cursor to go on from: commit it, or pull after it."""
        found = self.body.get(_OLDEST)
        return found if isinstance(found, str) else None


class GatewayUnavailable(ClientError):
    """The gateway did not answer, or not with what it promises, for as long as was to be waited. Try again later.

    problem: what it answered at last; None where it did not answer as a gateway does.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class Refused(ClientError):
    """Some events were refused; the others were taken in.

    results: every event's, in order. refused: those of the refused ones, each with its `problem`.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = tuple(results)
        self.refused = tuple(result for result in self.results if result.refused)
        lines = [f"{len(self.refused)} of {len(self.results)} events were refused."]
        lines += [f"  {_of(result)}" for result in self.refused[:SHOWN_MAX]]
        more = len(self.refused) - SHOWN_MAX
        super().__init__("\n".join([*lines, *([f"  … and {more} more in `refused`"] if more > 0 else [])]))


def problem_of(status: int, body: Mapping[str, Any], request_id: str | None) -> Problem:
    """Return an answer's problem, in the class that it has."""
    kinds: dict[int, type[Problem]] = {401: TokenRefused, 403: NotAllowed, 404: NotFound}
    kind = CursorExpired if body.get("type") == "/problems/cursor-expired" else kinds.get(status, Problem)
    return kind(status, body, request_id)


def short_name(problem_type: str) -> str:
    """Return `schema-violation` of `/problems/schema-violation`; nothing of what is no type of a gateway's."""
    return problem_type.rpartition("/")[2] if "/" in problem_type else ""


def violations_of(problem: Mapping[str, Any]) -> tuple[Violation, ...]:
    """Return what a problem says is wrong; what is no such statement is left out."""
    rows = problem.get("errors")
    if not isinstance(rows, list):
        return ()
    return tuple(Violation(str(row.get("pointer", "")), str(row.get("detail", ""))) for row in rows if _is_object(row))


def _is_object(row: object) -> bool:
    return isinstance(row, dict)


def _of(result: Result) -> str:
    detail = str(result.problem.get("detail", "no reason was given"))[:500]
    return f"{result.index} ({result.id}): {detail}" + _listed(violations_of(result.problem))


def _listed(errors: Sequence[Violation]) -> str:
    shown = "; ".join(f"{pointer or '/'}: {detail}" for pointer, detail in errors[:SHOWN_MAX])
    return f" [{shown}{'; …' if len(errors) > SHOWN_MAX else ''}]" if errors else ""
