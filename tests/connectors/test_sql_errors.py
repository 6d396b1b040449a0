"""What drivers say when something is wrong, whichever the system and the language."""

import psycopg
import pytest

from municipality_connectors.sources.sql_errors import source_error


@pytest.mark.parametrize(
    ("detail", "problem"),
    [
        ("('28000', '[Microsoft][ODBC Driver 18 for SQL Server]Login failed for user (18456)')", "wrong-password"),
        ("[42S02] Invalid object name 'dbo.sager'. (208)", "missing-table"),
        ("[42S22] Invalid column name 'titel'. (207)", "missing-column"),
        ("ORA-01017: invalid username/password; logon denied", "wrong-password"),
        ("ORA-00942: table or view does not exist", "missing-table"),
        ('ORA-00904: "TITEL": invalid identifier', "missing-column"),
        ('connection to server at "10.0.0.1", port 5432 failed: Connection refused', "database-away"),
        ("ORA-12541: TNS:no listener", "database-away"),
        ("ORA-12514: TNS:listener does not currently know of service requested", "missing-database"),
        ('connection to server at "10.0.0.1", port 28000 failed: Connection refused', "database-away"),
        ('connection to server at "10.0.0.1", port 18456 failed: server closed the connection', "database-away"),
        ("connection failed: FATAL:  password-godkendelse mislykkedes for bruger »fag«", "wrong-password"),
        ("connection failed: FATAL:  adgangskoden for »fag« er forkert", "wrong-password"),
        ("connection failed: FATAL:  Passwort-Authentifizierung für Benutzer »fag« fehlgeschlagen", "wrong-password"),
        ("connection failed: FATAL:  rollen »fag« findes ikke", "not-let-in"),
        ('connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.2"', "not-let-in"),
        ('connection failed: connection to server at "a", port 1 failed: Forbindelse nægtet', "database-away"),
        ("connection failed: FATAL:  sorry, too many clients already", "database-away"),
        ("connection failed: FATAL:  the database system is starting up", "database-away"),
        ('operator does not exist: text = integer: "28P01 42703"', "query-refused"),
        ("ORA-01722: invalid number", "query-refused"),
        (
            "[22018] Conversion failed when converting the varchar value '42501' to data type int. (245)",
            "query-refused",
        ),
        ("('08S01', '[08S01] [Microsoft]TCP Provider: Error code 0x68 (104)')", "database-away"),
        ("('HYT00', '[HYT00] [Microsoft]Login timeout expired')", "database-away"),
        ("database is locked", "database-away"),
    ],
)
def test_errors_of_every_system_are_known(detail: str, problem: str) -> None:
    """By the words and numbers of their own manuals."""
    assert source_error(detail, "ordre").problem == problem


class DriverError(Exception):
    """An error as psycopg raises it."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("orig", "problem"),
    [
        (DriverError("kolonnen »titel« findes ikke", "42703"), "missing-column"),
        (DriverError("relationen »ordre« findes ikke", "42P01"), "missing-table"),
        (DriverError("adgang nægtet", "42501"), "not-allowed"),
        (DriverError("afslutter forbindelsen", "57P01"), "database-away"),
        (DriverError('ugyldig værdi: "Login failed"', "22P02"), "query-refused"),
        (DriverError("typerne passer ikke", "42804"), "query-refused"),
        (psycopg.OperationalError("forbindelsen blev lukket"), "database-away"),
        (psycopg.DataError("timestamp too large (after year 10K)"), "query-refused"),
        (Exception("42S02", "[42S02] Ugyldigt objektnavn. (208)"), "missing-table"),
        (Exception("42000", "[42000] Cannot open database »fag« requested by the login. (4060)"), "missing-database"),
        (Exception("08001", "[08001] Forbindelsen kan ikke oprettes"), "database-away"),
    ],
)
def test_an_error_is_known_by_its_state_in_whichever_language_it_is_told(orig: Exception, problem: str) -> None:
    """A cell that it repeats decides nothing."""
    assert source_error(str(orig), "ordre", orig=orig).problem == problem
