"""Visit (Virksomhedsbesøg): A planned or held meeting at a company. A held visit counts as a contact and is not
registered twice.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from kommunebro.dataset.envelope import Forwarded, Published
from kommunebro.dataset.parts import Company, Consultant, ContactPerson, FollowUp, Outlook, Sharing
from kommunebro.dataset.shared_parts import (
    CompanyShared,
    ConsultantShared,
    ContactPersonShared,
    FollowUpShared,
    OutlookShared,
)

VisitStatus = Literal["planned", "held", "cancelled", "not-met"]


_VisitReserved = TypedDict("_VisitReserved", {"with": list[str]}, total=False)


class Visit(_VisitReserved):
    """Visit. A planned or held meeting at a company. A held visit counts as a contact and is not registered twice.
    Danish: Virksomhedsbesøg.
    """

    visitId: str
    """Visit id. The id in the publisher's system; the event's subject. Danish: Besøgs-id."""
    status: Literal["planned", "held", "cancelled", "not-met"]
    """Status. Where the visit stands. Danish: Status. planned: Planlagt; held: Afholdt; cancelled: Aflyst; not-met:
    Forgæves.
    """
    cancelReason: NotRequired[Literal["company", "us", "merged-with-partner"]]
    """Reason for cancelling. Who or what cancelled the visit. Danish: Aflyst af. company: Virksomheden; us: Os;
    merged-with-partner: Samlet med partner.
    """
    company: Company
    """Company. The employer. Danish: Virksomhed."""
    start: str
    """Start. When the visit begins. Danish: Start."""
    end: NotRequired[str]
    """End. When the visit ends. Danish: Slut."""
    purposes: list[Literal[
        "recruitment",
        "job-order-follow-up",
        "placement-opening",
        "placement-follow-up",
        "flex-job",
        "apprenticeship",
        "job-rotation",
        "integration-training",
        "upskilling",
        "retention",
        "partnership",
        "outlook",
        "information",
        "international-recruitment",
        "layoffs",
        "business-service",
        "other",
    ]]
    """Purposes. What it was about. Danish: Formål."""
    outcomes: NotRequired[list[Literal[
        "job-order",
        "opening",
        "visit-agreed",
        "agreement",
        "upskilling-agreed",
        "call-back",
        "information-given",
        "referred-on",
        "no-need-now",
        "no-answer",
        "declined",
    ]]]
    """Outcomes. What came of it. Danish: Resultat."""
    agreed: NotRequired[str]
    """Agreed. What was agreed with the company. Personal data. Danish: Aftalt med virksomheden."""
    followUp: NotRequired[FollowUp]
    """Follow-up. What is to be done next. Danish: Opfølgning."""
    outlook: NotRequired[list[Outlook]]
    """Outlook. The Jobbarometer: what the company expects to need, by occupation. Shared as aggregates of at least
    five companies unless the agreement says more. Danish: Jobbarometer.
    """
    relatedJobOrders: NotRequired[list[str]]
    """Related job orders. The ids of our own job orders that it was about. Danish: Jobordrer."""
    contactPerson: NotRequired[ContactPerson]
    """Contact person. The person at the company. Personal data. Danish: Kontaktperson."""
    consultant: Consultant
    """Consultant. The public employee in charge. Danish: Konsulent."""
    sharing: Sharing
    """Sharing. How far the publisher lets this go. Danish: Deling."""


_VisitSharedReserved = TypedDict("_VisitSharedReserved", {"with": list[str]}, total=False)


class VisitShared(_VisitSharedReserved):
    """Visit, shared. A planned or held meeting at a company. A held visit counts as a contact and is not registered
    twice. This is the view of a forwarded event: cut to what the alliance's agreement shows. Danish:
    Virksomhedsbesøg.
    """

    visitId: str
    status: Literal["planned", "held", "cancelled", "not-met"]
    cancelReason: NotRequired[Literal["company", "us", "merged-with-partner"]]
    company: NotRequired[CompanyShared]
    start: NotRequired[str]
    end: NotRequired[str]
    purposes: NotRequired[list[Literal[
        "recruitment",
        "job-order-follow-up",
        "placement-opening",
        "placement-follow-up",
        "flex-job",
        "apprenticeship",
        "job-rotation",
        "integration-training",
        "upskilling",
        "retention",
        "partnership",
        "outlook",
        "information",
        "international-recruitment",
        "layoffs",
        "business-service",
        "other",
    ]]]
    outcomes: NotRequired[list[Literal[
        "job-order",
        "opening",
        "visit-agreed",
        "agreement",
        "upskilling-agreed",
        "call-back",
        "information-given",
        "referred-on",
        "no-need-now",
        "no-answer",
        "declined",
    ]]]
    agreed: NotRequired[str]
    followUp: NotRequired[FollowUpShared]
    outlook: NotRequired[list[OutlookShared]]
    relatedJobOrders: NotRequired[list[str]]
    contactPerson: NotRequired[ContactPersonShared]
    consultant: NotRequired[ConsultantShared]


class VisitEvent(Published):
    """Visit: an event that says what it is like now."""

    type: Literal["dk.kommunebro.visit"]
    dataschema: Literal["urn:kommunebro:schema:visit:1.0"]
    data: Visit


class VisitForwarded(Forwarded):
    """Visit: an event of it, as an alliance shares it."""

    type: Literal["dk.kommunebro.visit"]
    dataschema: Literal["urn:kommunebro:schema:visit-shared:1.0"]
    data: VisitShared
