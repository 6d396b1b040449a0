"""`connect new`, step by step: look at the source, propose, write the file, and show what it would publish."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import orjson
from rich.console import Console
from rich.markup import escape

from municipality_connectors.connecting import look
from municipality_connectors.connector_file.json_schema import connector_schema
from municipality_connectors.connector_file.loading import ConnectorFileWrong, is_address, load_connector
from municipality_connectors.mapping.cells import CellError, ListOf
from municipality_connectors.mapping.codes import PARTICIPANT_ID
from municipality_connectors.mapping.plan import fitting_sheet
from municipality_connectors.mapping.sheet_types import SheetType, all_sheet_types, sheet_type
from municipality_connectors.new.profiles import hints_of, profile
from municipality_connectors.new.proposing import (
    NO_HINTS,
    PRIVATE,
    Hints,
    ProposedField,
    Sample,
    answered,
    changed_column,
    fitting_type,
    propose,
)
from municipality_connectors.new.sampling import SampledTable, sampled
from municipality_connectors.new.writing import SCHEMA_FILE, About, connector_toml
from municipality_connectors.presentation import Shown
from municipality_connectors.report import BAD_INPUT, DONE, USAGE
from municipality_connectors.tables import SourceError
from schemas.identifiers import SYSTEM, EventName, InvalidIdentifier, Participant
from schemas.registry import Registry

TOKEN_FILE = "token"  # noqa: S105  # a file's name
UNKNOWN = "ved ikke"
ANSWERS_MAX = 3
"""So often a question is asked whose answer cannot be; what it asks for can be written into the file afterwards."""

T = TypeVar("T")
Ask = Callable[[str, str], str]
"""Asks a question, in Danish, with an answer that stands when nothing else is given."""


@dataclass(frozen=True)
class Given:
    """What was given on the command line; None is asked for."""

    source: str | None = None
    participant: str | None = None
    system: str | None = None
    url: str | None = None
    table: str | None = None
    type: str | None = None
    password_file: str | None = None
    profile: str | None = None


def new_connector(path: Path, given: Given, ask: Ask, console: Console | None = None) -> int:
    """Make a connector file; the exit status."""
    console = console or Console(stderr=True)
    if path.exists():
        console.print(escape(f"{path} findes allerede. Slet den, eller vælg et andet navn."))
        return USAGE
    folder = path.resolve().parent
    where = given.source or ""
    try:
        known = None if given.profile is None else profile(given.profile)
        where = where or ask("Hvor er jeres data? En fil, flere (eksport/*.csv) eller en databases adresse", "")
        tables = sampled(where, folder, given.password_file, known)
        table = _chosen(tables, given.table, ask)
        sheet = _typed(table, given.type or (None if known is None else known.type), ask)
        participant = _asked(given.participant, ask, "Hvem er I? Kommunens navn eller 4-cifrede kode", "", _participant)
    except ValueError as error:
        console.print(escape(str(error)))
        return USAGE
    except SourceError as error:
        console.print(escape(f"{error.place or where}: {error.message}"))
        return BAD_INPUT
    usual = "regneark" if known is None else known.system
    try:
        system = _asked(given.system, ask, "Hvad hedder systemet?", usual, _system)
        url = _asked(given.url, ask, "Hvor er gatewayen?", "http://127.0.0.1:8080", _url)
    except ValueError as error:
        console.print(escape(str(error)))
        return USAGE
    token = TOKEN_FILE if (folder / TOKEN_FILE).exists() else None
    notes = () if known is None else known.notes()
    name = path.stem.lower().replace("_", "-")
    about = About(name, participant, system, url, token, table.source, table.table, notes)
    # A sheet with our own titles says by itself what its columns are.
    ours = fitting_sheet(table.sample.header) == sheet
    hints = NO_HINTS if known is None else hints_of(known)
    proposed = [] if ours else propose(sheet, table.sample, participant, hints)
    fields = [_with_codes(_filled_in(field, table.sample, hints, ask), ask) for field in proposed]
    path.write_text(connector_toml(about, sheet, fields, changed_column(table.sample)), "utf-8")
    (folder / SCHEMA_FILE).write_bytes(orjson.dumps(connector_schema(), option=orjson.OPT_INDENT_2) + b"\n")
    for note in notes:
        console.print(escape(note), highlight=False)
    _tell(console, path, fields)
    used = {field.column for field in fields}
    unused = [name for name in table.sample.header if name and name not in used]
    if fields and unused:
        console.print(escape(f"Disse kolonner bruges ikke: {', '.join(unused)}."), highlight=False)
    return _try(path, console)


def _asked(given: str | None, ask: Ask, question: str, usual: str, read: Callable[[str], str]) -> str:
    """Return what was given, or asked for until it can be. Raises `ValueError`, in Danish."""
    return _answer(ask, question, usual, read) if given is None else read(given)


def _answer(ask: Ask, question: str, usual: str, read: Callable[[str], T]) -> T:
    """Ask, and again with what was wrong, so often that it helps. Raises what `read` raises of the last answer."""
    wrong = ""
    for _ in range(ANSWERS_MAX - 1):
        try:
            return read(ask(f"{wrong}{question}", usual))
        except (ValueError, CellError) as error:
            wrong = f"{error}\n"
    return read(ask(f"{wrong}{question}", usual))


def _participant(written: str) -> Participant:
    try:
        return Participant(PARTICIPANT_ID.parse(written.zfill(4) if written.isdigit() else written))
    except (CellError, InvalidIdentifier):
        raise ValueError(f"{written} er ingen deltager. Skriv kommunens 4-cifrede kode eller navn, fx 0671.") from None


def _system(written: str) -> str:
    if SYSTEM.fullmatch(written):
        return written
    raise ValueError(f"{written}: systemets navn må kun have A-Z, a-z, 0-9, punktum, bindestreg og understreg.")


def _url(written: str) -> str:
    if is_address(written):
        return written
    raise ValueError(f"{written} er ikke en adresse. Skriv den som https://gateway.example uden sti efter.")


def _chosen(tables: Sequence[SampledTable], name: str | None, ask: Ask) -> SampledTable:
    if not tables:
        raise ValueError("Der er ingen tabel med overskrifter i kilden.")
    by_name = {table.title.casefold(): table for table in tables}
    if name is None:
        best = max(tables, key=_proposable)
        if len(tables) == 1:
            return best
        name = ask(f"Hvilken tabel eller fane? {', '.join(table.title for table in tables)}", best.title)
    if name.casefold() not in by_name:
        raise ValueError(f"Kilden har ikke {name}; den har {', '.join(table.title for table in tables)}.")
    return by_name[name.casefold()]


def _proposable(table: SampledTable) -> int:
    """Return for how many fields a table has a column."""
    return sum(field.column is not None for field in propose(fitting_type(table.sample), table.sample, ""))


def _typed(table: SampledTable, name: str | None, ask: Ask) -> SheetType:
    best = fitting_type(table.sample)
    known = ", ".join(f"{sheet.name} ({sheet.worksheet})" for sheet in all_sheet_types())
    return sheet_type(EventName(_asked(name, ask, f"Hvad er rækkerne? {known}", str(best.name), _event_name)))


def _event_name(written: str) -> str:
    try:
        return EventName(written)
    except ValueError:
        raise ValueError(f"{written} kendes ikke. Skriv en af: {', '.join(EventName)}.") from None


def _filled_in(field: ProposedField, sample: Sample, hints: Hints, ask: Ask) -> ProposedField:
    """Ask for a field that every row must have, and for which no column was found."""
    if not field.missing:
        return field
    columns = ", ".join(name for name in sample.header if name and not PRIVATE.search(name))
    meant = f" ({field.remark})" if field.remark else ""
    question = f"Hvor står »{field.target.title}«?{meant} Skriv kolonnen ({columns}), eller = og det, der altid gælder"

    def read(answer: str) -> ProposedField:
        return field if answer == UNKNOWN else answered(field, answer, sample, hints)

    try:
        return _answer(ask, question, UNKNOWN, read)
    except ValueError:
        return field


def _with_codes(field: ProposedField, ask: Ask) -> ProposedField:
    """Ask what their values mean where their words do not say it."""
    kind = field.target.kind
    choice = kind.item if isinstance(kind, ListOf) else kind
    codes = dict(field.codes)

    def read(answer: str) -> str | None:
        return None if answer == UNKNOWN else choice.parse(answer)

    for theirs in [theirs for theirs, ours in codes.items() if ours is None]:
        question = f"Hvad betyder »{theirs}« i kolonnen »{field.column}«? {', '.join(choice.choices)}"
        with suppress(CellError):
            codes[theirs] = _answer(ask, question, UNKNOWN, read)
    return replace(field, codes=codes)


def _tell(console: Console, path: Path, fields: Sequence[ProposedField]) -> None:
    console.print(escape(f"{path} er skrevet. Sådan er felterne foreslået:"))
    for field in fields:
        if field.missing:
            said = "SKAL UDFYLDES"
        elif field.value is not None:
            said = f"fast værdi {field.value}"
        else:
            unknown = [theirs for theirs, ours in field.codes.items() if ours is None]
            asked = f"; SKAL UDFYLDES: hvad betyder {', '.join(unknown)}?" if unknown else ""
            said = f"kolonnen »{field.column}«{asked}"
        console.print(escape(f"  {field.target.title}: {said}"), highlight=False)


def _try(path: Path, console: Console) -> int:
    """Show the first rows as they would be published, or what has to be filled in first."""
    try:
        connector = load_connector(path)
    except ConnectorFileWrong as error:
        for fault in error.faults:
            console.print(escape(f"  {fault.where}: {fault.message}"))
        console.print(escape(f"Ret {path}, og prøv så: kommunebro connect {path} --dry-run"))
        return DONE
    with Shown(console=console) as shown:
        report = look(connector, registry=Registry.load(), on_progress=shown.progress)
        shown.looked(report)
    if report.refusals:
        console.print(escape(f"Ret {path} eller rækkerne, og prøv så: kommunebro connect {path} --dry-run"))
    else:
        console.print(escape(f"Er det rigtigt, så send det: kommunebro connect {path} --once"))
    return DONE


def prompt(question: str, default: str) -> str:
    """Ask on the terminal. Raises `ValueError` where there is none to ask on."""
    if not sys.stdin.isatty():
        if default:
            return default
        raise ValueError(f"{question}: angiv det på kommandolinjen; her er ingen at spørge.")
    while True:
        answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        if answer:
            return answer
