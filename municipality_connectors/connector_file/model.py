"""What may stand in a connector file. Its descriptions are what an editor shows: Danish, for a municipality's IT staff.

A new kind of source is a class here, its name in `AnySource`, and a module and a line of `opening/kinds.py`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from municipality_connectors.running.draining import PACE_EVENTS_S

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
EVERY_MIN_S = 5
NAME_PATTERN = "^[a-z0-9][a-z0-9-]{0,63}$"
SYSTEM_PATTERN = "^[A-Za-z0-9._-]{1,64}$"
LISTEN_PATTERN = "^[A-Za-z0-9.:-]+:[0-9]{1,5}$"


def kebab(name: str) -> str:
    """Return a property's name as it stands in the file."""
    return name.rstrip("_").replace("_", "-")


class Section(BaseModel):
    """A table of the file. What it does not know is refused: it would do nothing."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=kebab, populate_by_name=False, str_strip_whitespace=True
    )


def _seconds(value: Any) -> Any:
    """Read `90s`, `5m`, `2h` or `1d`; whole seconds pass."""
    if isinstance(value, str) and value[:-1].isdigit() and value[-1:] in _UNITS_S:
        return int(value[:-1]) * _UNITS_S[value[-1]]
    return value


Duration = Annotated[
    int,
    BeforeValidator(_seconds, json_schema_input_type=Annotated[str, Field(pattern="^[0-9]+[smhd]$")]),
]
Text = Annotated[str, Field(min_length=1)]
Value = str | int | float | bool


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class When(Section):
    """En betingelse for rækken. Alle betingelser i en liste skal være opfyldt."""

    column: Text = Field(description="Kolonnen i kilden.")
    is_: Annotated[list[Value], BeforeValidator(_as_list, json_schema_input_type=Value | list[Value])] = Field(
        default=[], description="Værdien, eller en liste af værdier, hvoraf én skal stå der."
    )
    is_not: Annotated[list[Value], BeforeValidator(_as_list, json_schema_input_type=Value | list[Value])] = Field(
        default=[], description="Værdien, eller en liste af værdier, som ikke må stå der."
    )
    blank: bool | None = Field(default=None, description="true: cellen er tom; false: den er udfyldt.")


Conditions = Annotated[list[When], BeforeValidator(_as_list, json_schema_input_type=When | list[When])]


class FieldRule(Section):
    """Hvordan et felt læses. Delene virker i den rækkefølge, de står her."""

    when: Conditions = Field(default=[], description="Feltet udfyldes kun, når betingelsen er opfyldt.")
    python: str | None = Field(
        default=None, description="En Python-funktion af hele rækken, fx mapning.py:titel. Stien regnes fra denne fil."
    )
    from_: Annotated[list[Text], BeforeValidator(_as_list, json_schema_input_type=str | list[str])] = Field(
        default=[], description="Kolonnen i kilden; af flere den første, der er udfyldt, eller alle med join."
    )
    join: str | None = Field(default=None, description="Sæt kolonnerne i from sammen med denne tekst imellem.")
    template: str | None = Field(default=None, description="Tekst med kolonner i: »DFDG: {Sagsnummer}«.")
    value: Value | None = Field(default=None, description="En fast værdi.")
    split: str | None = Field(default=None, min_length=1, description="Del teksten ved dette tegn.")
    part: int | None = Field(default=None, ge=1, description="Tag kun denne del efter split; den første er 1.")
    replace: dict[str, str] = Field(
        default={}, description="Tegn i teksten = det, der sættes i stedet, fx / = -, når sagsnumre skrives 2026/100."
    )
    codes: dict[str, Value] | None = Field(default=None, description="Deres værdi = vores værdi.")
    otherwise: Value | None = Field(default=None, description="Hvad en værdi, der ikke står i codes, bliver til.")
    date: str | None = Field(default=None, description="Sådan skrives datoer: dd.MM.yyyy HH:mm, unix eller unix-ms.")
    decimal: Literal[",", "."] | None = Field(default=None, description="Tegnet før decimalerne.")
    times: float | None = Field(default=None, description="Gang tallet med dette.")
    divide_by: float | None = Field(default=None, gt=0, description="Del tallet med dette, fx minutter med 60.")
    cut: int | None = Field(default=None, ge=1, description="Forkort teksten til så mange tegn.")
    default: Value | None = Field(default=None, description="Værdien, når der ellers ingen er.")


class WebhookSource(Section):
    """En webhook, som systemet kalder. Kører kun som tjeneste."""

    kind: Literal["webhook"]
    listen: str = Field(default="127.0.0.1:8085", pattern=LISTEN_PATTERN, description="Hvor der lyttes: vært og port.")
    secret_file: Path = Field(description="En fil med hemmeligheden, som systemet viser som Bearer-token.")
    certificate_file: Path | None = Field(default=None, description="Certifikatet (PEM); kræves ud over maskinen selv.")
    key_file: Path | None = Field(default=None, description="Certifikatets nøgle (PEM).")


class KafkaSource(Section):
    """Et emne i jeres egen Kafka, med JSON i beskederne."""

    kind: Literal["kafka"]
    bootstrap: Text = Field(description="Kafkas adresser: vært:port, flere adskilt med komma.")
    tls: bool = Field(default=False, description="Om forbindelsen er krypteret.")
    ca_file: Path | None = Field(default=None, description="Certifikatet, som Kafkas er udstedt med (PEM).")
    user: str | None = Field(default=None, description="Brugernavn (SASL).")
    password_file: Path | None = Field(default=None, description="En fil med adgangskoden og intet andet.")
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="Hvordan der logges ind."
    )


class Paging(Section):
    """Hvordan en lang liste hentes side for side."""

    next: str | None = Field(default=None, description="Hvor svaret har næste sides adresse eller markør.")
    cursor: str | None = Field(default=None, description="Parameteren, som markøren sendes i.")
    page: str | None = Field(default=None, description="Parameteren med sidens nummer.")
    first_page: int = Field(default=1, ge=0, description="Den første sides nummer.")
    page_size: str | None = Field(default=None, description="Parameteren med sidens størrelse.")
    size: int = Field(default=100, ge=1, le=10_000, description="Sidens størrelse.")


class Since(Section):
    """Hvordan der kun spørges om det, der er ændret."""

    parameter: Text = Field(description="Parameteren, der får tidspunktet.")
    from_: Text = Field(description="Hvor en post har tidspunktet for sin ændring.")


class Publish(Section):
    """Hvad der publiceres fra én tabel, ét ark eller ét svar."""

    type: Literal["job-order", "company-contact", "visit", "company-cooperation", "job-order-response"] = Field(
        description="Hvad rækkerne er."
    )
    worksheet: str | None = Field(default=None, description="Excel: arkets navn, som det står på fanen.")
    header_row: int = Field(default=1, ge=1, le=100, description="Excel og CSV: rækken med overskrifterne.")
    table: str | None = Field(default=None, description="SQL: tabellen eller visningen, evt. skema.tabel.")
    query: str | None = Field(default=None, description="SQL: en forespørgsel i stedet for en tabel.")
    changed_since: str | None = Field(
        default=None, description="SQL: kolonnen med tid eller nummer for seneste ændring; ellers læses alt hver gang."
    )
    overlap: Duration = Field(
        default=300,
        ge=0,
        description="SQL: så langt tilbage fra seneste ændring læses der igen. Ellers 5m; altid mindst 65m for tider "
        "uden tidszone, og en dag for datoer.",
    )
    sequence: str | None = Field(default=None, description="Outbox: kolonnen med det voksende løbenummer.")
    sent: str | None = Field(
        default=None, description="Outbox: kolonnen, der får et tidspunkt, når rækken er taget. Ellers slettes den."
    )
    payload: str | None = Field(default=None, description="Outbox: kolonnen med JSON, som felterne findes i.")
    items: str | None = Field(
        default=None, description="JSON og XML: hvor posterne står, fx data.sager. Felterne er stier i hver post."
    )
    path: str | None = Field(default=None, description="REST: listens sti, fx /sager. Webhook: stien, der kaldes.")
    topic: str | None = Field(default=None, description="Kafka: emnet.")
    parameters: dict[str, str] = Field(default={}, description="REST: faste parametre.")
    paging: Paging | None = Field(default=None, description="REST: side for side. Ellers følges Link-hovedet.")
    since: Since | None = Field(default=None, description="REST: kun det ændrede. Ellers hentes alt hver gang.")
    only: Conditions = Field(default=[], description="Kun rækker, der opfylder betingelserne, publiceres.")
    withdrawn: Conditions = Field(default=[], description="Rækker, der opfylder betingelserne, trækkes tilbage.")
    vanished: Literal["ignore", "withdraw"] = Field(
        default="ignore",
        description="ignore: en række, der er væk, betyder ingenting. withdraw: sagen trækkes tilbage hos partnerne.",
    )
    withdraw_at_most: float = Field(
        default=0.1, gt=0, le=1, description="Er en større andel væk på én gang, spørges der. 0.1 er en tiendedel."
    )
    changed: str | FieldRule | None = Field(default=None, description="Kolonnen med tidspunktet for seneste ændring.")
    fields: dict[str, Any] | None = Field(
        default=None,
        description="Vores felter = deres kolonner. Udelades, når arket har overskrifterne fra eksemplerne.",
    )


class FilesSource(Section):
    """Regneark: en fil, eller de filer i en mappe, der passer til et mønster."""

    kind: Literal["excel", "csv"] = Field(description="excel eller csv.")
    path: Text = Field(description="Filen, eller et mønster som eksport/*.xlsx. Stien regnes fra denne fil.")
    write_ids: bool = Field(
        default=False, description="Om manglende id'er må skrives ind i arket. Kun når I selv fører det."
    )


class SqlSource(Section):
    """En database: tabeller, visninger eller forespørgsler."""

    kind: Literal["sql"]
    url: Text = Field(description="postgresql://bruger@server/base, mssql://…, oracle://… eller sqlite:///fil.db.")
    password_file: Path | None = Field(
        default=None, description="En fil med adgangskoden og intet andet. Stien regnes fra denne fil."
    )


class OutboxSource(SqlSource):
    """En outbox-tabel: systemet skriver en række for hver ændring, i samme transaktion som ændringen."""

    kind: Literal["outbox"]  # type: ignore[assignment]  # another kind of the same


class FolderSource(Section):
    """En mappe med eksporter: JSON, NDJSON eller XML."""

    kind: Literal["folder"]
    path: Text = Field(description="Filen, eller et mønster som eksport/*.json. Stien regnes fra denne fil.")


class OAuth(Section):
    """OAuth 2.0, client credentials."""

    token_url: Text = Field(description="Hvor tokenet hentes.")
    client_id: Text = Field(description="Vores klient-id.")
    client_secret_file: Path = Field(description="En fil med klientens hemmelighed og intet andet.")
    scope: str | None = Field(default=None, description="Hvad tokenet skal give lov til.")


class RestSource(Section):
    """En REST-tjeneste, der svarer med JSON."""

    kind: Literal["rest"]
    url: Text = Field(description="Tjenestens adresse, fx https://fagsystem.example/api.")
    token_file: Path | None = Field(default=None, description="En fil med et fast token og intet andet.")
    user: str | None = Field(default=None, description="Brugernavn, når tjenesten bruger Basic.")
    password_file: Path | None = Field(default=None, description="En fil med adgangskoden og intet andet.")
    oauth: OAuth | None = Field(default=None, description="Hvor et token hentes (client credentials).")
    headers: dict[str, str] = Field(default={}, description="Faste hoveder, fx en API-version. Ingen hemmeligheder.")
    requests_per_second: float = Field(default=5, gt=0, description="Så mange forespørgsler sendes højst pr. sekund.")


AnySource = FilesSource | FolderSource | SqlSource | OutboxSource | RestSource | WebhookSource | KafkaSource
Source = Annotated[AnySource, Field(discriminator="kind")]


class Gateway(Section):
    """Gatewayen, og hvordan vi viser, hvem vi er."""

    url: str = Field(default="http://127.0.0.1:8080", description="Gatewayens adresse.")
    token_file: Path | None = Field(
        default=None, description="En fil med tokenet og intet andet. Stien regnes fra denne fil."
    )
    events_per_second: float = Field(
        default=PACE_EVENTS_S, gt=0, description="Så hurtigt sendes højst, også når meget har ventet."
    )


class Deliver(Section):
    """Hvad partnerne deler med os, og hvor det lægges. Tokenet skal have rollen reader."""

    to: Literal["sql", "excel", "csv", "json"] = Field(description="Hvor det lægges: en tabel, et ark eller en mappe.")
    type: Literal["job-order", "company-contact", "visit", "company-cooperation", "job-order-response"] = Field(
        description="Hvad der leveres."
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="Et navn, så leverancen fortsætter, hvor den slap, når stedet ændres. Ellers kendes den på stedet.",
    )
    alliances: list[Text] | None = Field(default=None, description="Kun fra disse alliancer; ellers fra alle.")
    start: str = Field(default="earliest", description="Fra begyndelsen: earliest; fra nu: latest; eller et tidspunkt.")
    path: str | None = Field(default=None, description="Filen (.xlsx, .csv), eller mappen til JSON.")
    format: Literal["event", "schema.org", "dfdg"] | None = Field(
        default=None, description="JSON: hændelsen selv, schema.orgs JobPosting, eller formet efter DFDGs jobordre."
    )
    url: str | None = Field(default=None, description="SQL: databasens adresse.")
    password_file: Path | None = Field(default=None, description="SQL: en fil med adgangskoden og intet andet.")
    table: str | None = Field(default=None, description="SQL: tabellen, evt. skema.tabel.")
    columns: dict[str, str] | None = Field(
        default=None, description="SQL: deres kolonne = vores felt, eller owner, subject, alliance, type, time, event."
    )


class ConnectorFile(Section):
    """En forbindelse: hvem vi er, hvor gatewayen er, kilden, og hvad der publiceres fra den eller leveres til os."""

    name: str = Field(pattern=NAME_PATTERN, description="Forbindelsens navn: a-z, 0-9 og bindestreg.")
    participant: str = Field(description="Deltageren: kommunens 4-cifrede kode, fx 0671.")
    system: str = Field(pattern=SYSTEM_PATTERN, description="Systemets navn, fx opera. Står i hver hændelse.")
    every: Duration = Field(
        default=300, ge=EVERY_MIN_S, description="Hvor ofte kilden læses: 30s, 5m, 1h. Ellers hvert femte minut."
    )
    state: Path | None = Field(default=None, description="Mappen, hvor forbindelsen husker. Ellers brugerens egen.")
    gateway: Gateway = Field(default=Gateway(), description="Gatewayen.")
    source: Source | None = Field(default=None, description="Kilden.")
    publish: list[Publish] = Field(default=[], description="Hvad der publiceres fra kilden.")
    deliver: list[Deliver] = Field(default=[], description="Hvad der leveres til os.")


SECTIONS: tuple[type[Section], ...] = (
    ConnectorFile, Gateway, Publish, Paging, Since, Deliver, When, FieldRule, FilesSource, FolderSource, SqlSource,
    OutboxSource, RestSource, OAuth, WebhookSource, KafkaSource,
)  # fmt: skip
"""Every table that may stand in a connector file."""
