"""Company contact (Virksomhedskontakt): Any registered contact with a company.

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


class CompanyContact(TypedDict):
    """Company contact. Any registered contact with a company. Danish: Virksomhedskontakt."""

    contactId: str
    """Contact id. The id in the publisher's system; the event's subject. Danish: Kontakt-id."""
    company: Company
    """Company. The employer. Danish: Virksomhed."""
    occurredAt: str
    """Occurred at. When the contact was. A date alone where no time of day is known. Danish: Tidspunkt."""
    channel: Literal["phone", "email", "digital-post", "video", "office-meeting", "event", "web-form", "other"]
    """Channel. How the contact was made. Danish: Kontaktform. phone: Telefon; email: E-mail; digital-post: Digital
    Post; video: Video; office-meeting: Møde hos os; event: Arrangement/netværk; web-form: Webformular; other:
    Andet.
    """
    initiatedBy: Literal["company", "us", "partner"]
    """Initiated by. Who took the first step. Danish: Taget initiativ af. company: Virksomheden; us: Os; partner:
    Samarbejdspart.
    """
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
    campaign: NotRequired[str]
    """Campaign. The joint effort that the contact was part of. Danish: Kampagne."""
    doNotContactUntil: NotRequired[str]
    """Do not contact until. Until when the company wants to be left alone. Danish: Kontakt ikke før."""
    contactPerson: NotRequired[ContactPerson]
    """Contact person. The person at the company. Personal data. Danish: Kontaktperson."""
    consultant: Consultant
    """Consultant. The public employee in charge. Danish: Konsulent."""
    sharing: Sharing
    """Sharing. How far the publisher lets this go. Danish: Deling."""


class CompanyContactShared(TypedDict):
    """Company contact, shared. Any registered contact with a company. This is the view of a forwarded event: cut to
    what the alliance's agreement shows. Danish: Virksomhedskontakt.
    """

    contactId: str
    company: NotRequired[CompanyShared]
    occurredAt: NotRequired[str]
    channel: NotRequired[Literal[
        "phone",
        "email",
        "digital-post",
        "video",
        "office-meeting",
        "event",
        "web-form",
        "other",
    ]]
    initiatedBy: NotRequired[Literal["company", "us", "partner"]]
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
    campaign: NotRequired[str]
    doNotContactUntil: NotRequired[str]
    contactPerson: NotRequired[ContactPersonShared]
    consultant: NotRequired[ConsultantShared]


class CompanyContactEvent(Published):
    """Company contact: an event that says what it is like now."""

    type: Literal["dk.kommunebro.company-contact"]
    dataschema: Literal["urn:kommunebro:schema:company-contact:1.0"]
    data: CompanyContact


class CompanyContactForwarded(Forwarded):
    """Company contact: an event of it, as an alliance shares it."""

    type: Literal["dk.kommunebro.company-contact"]
    dataschema: Literal["urn:kommunebro:schema:company-contact-shared:1.0"]
    data: CompanyContactShared
