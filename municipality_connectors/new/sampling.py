"""Look at a source: which tables it has, their columns, and some of their rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from municipality_connectors.connector_file.fields import FileFault
from municipality_connectors.connector_file.secret_files import read_secret
from municipality_connectors.new.profiles import Profile
from municipality_connectors.new.proposing import Sample
from municipality_connectors.new.writing import toml_text
from municipality_connectors.sources.document_files import ENDINGS as DOCUMENT_ENDINGS
from municipality_connectors.sources.document_files import parsed
from municipality_connectors.sources.documents import cells_at
from municipality_connectors.sources.folders import Files, files_in
from municipality_connectors.sources.replacing import read_file
from municipality_connectors.sources.sheet_files import SHEET_ENDINGS, open_sheet_file
from municipality_connectors.tables import SheetFile, SourceError

ROWS_LOOKED_AT = 200
HEADER_ROWS_TRIED = 10
HEADER_TITLES_MIN = 2
DEPTH_MAX = 5
PATHS_MAX = 200
_DATABASE_ENDINGS = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True)
class SampledTable:
    """One table of a source. title: as its owner knows it; source, table: the lines of TOML that describe it."""

    title: str
    sample: Sample
    source: tuple[str, ...]
    table: tuple[str, ...]


def sampled(
    where: str, folder: Path, password_file: str | None = None, profile: Profile | None = None
) -> list[SampledTable]:
    """Return the tables of a file, a pattern or a database's address. profile: what is known of the system.

    Raises `SourceError`, `ValueError`, in Danish.
    """
    if "://" in where:
        if where.startswith(("http://", "https://")):
            return [_service(where, profile)]
        return list(_database(where, folder, password_file))
    if Path(where).suffix.lower() in _DATABASE_ENDINGS:
        raise ValueError(f"{where} er en SQLite-database: skriv sqlite:///{where}.")
    path = _first_file(where, folder)
    ending = path.suffix.lower()
    if ending in DOCUMENT_ENDINGS:
        return [_document(path, where)]
    kind = "excel" if ending == ".xlsx" else "csv"
    source = (f'kind = "{kind}"', f"path = {toml_text(where)}")
    return list(_sheets(open_sheet_file(path, lambda title: bool(title.strip())), source))


def _service(url: str, profile: Profile | None) -> SampledTable:
    """Return a service's list as a profile knows it: before we are let in, there is nothing to look at."""
    if profile is None or profile.rest is None:
        raise ValueError("En REST-tjeneste kan ikke ses på forhånd. Begynd med examples/connectors/ordrer-rest.toml.")
    source = ('kind = "rest"', f"url = {toml_text(url)}")
    table = (f"path = {toml_text(profile.rest.path)}",)
    return SampledTable(profile.title, Sample(profile.header(), ()), source, table)


def _first_file(where: str, folder: Path) -> Path:
    files = Files.written(where, folder, 0.0)
    found = next(files_in(files, (*SHEET_ENDINGS, *DOCUMENT_ENDINGS)), None)
    if isinstance(found, SourceError) or found is None:
        raise ValueError(f"Der er ingen fil, der hedder {where}, i {folder}: stien regnes fra forbindelsesfilen.")
    return found


def _sheets(file: SheetFile, source: tuple[str, ...]) -> Iterator[SampledTable]:
    for name in file.worksheet_names():
        row, sample = _with_header(file, name)
        if sample is None:
            continue
        table = [] if name is None else [f"worksheet = {toml_text(name)}"]
        table += [f"header-row = {row}"] if row > 1 else []
        yield SampledTable(name or file.path.name, sample, source, tuple(table))


def _with_header(file: SheetFile, name: str | None) -> tuple[int, Sample | None]:
    """Find the row with the headings: the first with several texts."""
    for row in range(1, HEADER_ROWS_TRIED + 1):
        table = file.worksheet(name, row)
        if sum(bool(title) for title in table.header) >= HEADER_TITLES_MIN:
            rows = tuple(found.cells for found in islice(table.rows, ROWS_LOOKED_AT))
            return row, Sample(table.header, rows)
    return 1, None


def _document(path: Path, where: str) -> SampledTable:
    document = parsed(read_file(path), path.suffix.lower())
    items, found = _items_of(document)
    rows = [found] if isinstance(found, dict) else [item for item in found if isinstance(item, dict)]
    if not rows:
        raise ValueError(f"Der er ingen poster i {path}.")
    header = tuple(dict.fromkeys(name for item in rows[:ROWS_LOOKED_AT] for name in _paths(item)))[:PATHS_MAX]
    sample = Sample(header, tuple(cells_at(item, header) for item in rows[:ROWS_LOOKED_AT]))
    table = () if items is None else (f"items = {toml_text(items)}",)
    return SampledTable(path.name, sample, ('kind = "folder"', f"path = {toml_text(where)}"), table)


def _items_of(document: Any, above: str = "", depth: int = 0) -> tuple[str | None, Any]:
    """Return where a document's items are, and they themselves: the first list of objects."""
    if isinstance(document, list) or depth > DEPTH_MAX:
        return above or None, document
    if isinstance(document, dict):
        for name, value in document.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                return f"{above}.{name}" if above else name, value
        for name, value in document.items():
            if isinstance(value, dict):
                path, found = _items_of(value, f"{above}.{name}" if above else name, depth + 1)
                if isinstance(found, list):
                    return path, found
    return None, document


def _paths(item: dict[str, Any], above: str = "", depth: int = 0) -> Iterator[str]:
    for name, value in item.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, dict) and depth < DEPTH_MAX:
            yield from _paths(value, path, depth + 1)
        elif not (isinstance(value, list) and value and isinstance(value[0], dict | list)):
            yield path


def _database(where: str, folder: Path, password_file: str | None) -> Iterator[SampledTable]:
    from sqlalchemy import inspect  # noqa: PLC0415  # slow to import, and only for databases
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from municipality_connectors.sources import sql, sql_statements  # noqa: PLC0415
    from municipality_connectors.sources.sql_errors import error_of  # noqa: PLC0415
    from municipality_connectors.sources.values import cell_of  # noqa: PLC0415

    faults: list[FileFault] = []
    password = read_secret(folder, None if password_file is None else Path(password_file), (), faults)
    if faults:
        raise ValueError(faults[0].message)
    engine = sql.open_engine(sql.database_url(where, password, folder))
    source = ['kind = "sql"', f"url = {toml_text(where)}"]
    source += [] if password_file is None else [f"password-file = {toml_text(password_file)}"]
    try:
        with sql.connected(engine) as connection:
            looked = inspect(connection)
            for name in (*looked.get_table_names(), *looked.get_view_names()):
                columns = tuple(str(row["name"]) for row in looked.get_columns(name))
                everything = sql_statements.all_rows(sql_statements.From(name, None, None, columns))
                some = connection.execute(everything.limit(ROWS_LOOKED_AT))
                rows = tuple(tuple(map(cell_of, row)) for row in some)
                yield SampledTable(name, Sample(columns, rows), tuple(source), (f"table = {toml_text(name)}",))
    except SQLAlchemyError as error:
        raise error_of(error, where) from None
