"""Job order response (Svar): What a partner answers to a forwarded job order. Candidates are counted, never named;
their papers travel by the means in handover, never here.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from kommunebro.dataset.envelope import Forwarded, Published
from kommunebro.dataset.parts import Consultant
from kommunebro.dataset.shared_parts import ConsultantShared


class JobOrderResponse(TypedDict):
    """Job order response. What a partner answers to a forwarded job order. Candidates are counted, never named;
    their papers travel by the means in handover, never here. Danish: Svar.
    """

    responseId: str
    """Response id. The id in the publisher's system; the event's subject. Danish: Svar-id."""
    jobOrderOwner: str
    """Job order's owner. The participant whose job order is answered. Danish: Jobordrens ejer."""
    jobOrderId: str
    """Job order id. The job order that is answered. Danish: Jobordre-id."""
    via: list[str]
    """Via. The alliances in which the sender saw the job order. Danish: Set i alliancerne."""
    kind: Literal["searching", "candidates", "referred", "hired", "none", "question", "withdrawn"]
    """Kind. What the partner answers. Danish: Svar. searching: Vi søger; candidates: Har kandidater; referred:
    Præsenteret; hired: Ansat; none: Ingen kandidater; question: Spørgsmål; withdrawn: Trukket tilbage.
    """
    candidateCount: NotRequired[int]
    """Candidate count. How many candidates. Danish: Antal kandidater."""
    positions: NotRequired[int]
    """Positions. How many were hired. Danish: Antal ansatte."""
    until: NotRequired[str]
    """Until. Until when the partner searches. Danish: Søger indtil."""
    reason: NotRequired[Literal["no-match", "distance", "terms", "capacity"]]
    """Reason. Why there are no candidates. Danish: Årsag. no-match: Ingen match; distance: Afstand; terms: Vilkår;
    capacity: Kapacitet.
    """
    handover: NotRequired[Literal["own-system", "secure-mail", "phone", "direct"]]
    """Handover. By which means the candidates' papers travel. Danish: Overdragelse. own-system: Eget fagsystem/DFDG;
    secure-mail: Sikker mail; phone: Telefon; direct: Direkte.
    """
    message: NotRequired[str]
    """Message. A word to the owner. Personal data. Danish: Besked."""
    consultant: Consultant
    """Consultant. The public employee in charge. Danish: Konsulent."""


class JobOrderResponseShared(TypedDict):
    """Job order response, shared. What a partner answers to a forwarded job order. Candidates are counted, never
    named; their papers travel by the means in handover, never here. This is the view of a forwarded event: cut to
    what the alliance's agreement shows. Danish: Svar.
    """

    responseId: str
    jobOrderOwner: NotRequired[str]
    jobOrderId: NotRequired[str]
    via: NotRequired[list[str]]
    kind: Literal["searching", "candidates", "referred", "hired", "none", "question", "withdrawn"]
    candidateCount: NotRequired[int]
    positions: NotRequired[int]
    until: NotRequired[str]
    reason: NotRequired[Literal["no-match", "distance", "terms", "capacity"]]
    handover: NotRequired[Literal["own-system", "secure-mail", "phone", "direct"]]
    message: NotRequired[str]
    consultant: NotRequired[ConsultantShared]


class JobOrderResponseEvent(Published):
    """Job order response: an event that says what it is like now."""

    type: Literal["dk.kommunebro.job-order-response"]
    dataschema: Literal["urn:kommunebro:schema:job-order-response:1.0"]
    data: JobOrderResponse


class JobOrderResponseForwarded(Forwarded):
    """Job order response: an event of it, as an alliance shares it."""

    type: Literal["dk.kommunebro.job-order-response"]
    dataschema: Literal["urn:kommunebro:schema:job-order-response-shared:1.0"]
    data: JobOrderResponseShared
