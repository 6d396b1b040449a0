"""Parts of things, that several types have.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class ForeignId(TypedDict):
    """Foreign id. A company's id outside Denmark."""

    country: str
    """Country. The country that gave the id, preferably its two-letter code (ISO 3166-1). Danish: Land."""
    id: str
    """Id. The id as written in that country. Danish: Nummer."""


class IndustryCode(TypedDict):
    """Industry code. A code of Dansk Branchekode, with the name of the edition it is from."""

    system: Literal["DB07", "DB25"]
    """Edition. The edition of Dansk Branchekode. The business register has had DB25 beside DB07 since 2025. Danish:
    Branchekodens system. DB07: DB07; DB25: DB25.
    """
    code: str
    """Code. The six digits without the dot. Danish: Branchekode."""
    label: NotRequired[str]
    """Label. The industry in words. Danish: Branche."""


class Company(TypedDict):
    """Company. An employer, known by its CVR number or, if foreign, by an id in its own country."""

    cvr: NotRequired[str]
    """CVR number. Eight digits with the CVR register's modulus 11 check (an instance can set the check to a
    warning). Danish: CVR-nummer.
    """
    foreignId: NotRequired[ForeignId]
    """Foreign id. What a company without a CVR number is known by. Danish: Udenlandsk nummer."""
    pNumber: NotRequired[str]
    """P-number. The site's ten digits. There is no check digit: one series was issued with other weights. Danish:
    P-nummer.
    """
    name: str
    """Name. The company's name. Personal when the company is a sole trader. Danish: Virksomhed."""
    municipality: NotRequired[str]
    """Municipality. Where the site is. Personal when the company is a sole trader. Danish: Virksomhedens kommune."""
    postcode: NotRequired[str]
    """Postcode. The site's postcode. Personal when the company is a sole trader. Danish: Virksomhedens postnummer."""
    industryCodes: NotRequired[list[IndustryCode]]
    """Industry codes. What the company does, each code with the name of its system. Danish: Branchekoder."""
    sizeBand: NotRequired[Literal["0-1", "2-9", "10-49", "50-249", "250+"]]
    """Size. How many employees the company has. Danish: Antal ansatte. 0-1: 0-1; 2-9: 2-9; 10-49: 10-49; 50-249:
    50-249; 250+: 250+.
    """
    soleTrader: NotRequired[bool]
    """Sole trader. Whether the company is owned by one person; its name and address are then personal. Danish:
    Enkeltmandsvirksomhed.
    """


class Consultant(TypedDict):
    """Consultant. The public employee in charge. Shared by default, since partners must be able to call."""

    name: str
    """Name. The consultant's name. Danish: Konsulent."""
    unit: str
    """Unit. The job centre or team. Danish: Konsulentens enhed."""
    phone: str
    """Phone. The consultant's phone number. Danish: Konsulentens telefon."""
    email: NotRequired[str]
    """E-mail. The consultant's e-mail address. Danish: Konsulentens e-mail."""


class ContactPerson(TypedDict):
    """Contact person. The person at the company. Personal data."""

    name: str
    """Name. The person's name. Danish: Kontaktperson. Personal data."""
    role: NotRequired[str]
    """Role. What the person is in the company. Danish: Kontaktpersonens rolle. Personal data."""
    phone: NotRequired[str]
    """Phone. The person's phone number. Danish: Kontaktpersonens telefon. Personal data."""
    email: NotRequired[str]
    """E-mail. The person's e-mail address. Danish: Kontaktpersonens e-mail. Personal data."""


class ExternalId(TypedDict):
    """External id. The same thing's id in another system."""

    system: str
    """System. The other system's name, such as DFDG. Danish: Andet system."""
    id: str
    """Id. The id in that system. Danish: Id i andet system."""


class FollowUp(TypedDict):
    """Follow-up. What is to be done next, and by when."""

    date: str
    """Date. When to follow up. Danish: Opfølgning, dato."""
    action: str
    """Action. What to do. Danish: Opfølgning, handling."""
    done: bool
    """Done. Whether it has been done. Danish: Opfølgning udført."""


class HoursPerWeek(TypedDict):
    """Hours a week. The fewest and the most hours a week; the same number twice where they are fixed."""

    min: float
    """At least. The fewest hours a week. Danish: Timer om ugen, mindst."""
    max: float
    """At most. The most hours a week. Danish: Timer om ugen, højst."""


class OccupationCode(TypedDict):
    """Occupation code. A code for an occupation, with the name of the system it is from."""

    system: Literal["ESCO", "ESCO-STAR", "DISCO-08"]
    """System. ESCO: the European concept's URI. ESCO-STAR: the Danish labour market agency's selection of ESCO.
    DISCO-08: Statistics Denmark's six digits. Danish: Stillingskodens system. ESCO: ESCO; ESCO-STAR: ESCO (STAR);
    DISCO-08: DISCO-08.
    """
    code: str
    """Code. The code as that system writes it. Danish: Stillingskode."""
    label: NotRequired[str]
    """Label. The code in words. Danish: Kodens betegnelse."""


class Occupation(TypedDict):
    """Occupation. What the employee is to work as."""

    label: str
    """Label. The occupation in words. Danish: Stilling."""
    codes: NotRequired[list[OccupationCode]]
    """Codes. The occupation as codes, each with the name of its system. Danish: Stillingskoder."""


class Outlook(TypedDict):
    """Outlook. The company's expected need for one occupation."""

    occupation: Occupation
    """Occupation. The occupation that the expectation is about. Danish: Stilling."""
    horizonMonths: Literal[3, 12]
    """Horizon in months. How many months ahead the company was asked about. Danish: Antal måneder frem. 3: 3
    måneder; 12: 12 måneder.
    """
    direction: Literal["increase", "unchanged", "decrease", "unknown"]
    """Direction. Whether the company expects to need more or fewer. Danish: Forventning. increase: Stigende;
    unchanged: Uændret; decrease: Faldende; unknown: Ved ikke.
    """
    positions: NotRequired[int]
    """Positions. How many the company expects to hire, or to do without. Danish: Antal stillinger."""


class Sharing(TypedDict):
    """Sharing. How far the publisher lets this go. An agreement can narrow it, never widen it."""

    scope: Literal["own", "local", "alliances", "national"]
    """Scope. own goes nowhere; local to agreements of kind local; alliances to local and alliance; national to all
    three kinds. Danish: Deles med. own: Kun os; local: Os og lokale aktører; alliances: Vores alliancer;
    national: Hele landet.
    """
    alliances: NotRequired[list[str]]
    """Alliances. Where given, only the agreements named here. Danish: Kun disse alliancer."""


class Workplace(TypedDict):
    """Workplace. Where the work is done."""

    municipality: str
    """Municipality. The municipality of the workplace. Danish: Arbejdsstedets kommune."""
    postcode: NotRequired[str]
    """Postcode. The postcode of the workplace. Danish: Arbejdsstedets postnummer."""
    city: NotRequired[str]
    """City. The town of the workplace. Danish: Arbejdsstedets by."""
