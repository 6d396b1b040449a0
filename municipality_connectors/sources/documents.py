"""Rows out of documents (JSON, XML): what a JMESPath expression finds in each item. Pure.

A connector file names a document's columns by such expressions: `virksomhed.cvr`, `stillinger[*].titel`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

import jmespath
from jmespath.exceptions import JMESPathError

from municipality_connectors.mapping.plan import Plan, folded_title
from municipality_connectors.sources.values import cell_of
from municipality_connectors.tables import Cell, Row, SourceError, Table, quoted

EXPRESSIONS_MAX = 1_000
DEPTH_MAX = 100
"""Elements of XML within each other; exports have some ten."""

ITEMS_MAX = 100_000
"""Items of one document; they are held in memory."""


@lru_cache(maxsize=EXPRESSIONS_MAX)
def compiled(expression: str) -> Any:
    """Return an expression ready to search with. Raises `ValueError`, in Danish, for one that is none."""
    try:
        return jmespath.compile(_with_danish_names(expression))
    except JMESPathError as error:
        detail = str(error).splitlines()[0]
        raise ValueError(f"»{expression}« er ikke en sti i JMESPath, som virksomhed.cvr. ({detail})") from None


def searched(expression: str, document: Any) -> Any:
    """Return what an expression finds. Raises `SourceError` where it asks of a document what cannot be done with it."""
    search = compiled(expression).search
    try:
        return search(document)
    except _UNFIT as error:
        what = f"»{expression}« passer ikke til dokumentet"
        message = f"{what} ({quoted(error)}). Ret stien, eller se, om dokumentet har et andet indhold, end det plejer."
        raise SourceError("unfit-path", message) from None


_UNFIT = (JMESPathError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What a search may raise for a document that its expression was not written for; JMESPath's own errors are not all."""

_QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)""")
_NAME = re.compile(r"[^\W\d]\w*")


def _with_danish_names(expression: str) -> str:
    """Return an expression whose names with other letters than A to Z stand in quotes, as JMESPath wants them."""
    parts = _QUOTED.split(expression)
    parts[::2] = [_NAME.sub(lambda name: name[0] if name[0].isascii() else f'"{name[0]}"', part) for part in parts[::2]]
    return "".join(parts)


def cells_at(item: Any, names: Sequence[str], around: Mapping[str, Any] | None = None) -> tuple[Cell, ...]:
    """Return what each name finds in an item. around: the columns beside it, by `folded_title`."""
    return tuple(cell_of(_found(item, name, around or {})) for name in names)


def _found(item: Any, name: str, around: Mapping[str, Any]) -> Any:
    if isinstance(item, dict) and name in item:
        return item[name]
    if item is not None:
        try:
            value = compiled(name).search(item)
        except _UNFIT:
            value = None
        if value is not None:
            return value
    return around.get(folded_title(name))


def document_table(
    plan: Plan, document: Any, items: str | None, *, may_be_empty: bool
) -> tuple[Plan, Table] | SourceError:
    """Return a document's items as a table whose columns are the paths that the plan asks for.

    items: where they are; None for the document itself, which is a list of them or a single one.
    """
    try:
        found = document if items is None else searched(items, document)
    except SourceError as error:
        return error
    if found is None and not may_be_empty:
        there = ", ".join(map(str, document)) if isinstance(document, dict) else type(document).__name__
        return SourceError("missing-items", f"På »{items}« står der ingenting. Dokumentet har: {there[:200]}.")
    rows = [] if found is None else found if isinstance(found, list) else [found]
    if len(rows) > ITEMS_MAX:
        return SourceError("too-many-rows", f"Der er over {ITEMS_MAX} poster i dokumentet. Del det op.")
    header = plan.columns
    table = (Row(number, cells_at(row, header)) for number, row in enumerate(rows, 1))
    return plan, Table(None, header, table, lettered=False, may_be_empty=may_be_empty)


def of_xml(element: Element, depth: int = 1) -> Any:
    """Return an XML element as a document: children and attributes by name, several of one name as a list.

    Namespaces are left out. An element with text alone is that text. depth: how deep it lies. Raises `SourceError`.
    """
    if depth > DEPTH_MAX:
        message = f"Filen har mere end {DEPTH_MAX} elementer inden i hinanden. Er det den rigtige fil?"
        raise SourceError("too-deep", message)
    children: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        name, value = _local(child.tag), of_xml(child, depth + 1)
        if name not in children:
            children[name] = value
        elif isinstance(before := children[name], list):
            before.append(value)
        else:
            children[name] = [before, value]
    text = (element.text or "").strip()
    if not children:
        return text
    return {**children, "text": text} if text else children


def _local(name: str) -> str:
    return name.rpartition("}")[2]
