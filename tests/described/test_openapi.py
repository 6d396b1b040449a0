"""`/openapi.json`: valid, whole, and with examples that are right."""

import json
import pkgutil
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from schemathesis.specs.openapi import definitions

from exchange_gateway import api
from exchange_gateway.api.publish import PATH, VALIDATE_PATH
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from exchange_gateway.problems import PROBLEMS
from schemas.identifiers import EventName
from tests.described.parts import references, resolve, validator
from tests.support import a_clock, a_gateway, example, token


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    async with a_gateway(tmp_path, a_clock()) as served:
        yield served


@pytest.fixture
async def document(served: tuple[Gateway, httpx.AsyncClient]) -> dict[str, Any]:
    answer = await served[1].get("/openapi.json")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    """The document follows OpenAPI's own schema, its schemas follow JSON Schema 2020-12, and references lead on."""
    assert document["openapi"].startswith("3.1.")
    definitions.OPENAPI_31_VALIDATOR.validate(document)
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}), name
    assert [one for one in references(document) if resolve(document, one) is None] == []


async def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    """Every path and method that is answered is described, and nothing else."""
    modules = [import_module(f"{api.__name__}.{found.name}") for found in pkgutil.iter_modules(api.__path__)]
    routes = [route for module in modules for route in getattr(module, "router", APIRouter()).routes]
    there = {(route.path, method) for route in routes if isinstance(route, APIRoute) for method in route.methods}
    assert len(there) > 20
    there |= {(PATH, "POST"), (VALIDATE_PATH, "POST"), ("/asyncapi.json", "GET")}
    assert {(path, method.upper()) for path, method, _ in operations(document)} == there


async def test_each_operation_is_wholly_described(document: dict[str, Any]) -> None:
    """Each has a name, a summary, a tag, whether it needs a token, and a shape and an example for every answer."""
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    lacking = []
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        wanted = ("summary", "tags", "responses", "description")
        lacking += [f"{where} {key}" for key in wanted if not operation.get(key)]
        needs_token = operation.get("security", document["security"]) == [{"bearer": []}]
        assert needs_token == path.startswith("/v1/"), where
        assert ("401" in operation["responses"]) == needs_token, where
        lacking += [f"{where} {one['name']}" for one in operation.get("parameters", []) if _bare(one)]
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for status, answer in {**operation["responses"], **bodies}.items():
            content = answer.get("content", {})
            if not content and status not in ("204", "304"):
                lacking.append(f"{where} {status}")
            lacking += [
                f"{where} {status} {kind}"
                for kind, one in content.items()
                if not one.get("schema") or ("example" not in one and "examples" not in one)
            ]
    assert lacking == []


def _bare(parameter: dict[str, Any]) -> bool:
    return "schema" not in parameter or (parameter["in"] == "query" and not parameter.get("description"))


async def test_examples_follow_their_schemas(document: dict[str, Any]) -> None:
    """What is shown as an example of a body or an answer is one."""
    wrong, seen = [], 0
    for path, method, operation in operations(document):
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for status, answer in {**operation["responses"], **bodies}.items():
            for kind, content in answer.get("content", {}).items():
                check = validator(document, content["schema"])
                shown = [one["value"] for one in content.get("examples", {}).values()]
                for value in [*shown, *([content["example"]] if "example" in content else [])]:
                    seen += 1
                    wrong += [f"{method} {path} {status} {kind}: {error.message}" for error in check.iter_errors(value)]
    assert wrong == []
    assert seen > 100


@pytest.mark.parametrize("name", list(EventName))
async def test_every_event_type_is_typed(document: dict[str, Any], name: EventName) -> None:
    """Each type's own examples fit its part of `Event`, and no other type's; the schema's rules are in it."""
    mapping = document["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    assert set(mapping) == {one.type for one in EventName}
    for other in EventName:
        check = validator(document, {"$ref": mapping[other.type]})
        assert check.is_valid(example(name)) == (other == name)
    broken = example(name)
    del broken["data"][name.id_property]
    assert not validator(document, {"$ref": mapping[name.type]}).is_valid(broken)


async def test_examples_of_events_can_be_published(
    document: dict[str, Any], served: tuple[Gateway, httpx.AsyncClient]
) -> None:
    """Each example of what is published is taken in when it is sent as it stands."""
    gateway, client = served
    operation = document["paths"][PATH]["post"]
    for kind, content in operation["requestBody"]["content"].items():
        for one in content["examples"].values():
            value = one["value"]
            events = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
            source = next((event["source"].split(":")[2] for event in events if "source" in event), "0671")
            headers = token(gateway, source, Role.PUBLISHER) | {"Content-Type": kind}
            if kind == "application/json":
                headers |= {row["name"]: row["example"] for row in operation["parameters"]}
            body = value if isinstance(value, str) else json.dumps(value)
            answer = await client.post(PATH, content=body, headers=headers)
            assert answer.status_code in (200, 201), answer.text


async def test_problems_are_those_that_there_are(document: dict[str, Any]) -> None:
    """Each example of a problem has a type that `/problems` explains, and that has the answer's status."""
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            shown = answer.get("content", {}).get("application/problem+json")
            if shown is not None:
                assert PROBLEMS[shown["example"]["type"].removeprefix("/problems/")].status == int(status)
