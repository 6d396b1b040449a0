"""Every error that somebody outside is told: one table, one exception (RFC 9457)."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from schemas.event import Violation

ERRORS_MAX = 50
"""Violations listed in one problem; a body can hold thousands."""


class ProblemType(NamedTuple):
    """One kind of error. retryable: whether the same request can succeed later without a change to it."""

    name: str
    status: int
    title: str
    retryable: bool
    explanation: str


_TABLE = (
    ProblemType(
        "bad-parameter",
        422,
        "A parameter of the request is wrong",
        False,
        "A query parameter or a path has a value that is not understood. `errors` names it.",
    ),
    ProblemType(
        "bad-cursor",
        422,
        "The cursor is not one of this subscription",
        False,
        "A cursor counts for the subscription that gave it, unchanged. Go on from the committed one: leave the cursor "
        "out, or rewind.",
    ),
    ProblemType(
        "body-too-large",
        413,
        "The body is too large",
        False,
        "The body or one event in it is over the limit, or a batch has too many events. Send less at once.",
    ),
    ProblemType(
        "ambiguous",
        409,
        "Several have this id",
        False,
        "A thing's id belongs to its owner and an event's to its source, and you may see several with this one. "
        "`owners` or `sources` names them; pick one with `?owner=` or `?source=`.",
    ),
    ProblemType(
        "another-source",
        403,
        "The source belongs to another participant",
        False,
        "A token speaks for one participant (and those it represents); the event's `source` names another.",
    ),
    ProblemType(
        "citizen-number",
        422,
        "A free text holds something like a CPR number",
        False,
        "No citizen's data may enter. Remove the ten digits from the free text that `errors` points to; "
        "P-numbers and case numbers have fields of their own.",
    ),
    ProblemType(
        "conflict",
        409,
        "The id was used for another event",
        False,
        "An event with this `source` and `id` but with other content is recorded already. "
        "A new state of a thing is a new event: give it a new `id` and a later `time`.",
    ),
    ProblemType(
        "cursor-expired",
        410,
        "The log does not keep what stands there any more",
        False,
        "What came after the cursor was removed by the operator. `oldest` is the oldest cursor to go on from; what lay "
        "before it cannot be had here.",
    ),
    ProblemType(
        "cursor-rewound",
        409,
        "The subscription was rewound meanwhile",
        False,
        "The cursor was given before the subscription was rewound, and committing it would take that back. Pull again.",
    ),
    ProblemType(
        "forbidden",
        403,
        "The token does not allow this",
        False,
        "The token is good, but lacks the role or the participant that this needs.",
    ),
    ProblemType(
        "insufficient-storage",
        503,
        "The instance's disk is full",
        True,
        "Nothing was recorded. The operator must free some space; the same request then succeeds.",
    ),
    ProblemType(
        "internal",
        500,
        "Something went wrong on our side",
        True,
        "A fault of the gateway. It is logged under the request's id; send the same request again, "
        "which is safe since duplicates are recognised.",
    ),
    ProblemType(
        "invalid-agreement",
        422,
        "The agreement is not valid",
        False,
        "The body is not an agreement by the rules in docs/agreements.md. `errors` says where.",
    ),
    ProblemType(
        "log-damaged",
        503,
        "The log is damaged",
        False,
        "What is stored is not what was written, so nothing more is taken in. The operator must stop the gateway and "
        "restore the data folder from a backup.",
    ),
    ProblemType(
        "log-unavailable",
        503,
        "The log does not answer now",
        True,
        "The event may or may not have been recorded. Send the same again after `Retry-After` seconds: "
        "what was recorded is then answered as a duplicate.",
    ),
    ProblemType(
        "mailbox-expired",
        410,
        "Messages were removed from the mailbox before they were taken in",
        False,
        "A mailbox on Kafka keeps messages for a week. No gateway took these in within that time, so they are lost "
        "here: send what they held again.",
    ),
    ProblemType(
        "method-not-allowed",
        405,
        "The path does not know this method",
        False,
        "`Allow` names the methods it knows.",
    ),
    ProblemType(
        "not-an-event",
        422,
        "The envelope is not that of an event",
        False,
        "An event is a CloudEvents 1.0 object with the attributes in docs/events.md. `errors` says what is wrong.",
    ),
    ProblemType(
        "not-found",
        404,
        "There is nothing here that you may see",
        False,
        "The path, or the thing that it names, does not exist or is not shared with your participant.",
    ),
    ProblemType(
        "not-supported-yet",
        422,
        "This is not supported yet",
        False,
        "The agreement uses something that this version does not act on. It is refused rather than ignored.",
    ),
    ProblemType(
        "precondition-failed",
        412,
        "Somebody else changed it first",
        False,
        "The `If-Match` or `If-None-Match` does not fit what is there. Read it again and decide anew.",
    ),
    ProblemType(
        "precondition-required",
        428,
        "Say which version you change",
        False,
        "Send `If-None-Match: *` to make a new agreement, or `If-Match` with the ETag of the version you read.",
    ),
    ProblemType(
        "rate-limited",
        429,
        "Too many requests",
        True,
        "Wait for `Retry-After` seconds. The limit is the operator's setting.",
    ),
    ProblemType(
        "read-model-behind",
        503,
        "The newest state is not known yet",
        True,
        "An answer has everything that is in the log, and this gateway has not read that far. It goes on reading: "
        "ask again after `Retry-After` seconds.",
    ),
    ProblemType(
        "schema-violation",
        422,
        "The data does not follow its schema",
        False,
        "`errors` says where and why. GET /v1/schemas/{name}/{version} has the schema.",
    ),
    ProblemType(
        "starting",
        503,
        "The gateway is still starting",
        True,
        "It is reading what the log holds. Try again in a second.",
    ),
    ProblemType(
        "time-in-future",
        422,
        "The event's time lies in the future",
        False,
        "`time` says when something happened. Check the publishing system's clock and its time zone.",
    ),
    ProblemType(
        "timeout",
        408,
        "The body did not arrive in time",
        True,
        "Send the whole body without long pauses.",
    ),
    ProblemType(
        "too-many-connections",
        503,
        "All places are taken",
        True,
        "As many connections, or streams and long polls, are open at this gateway as it takes. Try again after "
        "`Retry-After` seconds, or at another gateway; the operator can raise `limits.connections_max` and "
        "`limits.open_max`.",
    ),
    ProblemType(
        "too-many-subscriptions",
        409,
        "The participant has as many subscriptions as it may",
        False,
        "Delete one that is not used any more, or have the operator raise `limits.subscriptions_max`.",
    ),
    ProblemType(
        "unauthorized",
        401,
        "No valid token",
        False,
        "Send `Authorization: Bearer <token>`. `kommunebro token` makes one; tokens expire.",
    ),
    ProblemType(
        "unknown-schema",
        422,
        "The schema is not known",
        False,
        "`dataschema` names a schema or version that this gateway does not have. GET /v1/schemas lists them.",
    ),
    ProblemType(
        "unreadable",
        400,
        "The body is not JSON that has one meaning",
        False,
        "UTF-8 without a byte-order mark, no key twice in one object, no NaN, no integer beyond 2^53, "
        "no lone surrogate, at most 64 levels deep.",
    ),
    ProblemType(
        "unsupported-media-type",
        415,
        "The media type or encoding is not taken",
        False,
        "Send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, or binary "
        "mode with ce-* headers and application/json; without a Content-Encoding.",
    ),
)

PROBLEMS: Mapping[str, ProblemType] = {row.name: row for row in _TABLE}


class Problem(Exception):
    """Raise it anywhere below a handler: the answer is its problem details."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        violations: Iterable[Violation] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.type = PROBLEMS[name]
        self.detail = detail
        self.violations = tuple(violations)
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the problem details as they stand in an answer, or in one result of a batch."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.type.name}",
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            "retryable": self.type.retryable,
            **self.extra,
        }
        if self.violations:
            body["errors"] = [
                {"pointer": violation.pointer, "detail": violation.detail, "rule": violation.rule}
                for violation in self.violations[:ERRORS_MAX]
            ]
            if len(self.violations) > ERRORS_MAX:
                body["errorsLeftOut"] = len(self.violations) - ERRORS_MAX
        return body
