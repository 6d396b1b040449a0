"""Job order (Jobordre): An employer's request for staff, registered by one participant, its owner. The owner keeps
the contact with the employer.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from kommunebro.dataset.envelope import Forwarded, Published
from kommunebro.dataset.parts import (
    Company,
    Consultant,
    ContactPerson,
    ExternalId,
    HoursPerWeek,
    Occupation,
    Sharing,
    Workplace,
)
from kommunebro.dataset.shared_parts import (
    CompanyShared,
    ConsultantShared,
    ContactPersonShared,
    ExternalIdShared,
    HoursPerWeekShared,
    OccupationShared,
    WorkplaceShared,
)

JobOrderStatus = Literal["open", "enough-candidates", "paused", "filled", "expired", "withdrawn"]


class JobOrder(TypedDict):
    """Job order. An employer's request for staff, registered by one participant, its owner. The owner keeps the
    contact with the employer. Danish: Jobordre.
    """

    jobOrderId: str
    """Job order id. The id in the publisher's system; the event's subject. Danish: Jobordre-id."""
    status: Literal["open", "enough-candidates", "paused", "filled", "expired", "withdrawn"]
    """Status. Where the job order stands. Danish: Status. open: Åben; enough-candidates: Nok kandidater; paused: I
    bero; filled: Besat; expired: Frist udløbet; withdrawn: Tilbagekaldt.
    """
    company: Company
    """Company. The employer. Danish: Virksomhed."""
    title: str
    """Title. What the job is called. Danish: Titel."""
    occupation: Occupation
    """Occupation. What the employee is to work as. Danish: Stilling."""
    positions: int
    """Positions. How many are to be hired. Danish: Antal stillinger."""
    positionsFilled: NotRequired[int]
    """Positions filled. How many have been hired so far. Danish: Antal besatte stillinger."""
    candidatesWanted: NotRequired[int]
    """Candidates wanted. How many candidates the employer wants to choose among. Danish: Ønsket antal kandidater."""
    employmentTypes: list[Literal[
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
    ]]
    """Employment types. How the employer is willing to employ. Danish: Ansættelsestyper."""
    startWith: NotRequired[list[Literal[
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
    ]]]
    """Start with. How the employment may begin. Danish: Kan begynde med."""
    duration: NotRequired[Literal["permanent", "fixed-term", "seasonal", "on-call"]]
    """Duration. For how long. Danish: Varighed. permanent: Fast; fixed-term: Tidsbegrænset; seasonal: Sæson;
    on-call: Tilkald.
    """
    hoursPerWeek: NotRequired[HoursPerWeek]
    """Hours a week. The fewest and the most hours a week. Danish: Timer om ugen."""
    workingTime: NotRequired[list[Literal["day", "evening", "night", "weekend", "shift"]]]
    """Working time. When the work is done. Danish: Arbejdstid."""
    startDate: NotRequired[str]
    """Start date. The first day at work. Danish: Startdato."""
    startAsap: NotRequired[bool]
    """Start as soon as possible. Whether the work begins as soon as somebody is found. Danish: Start snarest."""
    applicationDeadline: NotRequired[str]
    """Application deadline. The last day to apply. Danish: Ansøgningsfrist."""
    answerBy: NotRequired[str]
    """Answer by. When partners should have answered. Danish: Svar ønskes senest."""
    workplace: Workplace
    """Workplace. Where the work is done. Danish: Arbejdssted."""
    requirements: NotRequired[list[str]]
    """Requirements. What the employer asks for. Danish: Krav."""
    certificates: NotRequired[list[str]]
    """Certificates. Which certificates are needed. Danish: Certifikater."""
    drivingLicence: NotRequired[list[str]]
    """Driving licence. Which categories of driving licence are needed. Danish: Kørekort."""
    languages: NotRequired[list[str]]
    """Languages. Which languages are needed. Danish: Sprog."""
    description: NotRequired[str]
    """Description. The job in the employer's words. Danish: Beskrivelse."""
    applyVia: Literal["consultant", "direct"]
    """Apply via. Which way candidates go. The contact person is shared only when it is direct. Danish: Ansøgning.
    consultant: Gennem jobcentret; direct: Direkte til virksomheden.
    """
    contactPerson: NotRequired[ContactPerson]
    """Contact person. The person at the company. Personal data. Danish: Kontaktperson."""
    consultant: Consultant
    """Consultant. The company's one contact on our side. Danish: Konsulent."""
    employerAgreed: Literal["no", "anonymous", "named"]
    """Employer agreed. What the employer agreed to: no, nothing leaves; anonymous, without what could reveal the
    company; named, with its name. Danish: Virksomhedens samtykke til deling. no: Må ikke deles; anonymous: Uden
    navn; named: Med navn.
    """
    agreedAt: NotRequired[str]
    """Agreed at. When the employer agreed. Never shared. A date alone where no time of day is known. Danish:
    Samtykke givet.
    """
    sharing: Sharing
    """Sharing. How far the publisher lets this go. Danish: Deling."""
    externalIds: NotRequired[list[ExternalId]]
    """External ids. The same job order's ids elsewhere, so that one known from DFDG is not seen twice. Danish: Id i
    andre systemer.
    """
    registeredAt: str
    """Registered at. When the job order was registered in the publisher's system. Danish: Registreret."""


class JobOrderShared(TypedDict):
    """Job order, shared. An employer's request for staff, registered by one participant, its owner. The owner keeps
    the contact with the employer. This is the view of a forwarded event: cut to what the alliance's agreement
    shows. Danish: Jobordre.
    """

    jobOrderId: str
    status: Literal["open", "enough-candidates", "paused", "filled", "expired", "withdrawn"]
    company: NotRequired[CompanyShared]
    title: NotRequired[str]
    occupation: NotRequired[OccupationShared]
    positions: NotRequired[int]
    positionsFilled: NotRequired[int]
    candidatesWanted: NotRequired[int]
    employmentTypes: NotRequired[list[Literal[
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
    ]]]
    startWith: NotRequired[list[Literal[
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
    ]]]
    duration: NotRequired[Literal["permanent", "fixed-term", "seasonal", "on-call"]]
    hoursPerWeek: NotRequired[HoursPerWeekShared]
    workingTime: NotRequired[list[Literal["day", "evening", "night", "weekend", "shift"]]]
    startDate: NotRequired[str]
    startAsap: NotRequired[bool]
    applicationDeadline: NotRequired[str]
    answerBy: NotRequired[str]
    workplace: NotRequired[WorkplaceShared]
    requirements: NotRequired[list[str]]
    certificates: NotRequired[list[str]]
    drivingLicence: NotRequired[list[str]]
    languages: NotRequired[list[str]]
    description: NotRequired[str]
    applyVia: NotRequired[Literal["consultant", "direct"]]
    contactPerson: NotRequired[ContactPersonShared]
    consultant: NotRequired[ConsultantShared]
    employerAgreed: NotRequired[Literal["no", "anonymous", "named"]]
    externalIds: NotRequired[list[ExternalIdShared]]
    registeredAt: NotRequired[str]


class JobOrderEvent(Published):
    """Job order: an event that says what it is like now."""

    type: Literal["dk.kommunebro.job-order"]
    dataschema: Literal["urn:kommunebro:schema:job-order:1.0"]
    data: JobOrder


class JobOrderForwarded(Forwarded):
    """Job order: an event of it, as an alliance shares it."""

    type: Literal["dk.kommunebro.job-order"]
    dataschema: Literal["urn:kommunebro:schema:job-order-shared:1.0"]
    data: JobOrderShared
