"""Make the types in `kommunebro/dataset/` from the schemas: `python -m tests.python_client.make_types`.

A test holds that what is committed is what this makes. The newest version of each schema counts.
"""

import keyword
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.identifiers import EventName
from schemas.packaged import newest
from schemas.tree import Schema
from schemas.views import shared_view

FOLDER = Path(__file__).parents[2] / "kommunebro" / "dataset"
HEAD = "\n\nMade from the schemas by `python -m tests.python_client.make_types`; do not edit.\n"
WIDTH = 120
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
PARTS, SHARED_PARTS = "parts", "shared_parts"
SHARED = "Shared"
TYPED_DICT = "from typing_extensions import TypedDict"
"""Python 3.11's own TypedDict is not one that pydantic takes."""

ENVELOPE = '''

class _Published(TypedDict):
    """What every event has that is published."""

    specversion: Literal["1.0"]
    id: str
    """Unique within `source`, at most 128 characters."""
    source: str
    """urn:kommunebro:<participant>:<system>"""
    subject: str
    """The thing's id, as in `data`."""
    time: str
    """When it happened in the publisher's system (RFC 3339)."""
    datacontenttype: NotRequired[Literal["application/json"]]
    traceparent: NotRequired[str]


class _Forwarded(TypedDict):
    """What every event has that an alliance shares."""

    specversion: Literal["1.0"]
    id: str
    source: str
    subject: str
    time: str
    datacontenttype: NotRequired[Literal["application/json"]]
    traceparent: NotRequired[str]
    recordedtime: NotRequired[str]
    owner: str
    """The participant whose thing it is."""
    alliance: str
    """Through which alliance it came."""
    agreementversion: int
    forwardedtime: str
    causedby: NotRequired[str]
    """The event from which the forwarder made this one, where it made it itself."""
'''


def modules() -> dict[str, str]:
    """Return each module's text by its file's name."""
    names = [name.value for name in EventName]
    full = {name: newest(name) for name in names}
    made = {f"{_module(name)}.py": _of_type(name, full[name]) for name in names}
    made[f"{PARTS}.py"] = _parts(full.values(), "")
    made[f"{SHARED_PARTS}.py"] = _parts(map(shared_view, full.values()), SHARED)
    made["envelope.py"] = (
        f'"""What stands around an event\'s data.{HEAD}"""\n\nfrom typing import Literal, NotRequired\n\n{TYPED_DICT}\n'
        + ENVELOPE.replace("_Published", "Published").replace("_Forwarded", "Forwarded")
    )
    made["__init__.py"] = _index(names)
    return made


def class_name(name: str) -> str:
    """Return `JobOrder` of `job-order`, and `Company` of `company`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("-"))


def _module(name: str) -> str:
    return name.replace("-", "_")


def _index(names: list[str]) -> str:
    lines = [f'"""The dataset\'s types: what events hold, for type checkers and editors.{HEAD}"""', ""]
    exported = []
    for name in sorted(names):
        here = [class_name(name) + ending for ending in ("", "Event", "Forwarded", SHARED)]
        lines += _wrapped_imports([f"from kommunebro.dataset.{_module(name)} import {', '.join(sorted(here))}"])
        exported += here
    for union, ending, said in (
        ("PublishedEvent", "Event", "An event as it is published."),
        ("ForwardedEvent", "Forwarded", "An event as an alliance shares it; `type` tells which it is."),
    ):
        lines += ["", f"{union} = (", "    " + "\n    | ".join(class_name(name) + ending for name in names), ")"]
        lines += [f'"""{said}"""']
    listed = sorted([*exported, "PublishedEvent", "ForwardedEvent"])
    return "\n".join([*lines, "", "__all__ = [", *(f'    "{name}",' for name in listed), "]", ""])


def _of_type(name: str, schema: Schema) -> str:
    view, own = shared_view(schema), class_name(name)
    full_version, shared_version = schema["$id"], view["$id"]
    body = [*_typed_dict(own, schema, schema, ""), *_typed_dict(own + SHARED, view, view, SHARED)]
    for ending, base, data, version, said in (
        ("Event", "Published", own, full_version, "An event that says what it is like now."),
        ("Forwarded", "Forwarded", own + SHARED, shared_version, "An event of it, as an alliance shares it."),
    ):
        body += [
            "", "", f"class {own}{ending}({base}):", f'    """{schema["title"]}: {said[0].lower()}{said[1:]}"""', "",
            f'    type: Literal["dk.kommunebro.{name}"]', f'    dataschema: Literal["{version}"]', f"    data: {data}",
        ]  # fmt: skip
    status = _status(own, schema)
    text = "\n".join([*status, *body]) + "\n"
    return _headed(f"{schema['title']} ({schema['x-label-da']}): {schema['description']}", text)


def _status(own: str, schema: Schema) -> list[str]:
    if "status" not in schema["properties"]:
        return []
    return ["", *_assigned(f"{own}Status = ", schema["properties"]["status"])]


def _parts(schemas: Any, ending: str) -> str:
    parts: dict[str, tuple[Schema, Schema]] = {}
    for schema in schemas:
        for part, node in schema["$defs"].items():
            if "properties" in node:
                # Parts of one name are one type; the schemas' tests hold that they do not differ.
                parts.setdefault(part, (schema, node))
    body: list[str] = []
    for name in _inner_first(parts):
        body += _typed_dict(class_name(name) + ending, *parts[name], ending)
    what = "as alliances share them: nothing of them need be there" if ending else "that several types have"
    return _headed(f"Parts of things, {what}.", "\n".join(body) + "\n")


def _inner_first(parts: dict[str, tuple[Schema, Schema]]) -> Iterator[str]:
    """Yield the parts' names, each after those that it consists of."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in done or name not in parts:
            return
        done.add(name)
        for child in parts[name][1]["properties"].values():
            for node in (child, child.get("items", {})):
                yield from visit(node.get("$ref", "").removeprefix("#/$defs/"))
        yield name

    for name in sorted(parts):
        yield from visit(name)


def _headed(said: str, text: str) -> str:
    words = [word for word in ("Literal", "NotRequired") if f"{word}[" in text]
    lines = [*_docstring(said, "", more=HEAD), "", f"from typing import {', '.join(words)}", "", TYPED_DICT, ""]
    imports = []
    if "(Published)" in text:
        imports.append("from kommunebro.dataset.envelope import Forwarded, Published")
        for module, ending in ((PARTS, ""), (SHARED_PARTS, SHARED)):
            used = sorted(name for name in _part_names(ending) if _uses(text, name))
            imports += [f"from kommunebro.dataset.{module} import {', '.join(used)}"] if used else []
    return "\n".join([*lines, *_wrapped_imports(imports)]) + ("\n" if imports else "") + text


def _wrapped_imports(imports: list[str]) -> Iterator[str]:
    for line in imports:
        if len(line) <= WIDTH:
            yield line
            continue
        head, _, names = line.partition(" import ")
        yield f"{head} import ("
        yield from (f"    {name}," for name in names.split(", "))
        yield ")"


def _part_names(ending: str) -> set[str]:
    found = set()
    for name in EventName:
        schema = shared_view(newest(name.value)) if ending else newest(name.value)
        found |= {class_name(part) + ending for part, node in schema["$defs"].items() if "properties" in node}
    return found


def _uses(text: str, name: str) -> bool:
    return any(form in text for form in (f": {name}\n", f"[{name}]"))


def _typed_dict(name: str, root: Schema, node: Schema, ending: str) -> list[str]:
    required = node.get("required", [])
    # A property that is called like a word of Python's own cannot stand in a class.
    reserved = {key: child for key, child in node["properties"].items() if keyword.iskeyword(key)}
    base = f"_{name}Reserved" if reserved else "TypedDict"
    lines = ["", ""]
    if reserved:
        assert not reserved.keys() & set(required), reserved
        fields = ", ".join(f'"{key}": {_kind(root, child, ending)}' for key, child in reserved.items())
        lines += [f'{base} = TypedDict("{base}", {{{fields}}}, total=False)', "", ""]
    lines += [f"class {name}({base}):", *_docstring(_said(node), "    "), ""]
    for key, child in node["properties"].items():
        if key in reserved:
            continue
        kind = _kind(root, child, ending)
        lines += _assigned(f"    {key}: ", kind if key in required else f"NotRequired[{kind}]")
        lines += [] if ending else _docstring(_said(child), "    ")
    return lines


def _kind(root: Schema, node: Schema, ending: str) -> str:
    if "$ref" in node:
        part = node["$ref"].removeprefix("#/$defs/")
        target = root["$defs"][part]
        return class_name(part) + ending if "properties" in target else _kind(root, target, ending)
    if "enum" in node:
        return f"Literal[{', '.join(_quoted(value) for value in node['enum'])}]"
    if node["type"] == "array":
        return f"list[{_kind(root, node['items'], ending)}]"
    return PLAIN[node["type"]]


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _assigned(head: str, kind: str | Schema) -> list[str]:
    """Write a line; a long list of values gets a line each."""
    kind = kind if isinstance(kind, str) else _kind({}, kind, "")
    if len(head + kind) <= WIDTH or "Literal[" not in kind:
        return [head + kind]
    indent = " " * (len(head) - len(head.lstrip()))
    before, _, rest = kind.partition("Literal[")
    values, _, after = rest.partition("]")
    return [f"{head}{before}Literal[", *(f"{indent}    {value}," for value in values.split(", ")), f"{indent}]{after}"]


def _said(node: Schema) -> str:
    """Return what a schema says of itself: title, description, the Danish label, and the Danish labels of values."""
    parts = [f"{node['title']}.", node.get("description", "")]
    if "x-label-da" in node:
        parts.append(f"Danish: {node['x-label-da']}.")
    if "x-enum-labels-da" in node:
        parts.append("; ".join(f"{value}: {label}" for value, label in node["x-enum-labels-da"].items()) + ".")
    if node.get("x-personal") and "Personal data" not in node.get("description", ""):
        parts.append("Personal data.")
    return " ".join(part for part in parts if part).replace("\\", "\\\\")


def _docstring(said: str, indent: str, *, more: str = "") -> list[str]:
    first, *rest = textwrap.wrap(said, WIDTH - len(indent) - 6, break_long_words=False, break_on_hyphens=False)
    if not rest and not more:
        return [f'{indent}"""{first}"""']
    below = [*(indent + line for line in rest), *more.rstrip("\n").splitlines()[1:]]
    return [f'{indent}"""{first}', *below, f'{indent}"""']


def main() -> None:
    """Write the modules."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in modules().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
