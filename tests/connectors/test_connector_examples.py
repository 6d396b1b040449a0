"""The example connectors, each run against the real thing that it is for; and what is made beside them."""

import re
import shutil
import tomllib
from contextlib import ExitStack
from pathlib import Path

import jsonschema
import orjson
import pytest

from municipality_connectors.connector_file import make_reference
from municipality_connectors.connector_file.json_schema import connector_schema
from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.report import PublishReport
from municipality_connectors.sources import sql_statements
from municipality_connectors.sources.sql import Wanted
from tests.connectors import databases
from tests.connectors.case_system import SECRET, CaseSystem, case_system
from tests.connectors.conftest import Desk
from tests.connectors.databases import Database, PostgreSql
from tests.connectors.test_called import HOOK_SECRET, call, made_topic, produced
from tests.connectors.test_connect_command import service, until
from tests.connectors.test_rest import case
from tests.connectors.test_sql import owner, spelt
from tests.processes import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "connectors"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
NEED_A_SERVER = {"ordrer-sqlserver", "ordrer-oracle"}


@pytest.fixture
def examples(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with a copy of the examples, which are settled at once."""
    shutil.copytree(EXAMPLES, desk.folder, dirs_exist_ok=True)
    monkeypatch.setattr("municipality_connectors.connector_file.opening.opening.SETTLED_AFTER_S", 0.0)
    return desk


def ran(desk: Desk, name: str, *changes: tuple[str, str]) -> PublishReport:
    """Run an example, as its owner would after writing their own addresses into it."""
    prepared(desk, name, *changes)
    return desk.run(name)


def prepared(desk: Desk, name: str, *changes: tuple[str, str]) -> None:
    """Write a test's own addresses into an example."""
    path = desk.folder / f"{name}.toml"
    text = path.read_text("utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    desk.system = re.findall(r'^system = "(.*)"$', text, re.MULTILINE)[0]
    path.write_text(f'state = "husket"\n{text}\n[gateway]\nurl = "{desk.served.url}"\n', "utf-8")


def written(database: Database, script: str) -> None:
    """Carry a script of SQL out, as the database's owner does."""
    with database.connected() as connection:
        connection.executescript(script) if database.kind == "sqlite" else connection.execute(script)
        connection.commit()
    if database.kind == "postgresql":
        database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(database)}")


@pytest.mark.parametrize(
    ("name", "things"),
    [
        ("ordrer-csv", [("O-2101", "open"), ("O-2102", "open"), ("O-2098", "filled")]),
        ("ordrer-excel", [("O-2101", "open"), ("O-2102", "open"), ("O-2098", "filled")]),
        ("kontakter-json", [("K-901", None)]),
        ("besoeg-xml", [("B-81", "planned"), ("B-82", "held")]),
    ],
)
def test_files(examples: Desk, name: str, things: list[tuple[str, str | None]]) -> None:
    """Every row is taken as it stands there; what is internal stays."""
    report = ran(examples, name)
    assert (report.refusals, report.exit_status) == ([], 0)
    assert examples.states() == things
    sent = orjson.dumps(examples.events()).decode()
    assert not re.search("Ring efter|Svær at få fat i|borgmesteren", sent)
    assert ("B-82", {"scope": "own"}) in examples.states("sharing") or name != "besoeg-xml"


def test_sqlite(examples: Desk) -> None:
    """A row that is marked as deleted is passed over, and so taken back."""
    database = databases.sqlite(examples.folder)
    written(database, (EXAMPLES / "fagsystem.sql").read_text("utf-8"))
    report = ran(examples, "ordrer-sqlite", ('vanished = "withdraw"', 'vanished = "withdraw"\nwithdraw-at-most = 0.5'))
    assert (report.refusals, report.accepted) == ([], 2)
    assert examples.events()[0]["data"]["hoursPerWeek"] == {"min": 37, "max": 37}
    database.execute("UPDATE ordre SET slettet=1 WHERE ordre_id=5001")
    examples.run("ordrer-sqlite")
    assert examples.states()[-1] == ("5001", "withdrawn")


def test_postgresql(examples: Desk, postgres: PostgreSql) -> None:
    """Only what changed is read; the time of the change is the event's."""
    database = postgres.database()
    written(database, (EXAMPLES / "fagsystem.sql").read_text("utf-8"))
    (examples.folder / "adgangskode").write_text(databases.PASSWORD)
    report = ran(examples, "ordrer-postgresql", ("postgresql://kommunebro@127.0.0.1:5432/fagsystem", database.url))
    assert (report.refusals, report.accepted) == ([], 2)
    assert [event["time"] for event in examples.events()] == ["2026-11-20T07:15:00.000Z", "2026-11-23T08:30:00.000Z"]
    database.execute("UPDATE ordre SET slettet=1, aendret='2026-11-24 10:00' WHERE ordre_id=5001")
    examples.run("ordrer-postgresql")
    assert examples.states()[-1] == ("5001", "withdrawn")


def test_an_outbox(examples: Desk, postgres: PostgreSql) -> None:
    """Both states of the visit, one after the other."""
    database = postgres.database()
    written(database, (EXAMPLES / "outbox.sql").read_text("utf-8"))
    (examples.folder / "adgangskode").write_text(databases.PASSWORD)
    report = ran(examples, "besoeg-outbox", ("postgresql://kommunebro@127.0.0.1:5432/fagsystem", database.url))
    assert (report.refusals, examples.states()) == ([], [("B-77", "planned"), ("B-77", "held")])
    assert database.execute("SELECT count(*) FROM udbakke WHERE sendt IS NULL") == [(0,)]


def test_rest(examples: Desk) -> None:
    """By pages, with a token that is asked for; the second time only what changed."""
    with ExitStack() as stack:
        system: CaseSystem = stack.enter_context(case_system())
        system.cases = [case(1), case(2, at="2026-11-21T08:00:00Z")]
        (examples.folder / "hemmelighed").write_text(SECRET)
        report = ran(examples, "ordrer-rest", ("https://fagsystem.example", system.url))
        assert (report.refusals, examples.states()) == ([], [("1", "open"), ("2", "open")])
        examples.run("ordrer-rest")
        assert system.asked[-1]["siden"] == "2026-11-21T07:55:00Z"


def test_a_webhook(examples: Desk) -> None:
    """Called as its owner would, with the example's own body."""
    (examples.folder / "hemmelighed").write_text(HOOK_SECRET)
    port = free_port()
    prepared(examples, "besoeg-webhook", ("127.0.0.1:8085", f"127.0.0.1:{port}"))
    with service(examples, name="besoeg-webhook"):
        until(lambda: call(port, b"{}") == 422)
        assert call(port, (EXAMPLES / "besoeg-webhook.json").read_bytes()) == 200
        until(lambda: examples.states() == [("B-91", "planned")])


def test_kafka(examples: Desk, kafka_bootstrap: str) -> None:
    """A municipality's own topic."""
    body = (EXAMPLES / "besoeg-webhook.json").read_bytes().replace(b"B-91", b"B-92")
    topic = made_topic(kafka_bootstrap, 2)
    produced(kafka_bootstrap, topic, [(b"B-92", body)])
    report = ran(examples, "besoeg-kafka", ("127.0.0.1:9092", kafka_bootstrap), ("fagsystem.besoeg", topic))
    assert (report.refusals, examples.states()) == ([], [("B-92", "planned")])


@pytest.mark.parametrize("name", sorted(NEED_A_SERVER))
def test_sql_server_and_oracle_as_far_as_can_be_shown_without_them(examples: Desk, name: str) -> None:
    """The file is right, and what would be asked is spelt as the system wants it."""
    (examples.folder / "adgangskode").write_text("x")
    connector = load_connector(examples.folder / f"{name}.toml")
    [plan] = connector.plans
    columns = tuple(column.upper() for column in Wanted(plan, "ordre", changed="aendret").plan.columns)
    asked = sql_statements.changed_rows(sql_statements.From("ORDRE", None, None, columns), "AENDRET", None)
    from sqlalchemy.dialects import mssql, oracle  # noqa: PLC0415

    dialect = mssql.dialect() if name == "ordrer-sqlserver" else oracle.dialect()
    begin = "SELECT [ORDRE].[ORDRE_ID], [ORDRE]" if name == "ordrer-sqlserver" else 'SELECT "ORDRE"."ORDRE_ID", "ORDRE"'
    assert spelt(asked, dialect).startswith(begin)


def test_every_example_is_run_here() -> None:
    """None is only there to be looked at; those that deliver are run where there are alliances."""
    text = Path(__file__).read_text("utf-8") + Path(__file__).with_name("test_delivering.py").read_text("utf-8")
    assert [name for name in NAMES if f'"{name}' not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_and_the_program_agree_on_every_example(name: str) -> None:
    """What editors are given passes what the program takes, and refuses a field that there is not."""
    written = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(connector_schema())
    assert list(validator.iter_errors(written)) == []
    if "publish" in written:
        written["publish"][0]["fields"]["findesIkke"] = "x"
    else:
        written["deliver"][0]["findesIkke"] = "x"
    assert list(validator.iter_errors(written))


def test_what_is_made_is_what_is_committed() -> None:
    """`make connectors` changes no byte."""
    assert (EXAMPLES / "connector.schema.json").read_bytes() == make_reference.schema_bytes()
    assert (EXAMPLES / "ordrer.xlsx").read_bytes() == make_reference.example_workbook(ROOT)
    text = (ROOT / make_reference.REFERENCE).read_text("utf-8")
    assert make_reference.reference_with_tables(text) == text
