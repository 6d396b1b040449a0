"""Databases as sources, against real ones: read whole, by what changed, and from a transactional outbox."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import mssql, oracle, postgresql, sqlite
from sqlalchemy.engine import Dialect

from municipality_connectors.connector_file.loading import ConnectorFileWrong, load_connector
from municipality_connectors.report import PublishReport
from municipality_connectors.sources import outbox_table, sql_statements
from municipality_connectors.sources.sql import database_url
from tests.connectors import databases
from tests.connectors.conftest import ORDER_FIELDS, Desk
from tests.connectors.databases import Database, PostgreSql
from tests.connectors.sheets import messages

TABLE = (
    "CREATE TABLE ordre (sagsnr {number}, status {text}, overskrift {text}, fag {text}, antal {number},"
    " opdateret {time}, slettet {number})"
)
INSERT = "INSERT INTO ordre VALUES (%s, %s, %s, %s, %s, %s, 0)"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, desk: Desk) -> Database:
    """A municipality's database with an empty table of orders."""
    if request.param == "sqlite":
        made = databases.sqlite(desk.folder)
    else:
        made = request.getfixturevalue("postgres").database()
    types = {"number": "bigint", "text": "varchar(200)", "time": "timestamp"}
    made.execute(TABLE.format(**types))
    if made.kind == "postgresql":
        made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(made)}")
    (desk.folder / "adgangskode").write_text(databases.PASSWORD + "\n")
    return made


def owner(database: Database) -> str:
    """Return the user in a database's address."""
    return database.url.split("//")[1].split("@")[0]


def source(database: Database, kind: str = "sql") -> str:
    """Return the connector file's source."""
    password = 'password-file = "adgangskode"' if database.kind == "postgresql" else ""
    return f'kind = "{kind}"\nurl = "{database.url}"\n{password}'


def row(number: int, status: str = "A", at: str = "2026-11-20 08:00:00") -> tuple[Any, ...]:
    """Return an order's row."""
    return (number, status, f"Ordre {number}", "Klejnsmed", 2, at)


def counts(report: PublishReport) -> tuple[int, int, int]:
    """Sent, unchanged, refused."""
    return report.accepted, report.unchanged, report.refused


def test_a_table_is_compared_with_what_was_published(desk: Desk, database: Database) -> None:
    """New, changed, unchanged; a row that is gone is taken back where the file asks for it."""
    desk.write(source(database), f'table = "ordre"\nvanished = "withdraw"\nwithdraw-at-most = 0.5\n{ORDER_FIELDS}')
    database.execute(INSERT, [row(1), row(2), row(3)])
    assert counts(desk.run()) == (3, 0, 0)
    database.execute("UPDATE ordre SET status='B' WHERE sagsnr=2")
    database.execute("DELETE FROM ordre WHERE sagsnr=3")
    assert counts(desk.run()) == (2, 1, 0)
    assert desk.states()[-2:] == [("2", "filled"), ("3", "withdrawn")]
    assert counts(desk.run()) == (0, 2, 0)


def test_a_query_takes_the_place_of_a_table(desk: Desk, database: Database) -> None:
    """Its own words, and its own names for the columns."""
    query = "SELECT sagsnr AS \\\"Sagsnr\\\", status, overskrift, fag, antal FROM ordre WHERE status <> 'X'"
    desk.write(source(database), f'query = "{query}"\n{ORDER_FIELDS}')
    database.execute(INSERT, [row(1), row(2, "X")])
    assert counts(desk.run()) == (1, 0, 0)


def test_only_what_changed_is_read_and_nothing_is_missed(desk: Desk, database: Database) -> None:
    """From a little before the newest change: a transaction that ended late is found; its rows are not sent twice."""
    publish = f'table = "ordre"\nchanged-since = "Opdateret"\nchanged = "opdateret"\n{ORDER_FIELDS}'
    desk.write(source(database), publish)
    database.execute(INSERT, [row(1, at="2026-11-20 07:00:00"), row(2, at="2026-11-20 09:00:00")])
    assert counts(desk.run()) == (2, 0, 0)
    # The row with the newest change is read again, and what is at most 65 minutes older: the clock is put back too.
    assert desk.run().rows == 1
    database.execute(INSERT, [row(3, at="2026-11-20 07:58:00")])
    database.execute("UPDATE ordre SET status='B', opdateret='2026-11-20 10:00:00' WHERE sagsnr=1")
    report = desk.run()
    assert (report.accepted, report.unchanged, report.rows) == (2, 1, 3)
    assert {event["subject"] for event in desk.events()[2:]} == {"3", "1"}
    assert [event["time"] for event in desk.events() if event["subject"] == "1"][-1].startswith("2026-11-20T09:00:00")


def test_a_change_that_is_yet_to_come_ends_no_table(desk: Desk, database: Database) -> None:
    """An end that was never set: it is read each time, and so is what changes after it."""
    desk.write(source(database), f'table = "ordre"\nchanged-since = "opdateret"\n{ORDER_FIELDS}')
    database.execute(INSERT, [row(1, at="9999-12-31 00:00:00"), row(2, at="2026-11-20 09:00:00")])
    assert counts(desk.run()) == (2, 0, 0)
    database.execute(INSERT, [row(3, at="2026-11-20 10:00:00")])
    assert counts(desk.run()) == (1, 2, 0)


def test_a_row_that_was_refused_is_told_until_it_is_mended(desk: Desk, database: Database) -> None:
    """Although only what changed is read."""
    desk.write(source(database), f'table = "ordre"\nchanged-since = "opdateret"\n{ORDER_FIELDS}')
    database.execute(INSERT, [row(1, "Q", at="2026-11-20 08:00:00"), row(2, at="2026-11-20 12:00:00")])
    assert counts(desk.run()) == (1, 0, 1)
    report = desk.run()
    assert (report.rows, report.refused, "»Q«" in messages(report)) == (1, 1, True)
    database.execute("UPDATE ordre SET status='B', opdateret='2026-11-20 13:00:00' WHERE sagsnr=1")
    assert desk.run().refused == 0
    assert desk.states()[-1] == ("1", "filled")


def test_a_row_without_an_id_holds_up_nothing_but_its_own_mark(desk: Desk, database: Database) -> None:
    """It is read again until it has one: nobody could say otherwise when it is mended."""
    desk.write(source(database), f'table = "ordre"\nchanged-since = "opdateret"\n{ORDER_FIELDS}')
    database.execute(INSERT, [row(1), row(2)])
    database.execute("INSERT INTO ordre VALUES (NULL, 'A', 'Ordre', 'Klejnsmed', 2, '2026-11-19 08:00:00', 0)")
    assert counts(desk.run()) == (2, 0, 1)
    database.execute("UPDATE ordre SET sagsnr=9 WHERE sagsnr IS NULL")
    assert counts(desk.run()) == (1, 2, 0)


# --- outbox -------------------------------------------------------------------------------------------

OUTBOX = "CREATE TABLE udbakke (nr {serial}, sagsnr bigint, status varchar(9), indhold {json}, sendt timestamp)"
SERIALS = {"sqlite": "integer PRIMARY KEY AUTOINCREMENT", "postgresql": "bigserial PRIMARY KEY"}
PUT = "INSERT INTO udbakke (sagsnr, status, indhold) VALUES (%s, %s, %s)"
PAYLOAD_FIELDS = ORDER_FIELDS.replace('"Overskrift"', '"sag.overskrift"').replace('"Fag"', '"sag.fag[0]"').replace(
    '"Antal"', '"sag.antal"'
)  # fmt: skip


@pytest.fixture
def outbox(database: Database) -> Database:
    """The same database with an outbox table."""
    json = "text" if database.kind == "sqlite" else "jsonb"
    database.execute(OUTBOX.format(serial=SERIALS[database.kind], json=json))
    if database.kind == "postgresql":
        database.execute(f"GRANT ALL ON udbakke TO {owner(database)}")
    return database


def put(number: int, status: str = "A") -> tuple[Any, ...]:
    """Return what a change puts into the outbox."""
    return (number, status, f'{{"sag": {{"overskrift": "Ordre {number}", "fag": ["Klejnsmed"], "antal": 2}}}}')


def outbox_fields(more: str = 'sent = "sendt"') -> str:
    """Return what is published from the outbox."""
    return f'table = "udbakke"\nsequence = "nr"\npayload = "indhold"\n{more}\n{PAYLOAD_FIELDS}'


def test_every_change_in_an_outbox_is_published_in_order(desk: Desk, outbox: Database) -> None:
    """Also several of one thing; what is taken has the time of it, and is not read again."""
    desk.write(source(outbox, "outbox"), outbox_fields())
    outbox.execute(PUT, [put(1, "A"), put(2, "A"), put(1, "B"), put(1, "A")])
    assert counts(desk.run()) == (4, 0, 0)
    assert desk.states() == [("1", "open"), ("2", "open"), ("1", "filled"), ("1", "open")]
    assert outbox.execute("SELECT count(*) FROM udbakke WHERE sendt IS NULL") == [(0,)]
    assert desk.run().rows == 0


@pytest.mark.parametrize(("limit", "value"), [("ROWS_AT_ONCE", 3), ("CHARACTERS_AT_ONCE", 1)])
def test_rows_of_an_outbox_can_be_deleted_instead(
    desk: Desk, outbox: Database, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """Page by page, however many there are and however large."""
    monkeypatch.setattr(outbox_table, limit, value)
    desk.write(source(outbox, "outbox"), outbox_fields(""))
    outbox.execute(PUT, [put(number) for number in range(8)])
    assert counts(desk.run()) == (8, 0, 0)
    assert outbox.execute("SELECT count(*) FROM udbakke") == [(0,)]


def test_a_row_that_cannot_be_read_stays_and_blocks_nobody(
    desk: Desk, outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is mended, or a later row tells of the same thing."""
    monkeypatch.setattr(outbox_table, "ROWS_AT_ONCE", 2)
    desk.write(source(outbox, "outbox"), outbox_fields())
    outbox.execute(PUT, [put(1, "Q"), put(2, "Q"), (3, "A", '{"sag": 1}'), put(4)])
    assert counts(desk.run()) == (1, 0, 3)
    outbox.execute(PUT, [put(1, "B")])
    assert counts(desk.run()) == (1, 0, 3)
    assert desk.states() == [("4", "open"), ("1", "filled")]
    waiting = "SELECT sagsnr FROM udbakke WHERE sendt IS NULL ORDER BY nr"
    assert outbox.execute(waiting) == [(2,), (3,)]
    desk.write(source(outbox, "outbox"), outbox_fields().replace('A = "open"', 'A = "open", Q = "paused"'))
    assert counts(desk.run()) == (1, 0, 1)
    assert desk.states()[-1] == ("2", "paused")


def test_a_row_that_was_kept_but_not_struck_out_is_not_sent_twice(
    desk: Desk, outbox: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ended between the two: several states of a thing, of which the first would look new again."""
    desk.write(source(outbox, "outbox"), outbox_fields())
    outbox.execute(PUT, [put(1, "A"), put(1, "B")])
    monkeypatch.setattr(outbox_table.OutboxPortion, "taken", lambda _self, _unread: None)
    assert counts(desk.run()) == (2, 0, 0)
    monkeypatch.undo()
    assert outbox.execute("SELECT count(*) FROM udbakke WHERE sendt IS NULL") == [(2,)]
    assert counts(desk.run()) == (0, 0, 0)
    assert outbox.execute("SELECT count(*) FROM udbakke WHERE sendt IS NULL") == [(0,)]
    assert len(desk.events()) == 2


def test_a_change_whose_transaction_ends_late_is_not_passed_over(desk: Desk, postgres: PostgreSql) -> None:
    """Its number is lower than that of a row that was read already."""
    made = postgres.database()
    made.execute(OUTBOX.format(serial=SERIALS["postgresql"], json="jsonb"))
    made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(made)}")
    (desk.folder / "adgangskode").write_text(databases.PASSWORD)
    desk.write(source(made, "outbox"), outbox_fields())
    with made.connected() as slow:
        slow.execute(PUT, put(1))
        made.execute(PUT, [put(2)])
        assert counts(desk.run()) == (1, 0, 0)
        slow.commit()
    assert counts(desk.run()) == (1, 0, 0)
    assert desk.states() == [("2", "open"), ("1", "open")]


# --- what goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publish", "told"),
    [
        ('table = "sager"', "Tabellen eller visningen findes ikke"),
        ('query = "SELECT FROM FROM"', "Databasen forstår ikke forespørgslen"),
        ('query = "SELECT findes_ikke FROM ordre"', "En kolonne findes ikke"),
        ('table = "ordre"\nchanged-since = "ændret"', "Kolonnen »ændret« findes ikke. Der er: sagsnr"),
    ],
)
def test_what_is_not_there_is_told_in_danish(desk: Desk, database: Database, publish: str, told: str) -> None:
    """With what there is, where that is known."""
    desk.write(source(database), f"{publish}\n{ORDER_FIELDS}")
    report = desk.run()
    assert (told in messages(report), report.exit_status) == (True, 1)


def test_a_table_without_the_column_says_which_it_has(desk: Desk, database: Database) -> None:
    """As when a system was upgraded."""
    desk.write(source(database), f'table = "ordre"\n{ORDER_FIELDS}')
    database.execute("ALTER TABLE ordre RENAME COLUMN overskrift TO titel")
    assert "Kolonnen »Overskrift« findes ikke. Der er: sagsnr, status, titel" in messages(desk.run())


def test_a_wrong_password_and_a_read_only_user_are_told(desk: Desk, postgres: PostgreSql) -> None:
    """And the password is in no message."""
    made = postgres.database()
    made.execute(TABLE.format(number="bigint", text="text", time="timestamp"))
    password = desk.folder / "adgangskode"
    password.write_text("forkert-kode")
    desk.write(source(made), f'table = "ordre"\n{ORDER_FIELDS}')
    report = desk.run()
    assert "godtager ikke brugernavnet eller adgangskoden" in messages(report)
    assert "forkert-kode" not in messages(report)
    password.write_text(databases.PASSWORD)
    assert "Databasen giver ikke brugeren lov" in messages(desk.run())


def test_a_database_that_goes_away_is_told_and_nothing_is_lost(desk: Desk, postgres: PostgreSql) -> None:
    """Connections are cut while a run is under way; the next one reads on."""
    made = postgres.database()
    made.execute(TABLE.format(number="bigint", text="text", time="timestamp"))
    made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(made)}")
    (desk.folder / "adgangskode").write_text(databases.PASSWORD)
    made.execute(INSERT, [row(number) for number in range(3_000)])
    desk.write(source(made), f'table = "ordre"\nvanished = "withdraw"\n{ORDER_FIELDS}')
    assert desk.run().accepted == 3_000
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='{owner(made)}'"  # noqa: S608
    began = desk.clock_us

    def clock() -> int:
        made.execute(cut)
        return began()

    desk.clock_us = clock
    desk.write(source(made), f'table = "ordre"\nvanished = "withdraw"\n{ORDER_FIELDS}'.replace('"Struer"', '"Herning"'))
    made.execute(cut)
    report = desk.run()
    desk.clock_us = began
    assert report.withdrawn == 0
    assert desk.run().exit_status == 0
    made.execute(f"ALTER ROLE {owner(made)} NOLOGIN")
    report = desk.run()
    assert (report.withdrawn, report.exit_status) == (0, 1)


@pytest.mark.parametrize(
    ("source_lines", "told"),
    [
        ('kind = "sql"\nurl = "ikke en adresse"', "Skriv adressen som"),
        ('kind = "sql"\nurl = "mysql://a@b/c"', "Kender ikke mysql"),
        ('kind = "sql"\nurl = "postgresql://a:hemmelig@b/c"', "Skriv ikke adgangskoden i adressen"),
        ('kind = "sql"\nurl = "postgresql://a@b/c"\npassword-file = "findes-ikke"', "kan ikke læses"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_before_anything_is_read(
    desk: Desk, source_lines: str, told: str
) -> None:
    """With the key in the file."""
    path = desk.write(source_lines, f'table = "ordre"\n{ORDER_FIELDS}')
    with pytest.raises(ConnectorFileWrong, match=told) as error:
        load_connector(path)
    assert "hemmelig" not in str(error.value)


def test_a_driver_that_is_not_installed_is_named(desk: Desk) -> None:
    """With the command that installs it."""
    desk.write('kind = "sql"\nurl = "oracle://bruger@server/fag"', f'table = "ordre"\n{ORDER_FIELDS}')
    assert "pip install 'kommunebro[oracle]'" in messages(desk.run())


def test_types_that_do_not_fit_are_no_lost_connection(desk: Desk, postgres: PostgreSql) -> None:
    """Nor anything else that the database itself refuses."""
    made = postgres.database()
    made.execute("CREATE TABLE ordre (sagsnr bigint, opdateret text)")
    made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner(made)}")
    (desk.folder / "adgangskode").write_text(databases.PASSWORD)
    query = "SELECT sagsnr, opdateret FROM ordre WHERE opdateret = sagsnr"
    desk.write(source(made), f'query = "{query}"\n{ORDER_FIELDS}')
    assert "Databasen afviste forespørgslen" in messages(desk.run())


# --- SQL Server and Oracle, as far as can be shown without them -----------------------------------------

ORDERS = sql_statements.From("Ordre", "dbo", None, ("Nr", "Ret"))
OUT = sql_statements.From("Ud", None, None, ("Nr", "Sendt"))
QUERY = sql_statements.From(None, None, "SELECT 1 AS nr FROM dual", ("nr",))


def spelt(statement: Any, dialect: Dialect) -> str:
    """Return a statement as it is sent."""
    return " ".join(str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).split())


@pytest.mark.parametrize(
    ("statement", "sql_server", "oracle_database"),
    [
        (
            sql_statements.all_rows(ORDERS),
            "SELECT [dbo].[Ordre].[Nr], [dbo].[Ordre].[Ret] FROM [dbo].[Ordre]",
            'SELECT "dbo"."Ordre"."Nr", "dbo"."Ordre"."Ret" FROM "dbo"."Ordre"',
        ),
        (
            sql_statements.changed_rows(ORDERS, "Ret", 7),
            (
                "SELECT [dbo].[Ordre].[Nr], [dbo].[Ordre].[Ret] FROM [dbo].[Ordre]"
                " WHERE [dbo].[Ordre].[Ret] >= 7 OR [dbo].[Ordre].[Ret] IS NULL ORDER BY [dbo].[Ordre].[Ret]"
            ),
            (
                'SELECT "dbo"."Ordre"."Nr", "dbo"."Ordre"."Ret" FROM "dbo"."Ordre"'
                ' WHERE "dbo"."Ordre"."Ret" >= 7 OR "dbo"."Ordre"."Ret" IS NULL ORDER BY "dbo"."Ordre"."Ret"'
            ),
        ),
        (
            sql_statements.waiting_rows(OUT, "Nr", "Sendt", 5, 10),
            (
                "SELECT TOP 10 [Ud].[Nr], [Ud].[Sendt] FROM [Ud] WHERE [Ud].[Nr] > 5 AND [Ud].[Sendt] IS NULL"
                " ORDER BY [Ud].[Nr]"
            ),
            (
                'SELECT "Ud"."Nr", "Ud"."Sendt" FROM "Ud" WHERE "Ud"."Nr" > 5 AND "Ud"."Sendt" IS NULL'
                ' ORDER BY "Ud"."Nr" FETCH FIRST 10 ROWS ONLY'
            ),
        ),
        (
            sql_statements.done_rows(OUT, "Nr", "Sendt", [1, 2]),
            "UPDATE [Ud] SET [Sendt]=CURRENT_TIMESTAMP WHERE [Ud].[Nr] IN (1, 2) AND [Ud].[Sendt] IS NULL",
            'UPDATE "Ud" SET "Sendt"=CURRENT_TIMESTAMP WHERE "Ud"."Nr" IN (1, 2) AND "Ud"."Sendt" IS NULL',
        ),
        (
            sql_statements.done_rows(OUT, "Nr", None, [1]),
            "DELETE FROM [Ud] WHERE [Ud].[Nr] IN (1)",
            'DELETE FROM "Ud" WHERE "Ud"."Nr" IN (1)',
        ),
        (
            sql_statements.all_rows(QUERY),
            "SELECT [q].[nr] FROM (SELECT 1 AS nr FROM dual) AS q",
            'SELECT "q"."nr" FROM (SELECT 1 AS nr FROM dual) q',
        ),
    ],
    ids=["all", "changed", "waiting", "sent", "deleted", "query"],
)
def test_each_system_gets_its_own_spelling(statement: Any, sql_server: str, oracle_database: str) -> None:
    """Names quoted as the system quotes them, its own way to take the first rows."""
    assert spelt(statement, mssql.dialect()).replace("q.[nr]", "[q].[nr]") == sql_server
    assert spelt(statement, oracle.dialect()).replace('q."nr"', '"q"."nr"') == oracle_database


def test_a_name_can_never_be_more_than_a_name() -> None:
    """Whatever stands in a connector file, or in a database's own catalogue."""
    hostile = sql_statements.From('o"; DROP TABLE x; --', None, None, ("a]; DROP TABLE y; --",))
    for dialect in (mssql.dialect(), oracle.dialect(), postgresql.dialect(), sqlite.dialect()):
        text = spelt(sql_statements.all_rows(hostile), dialect)
        assert text.count("DROP TABLE x") == text.count('""; DROP TABLE x') + text.count('[o"; DROP TABLE x; --]')


def test_a_sqlite_file_is_opened_for_reading_alone(tmp_path: Path) -> None:
    """Unless it is an outbox, which is struck out in."""
    assert database_url("sqlite:///fag.db", None, tmp_path).query["mode"] == "ro"
    assert database_url("sqlite:///fag.db", None, tmp_path, writable=True).query["mode"] == "rw"
