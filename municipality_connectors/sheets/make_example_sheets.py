"""Make the example sheets, and the tables in docs/sheets.md: `python -m` with this module's name, or `make sheets`.

What is made depends on nothing but the sheets' declaration, the schemas' labels and `example_things.json`.
"""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from municipality_connectors.mapping.sheet_types import CHANGED_TITLE, SheetType, all_sheet_types
from municipality_connectors.sheets.writing import csv_bytes, workbook_bytes

SHEETS_FOLDER = Path("examples/sheets")
GUIDE = Path("docs/sheets.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def example_things(sheet: SheetType) -> list[dict[str, Any]]:
    """Return the `data` of the example things of one type. Companies and people are invented."""
    parsed: dict[str, list[dict[str, Any]]] = orjson.loads(
        (files("municipality_connectors.sheets") / "example_things.json").read_bytes()
    )
    return parsed[sheet.name]


def sheet_files() -> dict[str, bytes]:
    """Return every example file's content by its name."""
    made = {}
    for sheet in all_sheet_types():
        things = example_things(sheet)
        made[f"{sheet.file_name}.xlsx"] = workbook_bytes(sheet, things)
        made[f"{sheet.file_name}.csv"] = csv_bytes(sheet, things)
        made[f"{sheet.file_name}-utf8.csv"] = csv_bytes(sheet, things, encoding="utf-8-sig")
    return made


def tables() -> str:
    """Return the tables of columns for docs/sheets.md."""
    parts = []
    for sheet in all_sheet_types():
        parts += [
            f"### {sheet.worksheet} (`{sheet.file_name}.xlsx`)",
            "",
            "| kolonne | skal udfyldes | sådan |",
            "|---|---|---|",
        ]
        for column in sheet.columns:
            required = "udfyldes selv" if column.fills else "ja" if column.required else ""
            parts.append(f"| {column.title} | {required} | {column.hint} |")
        parts += [f"| {CHANGED_TITLE} | | Kan tilføjes: dato og klokkeslæt for rækkens seneste ændring. |", ""]
    return "\n".join(parts)


def guide_with_tables(text: str) -> str:
    """Return docs/sheets.md with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def main() -> None:
    """Write all files, below the working folder or the folder given."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    (root / SHEETS_FOLDER).mkdir(parents=True, exist_ok=True)
    for name, content in sheet_files().items():
        (root / SHEETS_FOLDER / name).write_bytes(content)
    if (root / GUIDE).exists():
        (root / GUIDE).write_text(guide_with_tables((root / GUIDE).read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
