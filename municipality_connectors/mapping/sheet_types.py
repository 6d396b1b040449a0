"""Our sheets, declared: one table of columns for each type of event. A new column is one line here.

A column's title is the Danish label that its property has in the schema, unless a title stands here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from typing import Any

from municipality_connectors.mapping.cells import (
    CHOICE,
    CHOICES,
    DATE,
    DATE_AND_TIME,
    DATE_MAYBE_TIME,
    IDENTIFIER,
    INTEGER,
    NUMBER,
    REFERENCE,
    REFERENCES,
    TEXT,
    TEXTS,
    YES_NO,
    Kind,
)
from municipality_connectors.mapping.codes import (
    ALLIANCES,
    CVR,
    EXTERNAL_IDS,
    INDUSTRY_CODES,
    MUNICIPALITY,
    OCCUPATION_CODES,
    P_NUMBER,
    PARTICIPANT_ID,
    PARTICIPANTS,
    POSTCODE,
    Expectations,
)
from schemas import labels
from schemas.identifiers import ID_PROPERTIES, EventName

ID_TITLE = "Id"
CHANGED_TITLE = "Ændret"
"""The optional column that says when a row was changed; it becomes the event's `time`."""

VERSIONS: Mapping[EventName, str] = dict.fromkeys(EventName, "1.0")
"""The version of each schema that the columns below are for."""

Siblings = Mapping[str, Any]


class Fill(Enum):
    """What a column that fills itself is filled with."""

    ID = "a new id"
    NOW = "the time when it was noticed"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. pointer: where in an event's `data` its value goes (`/a/b`; `/a/-` adds to a list).

    path: the pointer's steps, without the `-`; above, leaf: all but the last of them, and that. required: a blank cell
    is refused, unless the property at `unless` has a value. fills: what is written into a blank cell. when_blank: what
    a blank cell means once another property beside it has a value. advice: in Danish, added to the kind's hint. name:
    tells columns that add to the same list apart.
    """

    pointer: str
    kind: Kind = TEXT
    required: bool = False
    title: str = ""
    advice: str = ""
    unless: str = ""
    fills: Fill | None = None
    when_blank: Callable[[Siblings], Any] | None = None
    wide: bool = False
    name: str = ""
    path: tuple[str, ...] = field(init=False, repr=False)
    above: tuple[str, ...] = field(init=False, repr=False)
    leaf: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        path = tuple(step for step in self.pointer.split("/")[1:] if step != "-")
        for name, value in (("path", path), ("above", path[:-1]), ("leaf", path[-1])):
            object.__setattr__(self, name, value)

    @property
    def key(self) -> str:
        """The column's name in a connector file: its path with dots, and what tells it from others of the same path."""
        return ".".join([*self.path, *([self.name] if self.name else [])])

    @property
    def hint(self) -> str:
        """How to fill the column in, in Danish."""
        return " ".join(filter(None, (self.advice, self.kind.hint)))


@dataclass(frozen=True)
class SheetType:
    """The sheet for one type of event. worksheet: its name; file_name: that of files like it, without ending."""

    name: EventName
    worksheet: str
    file_name: str
    id_prefix: str
    columns: tuple[Column, ...]
    by_pointer: Mapping[str, Column] = field(init=False, repr=False)
    required: tuple[Column, ...] = field(init=False, repr=False)
    meaning_when_blank: tuple[Column, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns = self.columns
        object.__setattr__(self, "by_pointer", {"/" + "/".join(column.path): column for column in columns})
        object.__setattr__(self, "required", tuple(column for column in columns if column.required))
        blanks = tuple(column for column in columns if column.when_blank is not None)
        object.__setattr__(self, "meaning_when_blank", blanks)

    @property
    def dataschema(self) -> str:
        """The `dataschema` of the events that the sheet's rows become."""
        return f"urn:kommunebro:schema:{self.name}:{VERSIONS[self.name]}"


def _company(*, required_advice: str = "") -> tuple[Column, ...]:
    return (
        Column("/company/name", required=True, wide=True, advice=required_advice),
        Column(
            "/company/cvr",
            CVR,
            required=True,
            unless="/company/foreignId",
            advice="Udfyldes, medmindre virksomheden er udenlandsk.",
        ),
        Column("/company/pNumber", P_NUMBER),
        Column("/company/municipality", MUNICIPALITY, advice="Hvor produktionsenheden ligger."),
        Column("/company/postcode", POSTCODE),
        Column("/company/industryCodes", INDUSTRY_CODES),
        Column("/company/sizeBand", CHOICE),
        Column("/company/soleTrader", YES_NO, advice="Ved Ja er virksomhedens navn en personoplysning."),
        Column("/company/foreignId/country", title="Udenlandsk virksomhed, land", advice="Landekode, fx DE."),
        Column("/company/foreignId/id", title="Udenlandsk virksomhed, nummer"),
    )


_CONTACT_PERSON = (
    Column("/contactPerson/name", advice="Personen i virksomheden. Personoplysning."),
    Column("/contactPerson/role", advice="Fx produktionschef."),
    Column("/contactPerson/phone"),
    Column("/contactPerson/email", wide=True),
)


def _consultant(parent: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{parent}/name", required=True, advice="Virksomhedens ene kontakt hos os. Deles, så partnere kan ringe."
        ),
        Column(f"{parent}/unit", required=True, advice="Fx Jobcenter Struer."),
        Column(f"{parent}/phone", required=True),
        Column(f"{parent}/email", wide=True),
    )


_SHARING = (
    Column("/sharing/scope", CHOICE, required=True, advice="Hvor langt oplysningerne må gå."),
    Column("/sharing/alliances", ALLIANCES, advice="Tom: alle, som »Deles med« tillader."),
)

_FOLLOW_UP = (
    Column("/followUp/date", DATE),
    Column("/followUp/action", advice="Hvad der skal ske."),
    Column("/followUp/done", YES_NO, advice="Tom betyder Nej.", when_blank=lambda _: False),
)

_OUTLOOK = (
    Column("/outlook/-", Expectations(3), title="Behov om 3 måneder", wide=True, name="in3Months"),
    Column("/outlook/-", Expectations(12), title="Behov om 12 måneder", wide=True, name="in12Months"),
)


def _job_order() -> tuple[Column, ...]:
    return (
        Column("/status", CHOICE, required=True),
        *_company(),
        Column("/title", required=True, wide=True, advice="Højst 100 tegn."),
        Column("/occupation/label", required=True),
        Column("/occupation/codes", OCCUPATION_CODES),
        Column("/positions", INTEGER, required=True),
        Column("/positionsFilled", INTEGER),
        Column("/candidatesWanted", INTEGER),
        Column("/employmentTypes", CHOICES, required=True),
        Column("/startWith", CHOICES),
        Column("/duration", CHOICE),
        Column("/hoursPerWeek/min", NUMBER, when_blank=lambda hours: hours.get("max")),
        Column(
            "/hoursPerWeek/max", NUMBER, advice="Tom: det samme som mindst.", when_blank=lambda hours: hours.get("min")
        ),
        Column("/workingTime", CHOICES),
        Column("/startDate", DATE),
        Column("/startAsap", YES_NO),
        Column("/applicationDeadline", DATE),
        Column("/answerBy", DATE, advice="Hvornår partnerne helst skal have svaret."),
        Column("/workplace/municipality", MUNICIPALITY, required=True),
        Column("/workplace/postcode", POSTCODE),
        Column("/workplace/city"),
        Column("/requirements", TEXTS, wide=True),
        Column("/certificates", TEXTS),
        Column("/drivingLicence", TEXTS),
        Column("/languages", TEXTS),
        Column("/description", wide=True, advice="Højst 5.000 tegn. Aldrig CPR-numre eller oplysninger om borgere."),
        Column("/applyVia", CHOICE, required=True),
        *_CONTACT_PERSON,
        *_consultant("/consultant"),
        Column("/employerAgreed", CHOICE, required=True, advice="Hvad virksomheden har sagt ja til."),
        Column("/agreedAt", DATE_MAYBE_TIME, advice="Deles aldrig."),
        *_SHARING,
        Column("/externalIds", EXTERNAL_IDS),
        Column(
            "/registeredAt",
            DATE_AND_TIME,
            required=True,
            fills=Fill.NOW,
            advice="Udfyldes selv med tidspunktet nu, når den er tom.",
        ),
    )


def _contact() -> tuple[Column, ...]:
    return (
        Column("/occurredAt", DATE_MAYBE_TIME, required=True),
        *_company(),
        Column("/channel", CHOICE, required=True),
        Column("/initiatedBy", CHOICE, required=True),
        Column("/purposes", CHOICES, required=True),
        Column("/outcomes", CHOICES),
        Column("/agreed", wide=True, advice="Hvad der er aftalt med virksomheden. Personoplysning. Aldrig CPR-numre."),
        *_FOLLOW_UP,
        *_OUTLOOK,
        Column("/relatedJobOrders", REFERENCES, advice="Id på vores egne jobordrer."),
        Column("/campaign"),
        Column("/doNotContactUntil", DATE),
        *_CONTACT_PERSON,
        *_consultant("/consultant"),
        *_SHARING,
    )


def _visit() -> tuple[Column, ...]:
    return (
        Column("/status", CHOICE, required=True),
        Column("/start", DATE_AND_TIME, required=True),
        Column("/end", DATE_AND_TIME),
        *_company(),
        Column("/purposes", CHOICES, required=True),
        Column("/cancelReason", CHOICE, advice="Kun når besøget er aflyst."),
        Column("/with", PARTICIPANTS, advice="Deltagere, der kommer med."),
        Column("/outcomes", CHOICES),
        Column("/agreed", wide=True, advice="Hvad der er aftalt med virksomheden. Personoplysning. Aldrig CPR-numre."),
        *_FOLLOW_UP,
        *_OUTLOOK,
        Column("/relatedJobOrders", REFERENCES, advice="Id på vores egne jobordrer."),
        *_CONTACT_PERSON,
        *_consultant("/consultant"),
        *_SHARING,
    )


def _cooperation() -> tuple[Column, ...]:
    return (
        *_company(),
        Column("/forms", CHOICES, required=True),
        Column("/active", YES_NO, required=True),
        Column("/since", DATE),
        Column("/until", DATE),
        Column("/band", CHOICE, advice="Aldrig et nøjagtigt tal under fem."),
        *_consultant("/keyConsultant"),
        *_SHARING,
    )


def _response() -> tuple[Column, ...]:
    return (
        Column("/jobOrderOwner", PARTICIPANT_ID, required=True, advice="Hvis jobordre der svares på."),
        Column("/jobOrderId", REFERENCE, required=True),
        Column("/via", ALLIANCES, required=True, advice="Alliancerne, som vi så ordren i."),
        Column("/kind", CHOICE, required=True),
        Column("/candidateCount", INTEGER, advice="Et antal, aldrig navne."),
        Column("/positions", INTEGER),
        Column("/until", DATE),
        Column("/reason", CHOICE),
        Column("/handover", CHOICE, advice="Hvordan papirerne kommer frem; de sendes aldrig her."),
        Column("/message", wide=True, advice="Aldrig navne på borgere eller CPR-numre."),
        *_consultant("/consultant"),
    )


_DECLARED: Mapping[EventName, tuple[str, str, str, Callable[[], tuple[Column, ...]]]] = {
    EventName.JOB_ORDER: ("Jobordrer", "jobordrer", "JO", _job_order),
    EventName.COMPANY_CONTACT: ("Virksomhedskontakter", "virksomhedskontakter", "VK", _contact),
    EventName.VISIT: ("Virksomhedsbesøg", "virksomhedsbesoeg", "VB", _visit),
    EventName.COMPANY_COOPERATION: ("Samarbejder", "samarbejder", "SA", _cooperation),
    EventName.JOB_ORDER_RESPONSE: ("Svar", "svar", "SV", _response),
}


@lru_cache(maxsize=len(EventName))
def sheet_type(name: EventName) -> SheetType:
    """Return the sheet for one type of event, its titles and lists of values looked up in the schema."""
    worksheet, file_name, prefix, declared = _DECLARED[name]
    columns = (Column(f"/{ID_PROPERTIES[name]}", IDENTIFIER, required=True, title=ID_TITLE, fills=Fill.ID), *declared())
    return SheetType(name, worksheet, file_name, prefix, tuple(_bound(name, column) for column in columns))


def all_sheet_types() -> tuple[SheetType, ...]:
    """Return every sheet, in the order of the dataset's page."""
    return tuple(map(sheet_type, EventName))


def _bound(name: EventName, column: Column) -> Column:
    pointer = "/" + "/".join(column.path)
    title = column.title or labels.label(name, pointer)
    return replace(column, kind=column.kind.bound(name, pointer), title=title)
