"""What the dataset says to a row, and what the gateway says to an event, in its owner's words."""

from typing import Any

from municipality_connectors.mapping.rows import Fault, column_at
from municipality_connectors.mapping.sheet_types import SheetType
from municipality_connectors.tables import quoted
from schemas import danish
from schemas.event import Event, InvalidEvent, Violation
from schemas.identifiers import ID_PROPERTIES, SUBJECT
from schemas.registry import Registry
from schemas.tree import join

_TIME = "2000-01-01T00:00:00Z"
"""Any time: a row's event gets its own later, and no rule for `data` asks for it."""

_PROBLEMS = {
    "another-source": "Hændelsens »source« hører til en anden deltager end den, tokenet er udstedt til.",
    "body-too-large": "Rækken fylder mere, end gatewayen tager imod. Forkort teksterne.",
    "citizen-number": "En tekst ligner et CPR-nummer. Slet det; oplysninger om borgere må aldrig sendes.",
    "conflict": "En anden hændelse med samme id er allerede registreret. En ny tilstand er en ny hændelse med nyt id.",
    "not-an-event": "Det er ikke en hændelse, som vi kender.",
    "schema-violation": "Oplysningerne passer ikke til skemaet.",
    "time-in-future": "Tidspunktet ligger i fremtiden. Ret kolonnen »Ændret«, eller stil maskinens ur.",
    "unknown-schema": "Gatewayen kender ikke denne version af skemaet. Bed driften om at opdatere den.",
    "unreadable": "Linjen er ikke gyldig JSON.",
}


def check_row(registry: Registry, participant: str, sheet: SheetType, data: dict[str, Any]) -> list[Fault]:
    """Return what the dataset finds wrong with a row's `data`."""
    subject = data[ID_PROPERTIES[sheet.name]]
    # An event is only made of a row that is not right, to be told why: its envelope is ours.
    if registry.takes(sheet.dataschema, data) and SUBJECT.fullmatch(subject):
        return []
    attributes = {
        "specversion": "1.0",
        "id": "1",
        "source": f"urn:kommunebro:{participant}:x",
        "type": sheet.name.type,
        "subject": subject,
        "time": _TIME,
        "dataschema": sheet.dataschema,
        "data": data,
    }
    try:
        registry.check(Event(attributes))
    except InvalidEvent as error:
        return faults_of(sheet, error.problem, error.violations)
    return []


def faults_of(sheet: SheetType, problem: str, violations: tuple[Violation, ...]) -> list[Fault]:
    """Return violations by the columns of a sheet; one for the whole row where none says where."""
    if not violations:
        return [Fault(None, problem_in_danish(problem), problem)]
    faults = []
    for violation in violations:
        pointer = violation.pointer
        if violation.rule == "required":
            pointer = join(pointer, str(violation.expected))
        column = column_at(sheet, pointer.removeprefix("/data"))
        message = explained(violation, sheet.name)
        kind = "citizen-number" if violation.rule == "cpr" else problem
        faults.append(Fault(column.title if column else None, message, kind, violation.pointer))
    return faults


def explained(violation: Violation, name: str) -> str:
    """Return a violation in Danish; in its own words where it is of an unknown type, or told by a newer gateway."""
    try:
        return danish.explain(violation, name)
    except (LookupError, TypeError, ValueError):
        where = f"{violation.pointer}: " if violation.pointer else ""
        return f"{where}{violation.detail or 'ikke rigtigt udfyldt'}"


def violations_of(problem: dict[str, Any]) -> tuple[Violation, ...]:
    """Return the violations that a gateway's problem details list."""
    return tuple(
        Violation(str(row.get("pointer", "")), str(row.get("rule", "")), str(row.get("detail", "")))
        for row in problem.get("errors", ())
        if isinstance(row, dict)
    )


def problem_in_danish(problem: str, detail: str = "") -> str:
    """Return what a problem type means, for people; one that is not known by its detail."""
    return _PROBLEMS.get(problem) or f"Gatewayen afviste rækken: {quoted(detail or problem)}."
