"""Write the tables of `docs/dataset.md` from the schemas: `python -m tests.schemas.make_dataset_page`.

What stands above the marker is written by hand; a test holds that what is below is what this makes.
"""

from collections.abc import Iterator
from pathlib import Path

from exchange_gateway.core.agreements.fields import default_fields
from schemas.identifiers import EventName
from schemas.packaged import full_schemas
from schemas.tree import Schema, resolved

PAGE = Path(__file__).parents[2] / "docs" / "dataset.md"
MARKER = "<!-- Below: made from the schemas by python -m tests.schemas.make_dataset_page -->\n"
FORMS = {"date": "date", "date-time": "time (RFC 3339)"}


def tables() -> str:
    """Return the part of the page that is made."""
    parts: dict[str, Schema] = {}
    lines: list[str] = []
    for schema in full_schemas():
        name = schema["$id"].split(":")[-2]
        lines += [f"## {name} ({schema['x-label-da'].lower()})", "", schema["description"], ""]
        lines += [*_table(schema, schema), "", _by_default(EventName(name)), ""]
        parts |= {part: node for part, node in schema["$defs"].items() if node.keys() & {"properties", "enum"}}
    for part, node in sorted(parts.items()):
        lines += [f"## {part}", "", node["description"], ""]
        root = next(schema for schema in full_schemas() if part in schema["$defs"])
        lines += [*(_table(root, node) if "properties" in node else [_values(node)]), ""]
    return "\n".join(lines)


def _by_default(name: EventName) -> str:
    fields = ", ".join(f"`{pointer}`" for pointer in default_fields(name))
    return f"Shown by an agreement that lists no fields, as far as the rules above let it: {fields}."


def _table(root: Schema, node: Schema) -> Iterator[str]:
    yield "| property | Danish | holds | |"
    yield "|---|---|---|---|"
    for name, child in node["properties"].items():
        optional = "" if name in node["required"] else "?"
        yield f"| `{name}`{optional} | {child['x-label-da']} | {_holds(root, child)} | {_said(root, child)} |"


def _holds(root: Schema, node: Schema) -> str:
    """Say what a value looks like; parts and long enumerations have a section of their own."""
    reference = node.get("$ref", "").removeprefix("#/$defs/")
    if reference and root["$defs"][reference].keys() & {"properties", "enum"}:
        return f"[{reference}](#{reference.lower()})"
    here = resolved(root, node)
    if here["type"] == "array":
        least = f" of {here['minItems']} or more" if "minItems" in here else ""
        return f"list{least}: {_holds(root, here['items'])}"
    return _values(here) if "enum" in here else _plain(here)


def _plain(here: Schema) -> str:
    if "pattern" in here:
        return f"`{here['pattern'].replace('|', '&#124;')}`"
    formats = [*([here["format"]] if "format" in here else []), *(branch["format"] for branch in here.get("anyOf", ()))]
    if formats:
        return " or ".join(FORMS[form] for form in formats)
    if "maxLength" in here:
        return f"text of up to {here['maxLength']:,} characters"
    least = f", {here['minimum']} or more" if "minimum" in here else ""
    return {"integer": "whole number", "number": "number", "boolean": "true or false"}[here["type"]] + least


def _values(node: Schema) -> str:
    labels = node["x-enum-labels-da"]
    pairs = ((str(value), labels[str(value)]) for value in node["enum"])
    return ", ".join(f"`{value}`" if value == label else f"`{value}` {label}" for value, label in pairs)


def _said(root: Schema, node: Schema) -> str:
    marks = {"x-personal": "Personal.", "x-free-text": "Free text."}
    here = resolved(root, node)
    items = resolved(root, here["items"]) if "items" in here else here
    told = [words for mark, words in marks.items() if mark in here or (mark in items and "properties" not in items)]
    if here.get("x-personal-when"):
        told.append("Personal if the company is a sole trader.")
    description = str(node.get("description", here["description"]))
    for sentence in ("Personal data.", "Personal when the company is a sole trader."):
        description = description.replace(" " + sentence, "")
    return " ".join([description, *told])


def page() -> str:
    """Return the whole page: what stands by hand, and the tables."""
    by_hand, _, _ = PAGE.read_text("utf-8").partition(MARKER)
    return by_hand + MARKER + "\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
