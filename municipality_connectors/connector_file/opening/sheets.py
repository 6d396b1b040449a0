"""Kinds `excel` and `csv`."""

from municipality_connectors.connector_file.model import FilesSource
from municipality_connectors.connector_file.opening.opening import Opened, Opening
from municipality_connectors.mapping.plan import folded_title, is_known_title
from municipality_connectors.sources.sheet_files import SheetFiles, SheetSettings, named_sheets


def open_sheets(source: FilesSource, opening: Opening) -> Opened:
    """Return what opens the sheets."""
    entries = opening.entries
    if source.kind == "csv" and len(entries) > 1:
        opening.fault("En CSV-fil har kun én tabel: lav en forbindelse for hver.", "publish")
    header_rows = {entry.publish.header_row for entry in entries}
    if len(header_rows) > 1:
        opening.fault("header-row skal være den samme for alle ark i filen.", "publish")
    wanted = {folded_title(name) for entry in entries for name in entry.plan.columns}
    by_titles = any(entry.plan.fields is None for entry in entries)
    settings = SheetSettings(
        named_sheets([(entry.plan, entry.publish.worksheet) for entry in entries]),
        opening.fingerprint,
        is_title=is_known_title if by_titles else lambda title: folded_title(title) in wanted,
        header_row=header_rows.pop(),
        write=source.write_ids,
    )
    files = opening.files(source.path)
    return Opened(lambda: SheetFiles(settings, files), files)
