"""Out again: what partners share, in a SQL table, a sheet that stays current, and JSON in others' shapes."""

import csv
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openpyxl import load_workbook

from kommunebro import Client
from municipality_connectors.connecting import run_once
from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from municipality_connectors.delivering import delivery, sinks
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.report import PublishReport
from municipality_connectors.running.taking import Habits
from municipality_connectors.sheets.make_example_sheets import example_things
from municipality_connectors.state.delivered import Delivered
from municipality_connectors.tables import SourceError
from schemas.identifiers import EventName
from tests.connectors import databases
from tests.connectors.conftest import REGISTRY
from tests.connectors.databases import Database, PostgreSql
from tests.connectors.sheets import messages
from tests.connectors.test_shapes import shared
from tests.connectors.test_sql import owner
from tests.processes import Served, bearer, load_alliances, serving

EXAMPLES = Path(__file__).parents[2] / "examples" / "connectors"
JOB_ORDERS = sheet_type(EventName.JOB_ORDER)
COLUMNS = (
    'columns = { ejer = "owner", ordre = "subject", alliance = "alliance", tilstand = "status", titel = "title",'
    ' antal = "positions", opstart = "startDate" }'
)
TABLE = (
    "CREATE TABLE delte_ordrer (ejer varchar(40), ordre varchar(64), alliance varchar(64), tilstand varchar(40),"
    " titel varchar(200), antal integer, opstart date)"
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with the alliances."""
    with serving(tmp_path_factory.mktemp("town")) as served:
        load_alliances(served)
        yield served


class Town:
    """Struer publishes orders; Herning has them delivered by a connector."""

    def __init__(self, served: Served, folder: Path, prefix: str) -> None:
        self.served, self.folder, self.prefix, self._number = served, folder, prefix, 0
        self._tokens = {
            who: bearer(served.data, who, role)["Authorization"].removeprefix("Bearer ")
            for who, role in (("0671", "publisher"), ("0657", "reader"))
        }

    def order(self, number: int, **changes: Any) -> None:
        """Let Struer publish a state of an order, and wait until Herning could have it."""
        self._number += 1
        data = example_things(JOB_ORDERS)[0] | {"jobOrderId": f"{self.prefix}-{number}"} | changes
        data["sharing"] = {"scope": "alliances"}
        event = {
            "specversion": "1.0", "id": f"{self.prefix}-{self._number}", "source": "urn:kommunebro:0671:opera",
            "type": "dk.kommunebro.job-order", "subject": data["jobOrderId"], "dataschema": JOB_ORDERS.dataschema,
            "time": f"2026-11-20T08:{self._number // 60:02}:{self._number % 60:02}Z", "data": data,
        }  # fmt: skip
        with Client(self.served.url, self._tokens["0671"]) as client:
            client.publish(event)
            while client.trace(event["id"], source=event["source"])["decided"] is None:
                pass

    def deliver(self, what: str) -> PublishReport:
        """Run Herning's connector once."""
        path = self.folder / "ind.toml"
        head = f'name = "{self.prefix}"\nparticipant = "0657"\nsystem = "ind"\nstate = "husket"\n'
        path.write_text(
            f'{head}[gateway]\nurl = "{self.served.url}"\n[[deliver]]\ntype = "job-order"\n'
            f'alliances = ["vestalliancen"]\n{what}\n', "utf-8",
        )  # fmt: skip
        return self.run(path)

    @property
    def both(self) -> str:
        """A token for publishing and reading, with which a connector may also tell how it is."""
        roles = ("publisher", "reader")
        return bearer(self.served.data, "0657", *roles)["Authorization"].removeprefix("Bearer ")

    def state(self) -> tuple[str, Any]:
        """Return how the gateway lists Herning's connector: its state and its problem."""
        headers = {"Authorization": f"Bearer {self.both}"}
        listed = httpx.get(f"{self.served.url}/v1/connectors", headers=headers).json()["connectors"]
        return next((one["state"], one["problem"]) for one in listed if one["name"] == self.prefix)

    def run(self, path: Path, *, again: bool = False) -> PublishReport:
        """Run one of Herning's connectors once."""
        habits = Habits(again=again)
        return run_once(load_connector(path), self._tokens["0657"], habits=habits, registry=REGISTRY, patience_s=0.0)


@pytest.fixture
def herning(town: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Town:
    """A town with orders of its own."""
    return Town(town, tmp_path, f"d{abs(hash(request.node.name)) % 10**8}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, herning: Town) -> Database:
    """Herning's database with an empty table."""
    if request.param == "sqlite":
        made = databases.sqlite(herning.folder)
    else:
        made = request.getfixturevalue("postgres").database()
    made.execute(TABLE)
    if made.kind == "postgresql":
        made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(made)}")
    (herning.folder / "adgangskode").write_text(databases.PASSWORD)
    return made


def test_a_table_has_a_row_for_each_shared_thing_as_it_is_now(herning: Town, database: Database) -> None:
    """New, changed, withdrawn; a second round brings nothing, and delivered again nothing comes twice."""
    password = 'password-file = "adgangskode"\n' if database.kind == "postgresql" else ""
    sql = f'to = "sql"\nurl = "{database.url}"\n{password}table = "delte_ordrer"\n{COLUMNS}'
    herning.order(1)
    herning.order(2)
    herning.order(1, title="Ny titel", positions=7)
    herning.deliver(sql)
    select = "SELECT ordre, tilstand, titel, antal FROM delte_ordrer WHERE ordre IN (%s, %s) ORDER BY ordre"
    ids = (f"{herning.prefix}-1", f"{herning.prefix}-2")
    title, positions = (example_things(JOB_ORDERS)[0][name] for name in ("title", "positions"))
    assert database.execute(select, [ids]) == [(ids[0], "Åben", "Ny titel", 7), (ids[1], "Åben", title, positions)]
    herning.order(2, status="withdrawn")
    assert herning.deliver(sql).delivered == 1
    assert herning.deliver(sql).delivered == 0
    # What ends is shared with its id and status alone, and so is what its partners keep of it.
    assert database.execute(select, [ids])[1] == (ids[1], "Tilbagekaldt", None, None)
    database.execute("ALTER TABLE delte_ordrer RENAME COLUMN titel TO overskrift")
    herning.order(3)
    report = herning.deliver(sql)
    assert (report.exit_status, "En kolonne findes ikke" in messages(report)) == (1, True)
    database.execute("ALTER TABLE delte_ordrer RENAME COLUMN overskrift TO titel")
    assert herning.deliver(sql).delivered == 1


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_a_sheet_stays_current(herning: Town, ending: str) -> None:
    """It holds what is shared now; while somebody has it open it waits, and nothing is lost."""
    kind = "excel" if ending == "xlsx" else "csv"
    sheet = f'to = "{kind}"\npath = "delt.{ending}"'
    path = herning.folder / f"delt.{ending}"
    herning.order(1, title="=HYPERLINK(1)")
    herning.order(2)
    herning.deliver(sheet)
    assert set(mine(path, herning.prefix)) == {f"{herning.prefix}-1", f"{herning.prefix}-2"}
    lock = herning.folder / f"~$delt.{ending}"
    lock.write_bytes(b"")
    herning.order(1, status="filled")
    herning.order(3)
    report = herning.deliver(sheet)
    assert (report.exit_status, "åbent i et regnearksprogram" in messages(report)) == (1, True)
    assert set(mine(path, herning.prefix)) == {f"{herning.prefix}-1", f"{herning.prefix}-2"}
    lock.unlink()
    herning.deliver(sheet)
    assert set(mine(path, herning.prefix)) == {f"{herning.prefix}-2", f"{herning.prefix}-3"}


def test_the_example_that_delivers(herning: Town, postgres: PostgreSql) -> None:
    """Into a sheet, a table and a folder, by one connector."""
    database = postgres.database()
    database.execute((EXAMPLES / "delte-ordrer.sql").read_text("utf-8"))
    database.execute(f"GRANT ALL ON delte_ordrer TO {owner(database)}")
    (herning.folder / "adgangskode").write_text(databases.PASSWORD)
    text = (EXAMPLES / "delte-ordrer.toml").read_text("utf-8")
    text = text.replace("postgresql://kommunebro@127.0.0.1:5432/fagsystem", database.url)
    path = herning.folder / "ind.toml"
    path.write_text(f'state = "husket"\n{text}\n[gateway]\nurl = "{herning.served.url}"\n', "utf-8")
    herning.order(1, title="Klejnsmed til staldinventar")
    report = herning.run(path)
    assert (report.refusals, report.exit_status) == ([], 0)
    subject = f"{herning.prefix}-1"
    delivered = mine(herning.folder / "delte-ordrer.xlsx", herning.prefix)
    assert delivered[subject] == ("Struer", "Klejnsmed til staldinventar")
    found = database.execute("SELECT ejer, tilstand, titel FROM delte_ordrer WHERE ordre=%s", [(subject,)])
    assert found == [("0671", "Åben", "Klejnsmed til staldinventar")]
    posting = orjson.loads((herning.folder / "jobopslag" / f"0671_{subject}_vestalliancen.json").read_bytes())
    assert posting["@type"] == "JobPosting"


def test_a_table_that_was_emptied_is_filled_anew_when_asked_for(herning: Town) -> None:
    """By `--again`; by itself only what is new comes."""
    database = databases.sqlite(herning.folder)
    database.execute(TABLE)
    what = f'to = "sql"\nurl = "sqlite:///fagsystem.db"\ntable = "delte_ordrer"\n{COLUMNS}'
    herning.order(1)
    herning.deliver(what)
    database.execute("DELETE FROM delte_ordrer")
    herning.deliver(what)
    assert database.execute("SELECT count(*) FROM delte_ordrer") == [(0,)]
    herning.run(herning.folder / "ind.toml", again=True)
    assert (f"{herning.prefix}-1",) in database.execute("SELECT ordre FROM delte_ordrer")


def mine(path: Path, prefix: str) -> dict[str, tuple[str, Any]]:
    """Return a test's own orders in a sheet: id to owner and title."""
    if path.suffix == ".xlsx":
        rows = [list(row) for row in load_workbook(path).worksheets[0].iter_rows(values_only=True)]
    else:
        rows = [list(row) for row in csv.reader(StringIO(path.read_bytes().decode("utf-8-sig")), delimiter=";")]
    header = rows[0]
    of = {name: header.index(name) for name in ("Ejer", "Id", "Titel")}
    return {
        str(row[of["Id"]]): (str(row[of["Ejer"]]), row[of["Titel"]])
        for row in rows[1:] if str(row[of["Id"]]).startswith(prefix)
    }  # fmt: skip


@pytest.mark.parametrize("form", ["event", "schema.org", "dfdg"])
def test_a_folder_has_a_file_for_each_order(herning: Town, form: str) -> None:
    """In its own shape, schema.org's or DFDG's; an order that is filled has none."""
    what = f'to = "json"\npath = "delt"\nformat = "{form}"'
    herning.order(1)
    herning.order(2)
    herning.deliver(what)
    path = herning.folder / "delt" / f"0671_{herning.prefix}-1_vestalliancen.json"
    body = orjson.loads(path.read_bytes())
    assert body.get({"event": "specversion", "schema.org": "@type", "dfdg": "CompanyRecruitmentIdentifier"}[form])
    herning.order(1, status="filled")
    herning.deliver(what)
    assert not path.exists()
    assert (herning.folder / "delt" / f"0671_{herning.prefix}-2_vestalliancen.json").exists()


def test_what_was_delivered_but_not_committed_comes_again_without_harm(
    herning: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ended between the two."""
    what = 'to = "json"\npath = "delt"'
    herning.order(1)

    def fallen(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Client, "commit", fallen)
        with pytest.raises(KeyboardInterrupt):
            herning.deliver(what)
    assert herning.deliver(what).delivered >= 1
    assert herning.deliver(what).delivered == 0


def test_what_nobody_thought_of_stops_one_delivery_alone_and_the_gateway_is_told(herning: Town) -> None:
    """By its type's name, never by its text, which may hold what was shared."""
    herning.deliver('to = "json"\npath = "delt"')
    herning.order(1)

    def broken(_: Delivered) -> sinks.Sink:
        raise LookupError("Klejnsmed")

    connector = load_connector(herning.folder / "ind.toml")
    (good,) = connector.deliveries
    connector = replace(connector, deliveries=(replace(good, name="brudt", sink=broken), good))
    report = run_once(connector, herning.both, habits=Habits(), registry=REGISTRY, patience_s=0.0)
    assert (herning.folder / "delt" / f"0671_{herning.prefix}-1_vestalliancen.json").exists()
    assert (report.exit_status, [refusal.problem for refusal in report.refusals]) == (1, ["unexpected"])
    assert ("LookupError" in messages(report), "Klejnsmed" in messages(report)) == (True, False)
    assert herning.state() == ("failing", "unexpected")


def test_a_delivery_is_known_by_what_it_is_or_by_its_name(tmp_path: Path) -> None:
    """A new one above it leaves its cursor alone; so does a new place for one with a name."""

    def names(*written: str) -> list[str]:
        path = tmp_path / "a.toml"
        head = 'name = "a"\nparticipant = "0671"\nsystem = "x"\n'
        path.write_text(head + "".join(f'[[deliver]]\ntype = "job-order"\n{one}\n' for one in written), "utf-8")
        return [one.name for one in load_connector(path).deliveries]

    sheet, folder = 'to = "csv"\npath = "a.csv"', 'to = "json"\npath = "a"'
    (alone,) = names(sheet)
    assert names(folder, sheet)[1] == alone != names(folder, sheet)[0]
    assert names('to = "csv"\npath = "b.csv"') != [alone]
    assert names(f'{sheet}\nname = "ark"') == names('to = "csv"\npath = "b.csv"\nname = "ark"') == ["a ark"]
    with pytest.raises(ConnectorFileWrong, match=r"(?s)2.*samme sted som \[\[deliver\]\] nr. 1.*name"):
        names(sheet, f'{sheet}\nstart = "latest"')
    with pytest.raises(ConnectorFileWrong, match="hedder det samme som"):
        names(f'{sheet}\nname = "ark"', f'{folder}\nname = "ark"')


def test_a_sheet_is_written_once_a_run_and_before_its_events_are_committed(
    herning: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pulls that takes: each would write all of it anew."""
    monkeypatch.setattr(delivery, "PULL_EVENTS", 1)
    path, done = herning.folder / "delt.csv", []
    written, committed = sinks.SheetSink.finish, Client.commit

    def finish(sink: sinks.SheetSink) -> None:
        done.append("written")
        written(sink)

    def commit(client: Client, identifier: str, cursor: str) -> Any:
        done.append("committed")
        return committed(client, identifier, cursor)

    monkeypatch.setattr(sinks.SheetSink, "finish", finish)
    monkeypatch.setattr(Client, "commit", commit)
    for number in (1, 2, 3):
        herning.order(number)
    assert herning.deliver('to = "csv"\npath = "delt.csv"').delivered >= 3
    assert done == ["written", "committed"]
    assert len(mine(path, herning.prefix)) == 3


def test_a_sheet_that_was_taken_away_is_made_again(herning: Town) -> None:
    """Although nothing new has come; one that nobody touched is left as it is."""
    what = 'to = "csv"\npath = "delt.csv"'
    herning.order(1)
    herning.deliver(what)
    path = herning.folder / "delt.csv"
    before = path.stat().st_ino
    herning.deliver(what)
    assert path.stat().st_ino == before
    path.rename(herning.folder / "gemt.csv")
    assert herning.deliver(what).delivered == 0
    assert set(mine(path, herning.prefix)) == {f"{herning.prefix}-1"}


def test_a_file_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """With its place."""
    event = shared({"jobOrderId": "JO-1", "status": "filled"})
    (tmp_path / "0671_JO-1_vestalliancen.json").mkdir()
    with pytest.raises(SourceError, match="kan ikke fjernes") as told:
        sinks.FolderSink(tmp_path, "event", JOB_ORDERS).put([event])
    assert told.value.place.endswith("0671_JO-1_vestalliancen.json")


def test_a_delivered_file_can_be_read_by_whom_its_owner_lets(tmp_path: Path) -> None:
    """A new one by whom the process's mask lets, one that was there by whom it was."""
    path = tmp_path / "ny" / "a.csv"
    before = os.umask(0o027)
    try:
        sinks.replace_bytes(path, b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o664)
        sinks.replace_bytes(path, b"2")
    finally:
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"2", 0o664)
    assert [one.name for one in path.parent.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ('to = "sql"', "url: Skal skrives, når der leveres til sql."),
        ('to = "csv"\npath = "a.xlsx"', "skal ende på .csv"),
        ('to = "csv"\npath = "a.csv"\nformat = "dfdg"', "format: Bruges ikke, når der leveres til csv."),
        ('to = "sql"\nurl = "sqlite:///a"\ntable = "t"\ncolumns = { a = "titel" }', "Kendes ikke: titel."),
        ('to = "sql"\nurl = "sqlite:///a"\ntable = "t"\ncolumns = { a = "owner" }', "kolonner til subject, alliance"),
        ('to = "sql"\nurl = "x"\ntable = "t"\n' + COLUMNS, "Skriv adressen som"),
        ('to = "word"', "to: Kan kun være"),
    ],
)
def test_a_delivery_that_cannot_be_is_told_before_anything_is_asked(herning: Town, what: str, told: str) -> None:
    """With its place in the file."""
    with pytest.raises(ConnectorFileWrong, match=told):
        herning.deliver(what)


def test_a_token_that_may_not_read_is_told_so(herning: Town) -> None:
    """With the role that it lacks."""
    herning._tokens["0657"] = bearer(herning.served.data, "0657", "publisher")["Authorization"].removeprefix("Bearer ")
    report = herning.deliver('to = "json"\npath = "delt"')
    assert (report.exit_status, "rollen reader" in messages(report)) == (3, True)
    # The gateway hears of it, too: otherwise the connector would only be silent.
    assert herning.state() == ("failing", "forbidden")


def test_a_file_without_anything_to_do_is_told(tmp_path: Path) -> None:
    """Neither published nor delivered."""
    (tmp_path / "a.toml").write_text('name = "a"\nparticipant = "0671"\nsystem = "x"\n')
    with pytest.raises(ConnectorFileWrong, match="eller begge dele"):
        load_connector(tmp_path / "a.toml")
