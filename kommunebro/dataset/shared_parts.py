"""Parts of things, as alliances share them: nothing of them need be there.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class ForeignIdShared(TypedDict):
    """Foreign id. A company's id outside Denmark."""

    country: NotRequired[str]
    id: NotRequired[str]


class IndustryCodeShared(TypedDict):
    """Industry code. A code of Dansk Branchekode, with the name of the edition it is from."""

    system: NotRequired[Literal["DB07", "DB25"]]
    code: NotRequired[str]
    label: NotRequired[str]


class CompanyShared(TypedDict):
    """Company. An employer, known by its CVR number or, if foreign, by an id in its own country."""

    cvr: NotRequired[str]
    foreignId: NotRequired[ForeignIdShared]
    pNumber: NotRequired[str]
    name: NotRequired[str]
    municipality: NotRequired[str]
    postcode: NotRequired[str]
    industryCodes: NotRequired[list[IndustryCodeShared]]
    sizeBand: NotRequired[Literal["0-1", "2-9", "10-49", "50-249", "250+"]]
    soleTrader: NotRequired[bool]


class ConsultantShared(TypedDict):
    """Consultant. The public employee in charge. Shared by default, since partners must be able to call."""

    name: NotRequired[str]
    unit: NotRequired[str]
    phone: NotRequired[str]
    email: NotRequired[str]


class ContactPersonShared(TypedDict):
    """Contact person. The person at the company. Personal data."""

    name: NotRequired[str]
    role: NotRequired[str]
    phone: NotRequired[str]
    email: NotRequired[str]


class ExternalIdShared(TypedDict):
    """External id. The same thing's id in another system."""

    system: NotRequired[str]
    id: NotRequired[str]


class FollowUpShared(TypedDict):
    """Follow-up. What is to be done next, and by when."""

    date: NotRequired[str]
    action: NotRequired[str]
    done: NotRequired[bool]


class HoursPerWeekShared(TypedDict):
    """Hours a week. The fewest and the most hours a week; the same number twice where they are fixed."""

    min: NotRequired[float]
    max: NotRequired[float]


class OccupationCodeShared(TypedDict):
    """Occupation code. A code for an occupation, with the name of the system it is from."""

    system: NotRequired[Literal["ESCO", "ESCO-STAR", "DISCO-08"]]
    code: NotRequired[str]
    label: NotRequired[str]


class OccupationShared(TypedDict):
    """Occupation. What the employee is to work as."""

    label: NotRequired[str]
    codes: NotRequired[list[OccupationCodeShared]]


class OutlookShared(TypedDict):
    """Outlook. The company's expected need for one occupation."""

    occupation: NotRequired[OccupationShared]
    horizonMonths: NotRequired[Literal[3, 12]]
    direction: NotRequired[Literal["increase", "unchanged", "decrease", "unknown"]]
    positions: NotRequired[int]


class WorkplaceShared(TypedDict):
    """Workplace. Where the work is done."""

    municipality: NotRequired[str]
    postcode: NotRequired[str]
    city: NotRequired[str]
