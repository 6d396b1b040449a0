"""Make the tables in docs/connector-file.md, and the JSON Schema and the workbook in the examples: `make connectors`.

What is made depends on nothing but the file's model and the fields of the dataset.
"""

import csv
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from openpyxl import Workbook
from pydantic import BaseModel

from municipality_connectors.connector_file import model
from municipality_connectors.connector_file.json_schema import connector_schema
from municipality_connectors.mapping.sheet_types import all_sheet_types
from municipality_connectors.new.writing import SCHEMA_FILE
from municipality_connectors.sheets.writing import FIXED_TIME, stable

EXAMPLES = Path("examples/connectors")
REFERENCE = Path("docs/connector-file.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Øverst", model.ConnectorFile), ("`[gateway]`", model.Gateway),
    ("`[source]` ved `excel` og `csv`", model.FilesSource), ("`[source]` ved `folder`", model.FolderSource),
    ("`[source]` ved `sql` og `outbox`", model.SqlSource), ("`[source]` ved `rest`", model.RestSource),
    ("`[source.oauth]`", model.OAuth), ("`[source]` ved `webhook`", model.WebhookSource),
    ("`[source]` ved `kafka`", model.KafkaSource), ("`[[publish]]`", model.Publish), ("`paging`", model.Paging),
    ("`since`", model.Since), ("En regel i `[publish.fields]`", model.FieldRule), ("En betingelse", model.When),
    ("`[[deliver]]`", model.Deliver),
)  # fmt: skip


def tables() -> str:
    """Return the tables of docs/connector-file.md."""
    return "\n".join(line for title, part in PARTS for line in _part(title, part)) + "\n" + "\n".join(_fields())


def _part(title: str, part: type[BaseModel]) -> Iterator[str]:
    yield from (f"### {title}", "", "| navn | skal skrives | hvad det er |", "|---|---|---|")
    for name, info in part.model_fields.items():
        if info.description:
            required = "ja" if info.is_required() else ""
            yield f"| `{info.alias or name}` | {required} | {info.description} |"
    yield ""


def _fields() -> Iterator[str]:
    yield from ("## Felterne", "", "Navnet til venstre skrives i `[publish.fields]`.", "")
    for sheet in all_sheet_types():
        yield from (f"### `{sheet.name}`: {sheet.worksheet}", "", "| felt | dansk | skal udfyldes | sådan |")
        yield "|---|---|---|---|"
        for column in sheet.columns:
            required = "udfyldes selv" if column.fills else "ja" if column.required else ""
            yield f"| `{column.key}` | {column.title} | {required} | {column.hint} |"
        yield ""


def reference_with_tables(text: str) -> str:
    """Return docs/connector-file.md with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def schema_bytes() -> bytes:
    """Return the JSON Schema as a file."""
    schema: dict[str, Any] = connector_schema()
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2) + b"\n"


def example_workbook(root: Path = Path()) -> bytes:
    """Return examples/connectors/ordrer.xlsx: the rows of ordrer.csv, below a title as exports often have one."""
    workbook = Workbook()
    workbook.properties.creator, workbook.properties.created = "Kommunebro", FIXED_TIME
    page = workbook.worksheets[0]
    page.title = "Jobordrer 2026"
    page.append(["Udtræk af jobordrer, Jobcenter Struer"])
    page.append([])
    with (root / EXAMPLES / "ordrer.csv").open(encoding="cp1252", newline="") as file:
        for row in csv.reader(file, delimiter=";"):
            page.append([_excel_cell(field) for field in row])
    saved = BytesIO()
    workbook.save(saved)
    return stable(saved.getvalue())


def _excel_cell(field: str) -> int | str | None:
    return int(field) if field.isdigit() else field or None


def main() -> None:
    """Write all, below the working folder or the folder given."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    (root / EXAMPLES / "ordrer.xlsx").write_bytes(example_workbook(root))
    (root / EXAMPLES / SCHEMA_FILE).write_bytes(schema_bytes())
    (root / REFERENCE).write_text(reference_with_tables((root / REFERENCE).read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
