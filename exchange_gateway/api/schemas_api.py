"""`/v1/schemas`: the shared dataset, and the views of it in which events are forwarded."""

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from exchange_gateway.api.authentication import principal
from exchange_gateway.api.common import LIST_DEFAULT, After, Limit, only_known, page_of, problems
from exchange_gateway.api.problems import Problem
from schemas.registry import Registry, UnknownSchema

if TYPE_CHECKING:
    from exchange_gateway.main import Gateway

router = APIRouter(tags=["schemas"])

MEDIA_TYPE = "application/schema+json"


class SchemaItem(BaseModel):
    """One version of one schema."""

    name: str = Field(examples=["job-order", "job-order-shared"])
    version: str = Field(examples=["1.0"])
    id: str = Field(description="What an event's `dataschema` says.", examples=["urn:kommunebro:schema:job-order:1.0"])
    title: str | None = None
    href: str = Field(examples=["/v1/schemas/job-order/1.0"])


class SchemaList(BaseModel):
    """A page of schemas."""

    schemas: list[SchemaItem]
    next: str | None


@router.get(
    "/v1/schemas",
    summary="List the schemas",
    response_model=SchemaList,
    responses=problems(),
    dependencies=[Depends(principal), Depends(only_known)],
)
async def list_schemas(request: Request, limit: Limit = LIST_DEFAULT, after: After = None) -> Response:
    """Return every version of every schema, the views of forwarded events (`…-shared`) included."""
    gateway: Gateway = request.app.state.gateway
    known = {f"{name}/{version}": (name, version) for name, version in gateway.registry.list()}
    page, following = page_of(known, limit, after)
    items = [_item(gateway.registry.schema(name, version), name, version) for name, version in page]
    return Response(orjson.dumps({"schemas": items, "next": following}), media_type="application/json")


def items_of(registry: Registry) -> list[dict[str, Any]]:
    """Return every version of every schema as the list tells it."""
    return [_item(registry.schema(name, version), name, version) for name, version in registry.list()]


def _item(schema: dict[str, Any], name: str, version: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "id": schema["$id"],
        "title": schema.get("title"),
        "href": f"/v1/schemas/{name}/{version}",
    }


@router.get(
    "/v1/schemas/{name}/{version}",
    summary="Get one schema",
    responses={
        200: {"description": "A JSON Schema (2020-12)", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
        **problems(404),
    },
    response_class=Response,
    dependencies=[Depends(principal), Depends(only_known)],
)
async def get_schema(request: Request, name: str, version: str) -> Response:
    """Return a schema as JSON Schema 2020-12, with Danish labels (`x-label-da`) and personal parts marked."""
    gateway: Gateway = request.app.state.gateway
    try:
        schema = gateway.registry.schema(name, version)
    except UnknownSchema:
        detail = f"There is no schema {name[:64]!r} {version[:16]!r}; GET /v1/schemas lists them."
        raise Problem("not-found", detail) from None
    return Response(orjson.dumps(schema), media_type=MEDIA_TYPE)
