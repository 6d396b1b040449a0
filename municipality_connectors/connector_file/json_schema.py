"""The JSON Schema of a connector file, made from its model and from the fields of the dataset."""

from typing import Any

from municipality_connectors.connector_file.model import ConnectorFile, FieldRule
from municipality_connectors.mapping.sheet_types import Column, SheetType, all_sheet_types

SCHEMA_ID = "urn:kommunebro:connector-file:1"


def connector_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12. Editors show its descriptions, so they are Danish."""
    schema = ConnectorFile.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
    definitions = schema["$defs"]
    definitions["FieldRule"] = FieldRule.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions["FieldRule"].pop("$defs", None)
    definitions["Field"] = {
        "anyOf": [
            {"type": "string", "minLength": 1, "description": "Kolonnen i kilden."},
            {"$ref": "#/$defs/FieldRule"},
        ]
    }
    publish = definitions["Publish"]
    publish["allOf"] = [
        {
            "if": {"properties": {"type": {"const": str(sheet.name)}}, "required": ["type"]},
            "then": {"properties": {"fields": _fields(sheet)}},
        }
        for sheet in all_sheet_types()
    ]
    publish["properties"]["fields"] = {"type": "object", "description": publish["properties"]["fields"]["description"]}
    return schema


def _fields(sheet: SheetType) -> dict[str, Any]:
    root: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    for column in sheet.columns:
        *parents, leaf = column.key.split(".")
        place = root
        for parent in parents:
            below = {"type": "object", "additionalProperties": False, "properties": {}}
            place = place["properties"].setdefault(parent, below)
        place["properties"][leaf] = _field(column)
    return root


def _field(column: Column) -> dict[str, Any]:
    words = [f"{column.title}.", column.hint, "Skal udfyldes." if column.required and not column.unless else ""]
    return {"$ref": "#/$defs/Field", "description": " ".join(filter(None, words))}
