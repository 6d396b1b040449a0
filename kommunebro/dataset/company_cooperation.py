"""Company co-operation (Samarbejde): What co-operation a company has with a municipality.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from kommunebro.dataset.envelope import Forwarded, Published
from kommunebro.dataset.parts import Company, Consultant, Sharing
from kommunebro.dataset.shared_parts import CompanyShared, ConsultantShared


class CompanyCooperation(TypedDict):
    """Company co-operation. What co-operation a company has with a municipality. Danish: Samarbejde."""

    cooperationId: str
    """Co-operation id. The id in the publisher's system; the event's subject. Danish: Samarbejds-id."""
    company: Company
    """Company. The employer. Danish: Virksomhed."""
    forms: list[Literal[
        "ordinary",
        "student-job",
        "apprenticeship",
        "adult-apprenticeship",
        "flex-job",
        "wage-subsidy",
        "disability-wage-subsidy",
        "work-placement",
        "job-rotation",
        "integration-training",
        "partnership-agreement",
        "company-centre",
        "recruitment-agreement",
    ]]
    """Forms. Which kinds of co-operation. Danish: Samarbejdsformer."""
    active: bool
    """Active. Whether the co-operation is going on. Danish: Aktivt."""
    since: NotRequired[str]
    """Since. When it began. Danish: Siden."""
    until: NotRequired[str]
    """Until. When it ends or ended. Danish: Indtil."""
    band: NotRequired[Literal["1-4", "5-9", "10+"]]
    """Band. How many, as a band: never an exact number under five, since one placement in a small firm identifies a
    citizen. Danish: Antal. 1-4: 1-4; 5-9: 5-9; 10+: 10+.
    """
    keyConsultant: Consultant
    """Key consultant. The public employee in charge of the co-operation. Danish: Nøglekonsulent."""
    sharing: Sharing
    """Sharing. How far the publisher lets this go. Danish: Deling."""


class CompanyCooperationShared(TypedDict):
    """Company co-operation, shared. What co-operation a company has with a municipality. This is the view of a
    forwarded event: cut to what the alliance's agreement shows. Danish: Samarbejde.
    """

    cooperationId: str
    company: NotRequired[CompanyShared]
    forms: NotRequired[list[Literal[
        "ordinary",
        "student-job",
        "apprenticeship",
        "adult-apprenticeship",
        "flex-job",
        "wage-subsidy",
        "disability-wage-subsidy",
        "work-placement",
        "job-rotation",
        "integration-training",
        "partnership-agreement",
        "company-centre",
        "recruitment-agreement",
    ]]]
    active: NotRequired[bool]
    since: NotRequired[str]
    until: NotRequired[str]
    band: NotRequired[Literal["1-4", "5-9", "10+"]]
    keyConsultant: NotRequired[ConsultantShared]


class CompanyCooperationEvent(Published):
    """Company co-operation: an event that says what it is like now."""

    type: Literal["dk.kommunebro.company-cooperation"]
    dataschema: Literal["urn:kommunebro:schema:company-cooperation:1.0"]
    data: CompanyCooperation


class CompanyCooperationForwarded(Forwarded):
    """Company co-operation: an event of it, as an alliance shares it."""

    type: Literal["dk.kommunebro.company-cooperation"]
    dataschema: Literal["urn:kommunebro:schema:company-cooperation-shared:1.0"]
    data: CompanyCooperationShared
