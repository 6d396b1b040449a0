"""`/v1/alliances`: the agreements, and their next versions.

Whoever has a valid token may read every agreement: they hold no personal data, and each member must be
able to see who receives what. Who may change one is in `core/access.py`.
"""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel

from exchange_gateway.api.authentication import principal
from exchange_gateway.api.bodies import read_json
from exchange_gateway.api.common import (
    LIST_DEFAULT,
    SHAPE,
    After,
    Limit,
    Optional,
    only_known,
    page_of,
    problems,
    shaped,
)
from exchange_gateway.api.problems import Problem
from exchange_gateway.core.access import Principal
from exchange_gateway.core.agreements import Accepted, AgreementVersion, Refused

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["alliances"])

_EXAMPLE = {
    "id": "vestalliancen",
    "name": "Vestalliancen",
    "kind": "alliance",
    "purpose": "Fælles rekruttering i Vestjylland",
    "legalBasis": "Lov om en aktiv beskæftigelsesindsats",
    "validFrom": "2026-01-01T00:00:00Z",
    "validUntil": None,
    "coordinators": ["0657"],
    "members": [
        {"participant": "0657", "name": "Herning"},
        {"participant": "0671", "name": "Struer", "publishes": ["job-order"], "reads": ["job-order", "visit"]},
    ],
    "shares": {"job-order": {}, "visit": {"fields": ["/visitId", "/status", "/company", "/start"]}},
}
_SHAPE = {SHAPE: "Agreement"}
_AGREEMENT = {
    "description": "The agreement as its coordinator wrote it; `ETag` names the version.",
    "content": {"application/json": {"schema": _SHAPE, "example": _EXAMPLE}},
    "headers": {"ETag": {"schema": {"type": "string"}, "description": "The version, for `If-Match`."}},
}
_BODY = {"required": True, "content": {"application/json": {"schema": _SHAPE, "example": _EXAMPLE}}}


class AllianceList(BaseModel):
    """A page of agreements, each with its `version`."""

    alliances: list[Annotated[dict[str, Any], shaped("Agreement")]]
    next: str | None


@router.get(
    "/v1/alliances",
    summary="List the agreements",
    response_model=AllianceList,
    responses=problems(503),
    dependencies=[Depends(principal), Depends(only_known)],
)
async def list_alliances(request: Request, limit: Limit = LIST_DEFAULT, after: After = None) -> Response:
    """Return the newest version of every agreement, by id, each with its `version`."""
    gateway: Gateway = request.app.state.gateway
    book = await gateway.fresh_book()
    page, following = page_of({version.alliance: version for version in book.all()}, limit, after)
    items = [version.body | {"version": version.number} for version in page]
    return _json({"alliances": items, "next": following})


@router.get(
    "/v1/alliances/{alliance_id}",
    summary="Look at one agreement",
    responses={200: _AGREEMENT, 304: {"description": "You have the newest version"}, **problems(404, 503)},
    dependencies=[Depends(principal), Depends(only_known)],
)
async def get_alliance(
    request: Request, alliance_id: str, if_none_match: Annotated[Optional, Header()] = None
) -> Response:
    """Return the newest version, as its coordinator wrote it: change it, and `PUT` it with its ETag in `If-Match`."""
    gateway: Gateway = request.app.state.gateway
    version = (await gateway.fresh_book()).newest(alliance_id)
    if version is None:
        raise Problem("not-found", f"There is no agreement {alliance_id[:64]!r}.")
    if if_none_match is not None and version.etag in [part.strip() for part in if_none_match.split(",")]:
        return Response(status_code=304, headers={"ETag": version.etag})
    return _agreement(version)


@router.put(
    "/v1/alliances/{alliance_id}",
    summary="Make an agreement, or its next version",
    responses={
        200: _AGREEMENT | {"description": "The next version stands; or nothing was to be changed."},
        201: _AGREEMENT | {"description": "The new agreement stands."},
        **problems(400, 403, 408, 412, 413, 415, 428, 503),
    },
    dependencies=[Depends(only_known)],
    openapi_extra={"requestBody": _BODY},
)
async def put_alliance(
    request: Request,
    alliance_id: str,
    changer: Annotated[Principal, Depends(principal)],
    if_match: Annotated[Optional, Header(description="The ETag of the version that you read.")] = None,
    if_none_match: Annotated[Optional, Header(description="`*`: only if there is none yet.")] = None,
) -> Response:
    """Write an agreement. When this is answered, every reader sees it and forwarding goes by it.

    A version may add members, types and fields; one that takes something away is not supported yet.
    """
    gateway: Gateway = request.app.state.gateway
    body = await read_json(request, gateway.settings.limits.body_timeout_s)
    decision = await gateway.agreements.put(changer, alliance_id, body, if_none_match=if_none_match, if_match=if_match)
    if isinstance(decision, Refused):
        headers = {} if decision.etag is None else {"ETag": decision.etag}
        raise Problem(decision.problem, decision.detail, violations=decision.violations, headers=headers)
    if isinstance(decision, Accepted):
        status = 201 if decision.version == 1 else 200
        return _json(body, status, {"ETag": decision.etag, "Location": f"/v1/alliances/{alliance_id}"})
    return _agreement(decision.newest)


def _agreement(version: AgreementVersion) -> Response:
    return _json(version.body, 200, {"ETag": version.etag})


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
