"""Write a connector file as a person would: with a comment where something has to be decided. Pure."""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from municipality_connectors.mapping.sheet_types import SheetType
from municipality_connectors.new.proposing import ProposedField

SCHEMA_FILE = "connector.schema.json"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_A_COMMENT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class About(NamedTuple):
    """What the file says beside the fields. source, table: lines of TOML. notes: lines of text for its owner."""

    name: str
    participant: str
    system: str
    url: str
    token_file: str | None
    source: Sequence[str]
    table: Sequence[str]
    notes: Sequence[str] = ()


def toml_text(text: str) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Return a comment: TOML allows no control characters in one, and a source's titles may hold any."""
    return f"# {_NOT_IN_A_COMMENT.sub('�', text)}"


def connector_toml(about: About, sheet: SheetType, fields: Sequence[ProposedField], changed: str | None) -> str:
    """Return the connector file."""
    lines = [
        f"#:schema ./{SCHEMA_FILE}",
        "# En forbindelse til Kommunebro. Prøv den uden at sende noget:  kommunebro connect DENNE-FIL --dry-run",
        *map(_comment, about.notes), "",
        f"name = {toml_text(about.name)}", f"participant = {toml_text(about.participant)}",
        f"system = {toml_text(about.system)}", 'every = "5m"', "", "[gateway]", f"url = {toml_text(about.url)}",
        '# token-file = "token"  # en fil med tokenet og intet andet' if about.token_file is None
        else f"token-file = {toml_text(about.token_file)}", "", "[source]", *about.source, "", "[[publish]]",
        f"type = {toml_text(sheet.name)}", *about.table,
    ]  # fmt: skip
    if changed is not None:
        lines.append(f"changed = {toml_text(changed)}")
    if fields:
        lines += ["", "[publish.fields]", *(line for field in fields for line in _field(field))]
    lines.append("")
    return "\n".join(lines)


def _field(field: ProposedField) -> list[str]:
    remark = f"  {_comment(field.remark)}" if field.remark else ""
    if field.missing:
        todo = f"SKAL UDFYLDES: {field.target.title}. {field.remark}".rstrip()
        return [_comment(todo), f'# {field.target.key} = "…"']
    if field.value is not None:
        return [f"{field.target.key} = {{ value = {toml_text(field.value)} }}{remark}"]
    column = toml_text(field.column or "")
    if field.codes:
        return _codes(field, column)
    return [f"{field.target.key} = {_rule(field, column)}{remark}"]


def _rule(field: ProposedField, column: str) -> str:
    """Write the column's name, or a rule where that is not all."""
    if field.prefix:
        return f"{{ template = {toml_text(f'{field.prefix}{{{field.column}}}')} }}"
    parts = [f"from = {column}"]
    if field.replace:
        pairs = ", ".join(f"{_key(sign)} = {toml_text(ours)}" for sign, ours in field.replace.items())
        parts.append(f"replace = {{ {pairs} }}")
    if field.date:
        parts.append(f"date = {toml_text(field.date)}")
    return column if len(parts) == 1 else f"{{ {', '.join(parts)} }}"


def _codes(field: ProposedField, column: str) -> list[str]:
    """Write a table of codes, each on a line of its own; those whose meaning is not plain are left to be filled in."""
    known = {theirs: ours for theirs, ours in field.codes.items() if ours is not None}
    unknown = [theirs for theirs, ours in field.codes.items() if ours is None]
    pairs = ", ".join(f"{_key(theirs)} = {toml_text(ours)}" for theirs, ours in known.items())
    lines = [_comment(field.remark)] if field.remark else []
    if unknown:
        listed = ", ".join(map(toml_text, unknown))
        lines.append(_comment(f"SKAL UDFYLDES: skriv i codes, hvad disse værdier betyder hos os: {listed}"))
    split = f"split = {toml_text(field.split)}, " if field.split else ""
    return [*lines, f"{field.target.key} = {{ from = {column}, {split}codes = {{ {pairs} }} }}"]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_text(name)
