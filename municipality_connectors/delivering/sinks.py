"""Where shared things are put: a sheet that stays current, a folder of JSON files, and (`sql_sink.py`) a SQL table.

Each takes things again without harm: what was delivered, but not committed, comes once more after a crash.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

import orjson

from municipality_connectors.delivering.shapes import dfdg_order, job_posting
from municipality_connectors.mapping.codes import PARTICIPANT_ID
from municipality_connectors.mapping.rows import show_row
from municipality_connectors.mapping.sheet_types import SheetType
from municipality_connectors.mapping.withdrawing import is_closed
from municipality_connectors.sheets.writing import csv_table, workbook_table
from municipality_connectors.sources.replacing import lock_reason
from municipality_connectors.state.delivered import Delivered
from municipality_connectors.tables import Cell, SourceError

KEY = ("owner", "subject", "alliance")
"""What tells shared things apart: one that two alliances share comes once from each."""

ENVELOPE = (*KEY, "type", "time", "event")
_NO_FILE_NAME = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


class Sink(Protocol):
    """Somewhere to put things. gathers: whether they are in their place only after `finish`."""

    gathers: bool

    def put(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Put shared events, in their order; durable on return, or on `finish`'s. Raises `SourceError`."""

    def finish(self) -> None:
        """End a run: what was put is in its place. Raises `SourceError`."""


def key_of(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what tells a shared thing apart."""
    return event["owner"], event["subject"], event["alliance"]


class SheetSink:
    """An Excel or CSV file that holds what is shared now: things that have come to their end are not in it."""

    gathers = True

    def __init__(self, path: Path, sheet: SheetType, delivered: Delivered) -> None:
        self._path, self._sheet, self._delivered = path, sheet, delivered

    def put(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep what came."""
        self._delivered.keep(
            (key_of(event), None if is_closed(self._sheet.name, event["data"]) else orjson.dumps(dict(event["data"])))
            for event in events
        )

    def finish(self) -> None:
        """Write the file anew where it is not as it should be, or is not there.

        Raises `SourceError` where it is open elsewhere; then next time.
        """
        if not self._delivered.is_written() or not self._path.exists():
            self._write()

    def _write(self) -> None:
        if self._path.exists() and (reason := lock_reason(self._path)) is not None:
            raise SourceError("locked", reason, place=str(self._path))
        titles = ["Ejer", "Alliance", *(column.title for column in self._sheet.columns)]
        rows: list[list[Cell]] = [
            [PARTICIPANT_ID.show(owner), alliance, *show_row(self._sheet, orjson.loads(data))]
            for (owner, _, alliance), data in self._delivered.all()
        ]
        make = workbook_table if self._path.suffix.lower() == ".xlsx" else csv_table
        replace_bytes(self._path, make(self._sheet.worksheet, titles, rows))
        self._delivered.written()


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "event": dict, "schema.org": job_posting, "dfdg": dfdg_order,
}  # fmt: skip


class FolderSink:
    """A folder with a JSON file for each thing. form: event, schema.org or dfdg."""

    gathers = False

    def __init__(self, folder: Path, form: str, sheet: SheetType) -> None:
        self._folder, self._form, self._sheet = folder, form, sheet

    def put(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write or remove files. Raises `SourceError`."""
        for event in events:
            name = "_".join(key_of(event)).translate(_NO_FILE_NAME)
            path = self._folder / f"{name}.json"
            if is_closed(self._sheet.name, event["data"]):
                _remove(path)
            else:
                replace_bytes(path, orjson.dumps(_FORMS[self._form](event), option=orjson.OPT_INDENT_2) + b"\n")

    def finish(self) -> None:
        """Do nothing more: each file is in its place."""


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        message = f"Filen kan ikke fjernes ({error.strerror}). Luk den i andre programmer, og se, om den må slettes."
        raise SourceError("locked", message, place=str(path)) from None


def replace_bytes(path: Path, content: bytes) -> None:
    """Put a file in its place at once, synced, with the mode of the one before. Raises `SourceError`."""
    beside = path.with_name(f".kommunebro-{token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # No temporary file of the library's: nobody else may read those.
            with beside.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        message = f"Filen kan ikke skrives ({error.strerror}). Er den åben i et andet program, eller er disken fuld?"
        raise SourceError("locked", message, place=str(path)) from None
