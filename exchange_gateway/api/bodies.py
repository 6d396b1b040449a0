"""Reading a small JSON body, for the routes beside the hot one."""

import asyncio
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from exchange_gateway.api.common import SHAPE
from exchange_gateway.api.problems import Problem
from exchange_gateway.api.publish import ClientGone
from schemas import strict_json
from schemas.event import Violation

BODY_BYTES_MAX = 1024 * 1024
"""The log takes no larger record."""

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request, timeout_s: float) -> Any:
    """Read the request's JSON, which has one meaning. Raises `Problem`, `ClientGone`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or "content-encoding" in request.headers:
        raise Problem("unsupported-media-type", "Send the body as application/json, without a Content-Encoding.")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    detail = f"The body has at most {BODY_BYTES_MAX} bytes here."
                    raise Problem("body-too-large", detail, headers={"Connection": "close"})
    except TimeoutError:
        detail = f"The body did not arrive within {timeout_s:g} seconds."
        raise Problem("timeout", detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientGone from None
    try:
        return strict_json.loads(bytes(body))
    except strict_json.UnreadableJson as error:
        raise Problem("unreadable", error.detail) from None


async def read_body(request: Request, model: type[Body], timeout_s: float) -> Body:
    """Read the request's JSON as a model says. Raises `Problem`, `ClientGone`."""
    body = await read_json(request, timeout_s)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        violations = [
            Violation("/" + "/".join(map(str, row["loc"])) if row["loc"] else "", row["type"], _said(model, row))
            for row in error.errors(include_url=False, include_input=False)
        ]
        first = violations[0]
        detail = f"The body is wrong at {first.pointer or 'its root'}: {first.detail}."
        raise Problem("bad-parameter", detail, violations=violations) from None


def _said(model: type[BaseModel], row: Any) -> str:
    if row["type"] != "extra_forbidden":
        return str(row["msg"])
    return f"It is not known here. Known are: {', '.join(_known(model, row['loc'][:-1]))}"


def _known(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return what the object at a path of a body may have."""
    for name in path:
        if isinstance(name, str):
            model = next(_models(model.model_fields[name].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models in a type such as `list[Body] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def described(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return a body's OpenAPI entry; `described/` brings the model itself."""
    schema = {SHAPE: model.__name__}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}
