"""The schemas' files that come with this package."""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from schemas.identifiers import EventName
from schemas.tree import Schema


@cache
def full_schemas() -> tuple[Schema, ...]:
    """Return every version of every full schema; treat them as frozen."""
    return tuple(orjson.loads(text) for name in EventName for text in _texts(name))


def _texts(name: EventName) -> list[bytes]:
    folder = files("schemas") / name.value
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return [file.read_bytes() for file in found]


@cache
def newest(name: str) -> Schema:
    """Return the newest version of a full schema, for what is shown to people; `-shared` is left out of the name.

    Raises `KeyError` for a name that is none of ours.
    """
    by_version = {
        tuple(int(part) for part in version.split(".")): schema
        for schema in full_schemas()
        for schema_name, version in [schema["$id"].split(":")[-2:]]
        if schema_name == name.removesuffix("-shared")
    }
    if not by_version:
        raise KeyError(name)
    return by_version[max(by_version)]


@cache
def examples(name: str) -> dict[str, dict[str, Any]]:
    """Return the dataset's own examples of a type's newest version, whole events by their file's name; frozen too."""
    version = newest(name)["$id"].rpartition(":")[2]
    folder = files("schemas") / name / "examples" / version
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return {file.name.removesuffix(".json"): orjson.loads(file.read_bytes()) for file in found}
