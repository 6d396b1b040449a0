"""What the reading handlers share: parameters, cursors, and how an answer is described."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NoReturn, TypeVar

from fastapi import Query, Request
from pydantic import WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from exchange_gateway.api.problems import MEDIA_TYPE, Problem
from schemas.event import Violation, parse_time

LIST_MAX, LIST_DEFAULT = 1000, 100

Optional = str | SkipJsonSchema[None]
"""A text that may be left out. A query has no null, so none is described."""

Limit = Annotated[int, Query(ge=1, le=LIST_MAX, description="How many to return at most.")]
After = Annotated[Optional, Query(description="`next` of the page before: goes on behind its last item.")]
T = TypeVar("T")

_DESCRIPTIONS = {
    400: "The body cannot be read",
    401: "No valid token",
    403: "The token lacks the role that this needs",
    404: "There is nothing here that you may see",
    409: "It does not fit what is there; `type` says what",
    410: "The log does not keep what stands there any more",
    412: "Somebody else changed it first",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "Another media type, or a Content-Encoding",
    422: "A parameter or the body is wrong; `errors` says where",
    428: "`If-Match` or `If-None-Match` is missing",
    429: "More requests than the operator's limit",
    500: "A fault of the gateway; it is logged under the request's id",
    503: "Not now; try again after `Retry-After` seconds",
}


SHAPE = "x-shape"
"""Stands in a model's schema for a component that `described/` brings: events and problems have shapes of their own."""


def shaped(name: str) -> WithJsonSchema:
    """Describe a value of a model as the document's component `name`."""
    return WithJsonSchema({SHAPE: name})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route, and those that every route has, as FastAPI's `responses`."""
    reference = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": reference}}}
        for status in sorted({*statuses, 401, 422, 429})
    }


def wrong(parameter: str, detail: str) -> NoReturn:
    """Refuse a parameter. Raises `Problem`."""
    raise Problem("bad-parameter", f"{parameter}: {detail}", violations=[Violation(f"/{parameter}", "value", detail)])


async def only_known(request: Request) -> None:
    """Refuse parameters that the route does not have, or that come twice: a misspelt filter finds too much.

    A dependency, for routes whose parameters all stand in their signature. A coroutine, since FastAPI takes a plain
    function to another thread.
    """
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    check_parameters(request, known)


def check_parameters(request: Request, known: Iterable[str]) -> dict[str, str]:
    """Return a request's parameters, each of them known and given once. Raises `Problem`."""
    given: dict[str, str] = {}
    known = sorted(known)
    for name, value in request.query_params.multi_items():
        if name not in known:
            wrong(name[:64], f"There is no such parameter here; there are {', '.join(known) or 'none'}.")
        if name in given:
            wrong(name, "It can be given only once.")
        given[name] = value
    return given


def cursor_of(key: str) -> str:
    """Write the key of a page's last item as an opaque text."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(cursor: str) -> str:
    """Read what `cursor_of` wrote. Raises `Problem`."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        wrong("after", "It is not a cursor that was given here.")


def page_of(items: Mapping[str, T], limit: int, after: str | None) -> tuple[list[T], str | None]:
    """Cut a page out of items by key, in the keys' order; with the cursor of the next."""
    behind = "" if after is None else key_of(after)
    keys = sorted(key for key in items if key > behind)
    page = keys[:limit]
    return [items[key] for key in page], cursor_of(page[-1]) if len(keys) > limit else None


def parsed(parameter: str, text: str | None, parse: Callable[[str], T], wanted: str) -> T | None:
    """Parse a parameter, where it is given; `parse` raises ValueError for what is `wanted` otherwise."""
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        wrong(parameter, wanted)


def instant_ms(text: str) -> int:
    """Read a time in a query as UTC milliseconds, rounded up: the log's clock knows no finer. Raises `ValueError`."""
    # A plus that nobody escaped arrives as a blank.
    return -(-parse_time(text.strip().replace(" ", "+")) // 1000)
