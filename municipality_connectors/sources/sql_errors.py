"""What a database says when something is wrong, in words that help its owner: one table of patterns. Pure."""

import re
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from municipality_connectors.tables import SourceError, quoted

DETAIL_CHARACTERS_MAX = 160


class _Sign(NamedTuple):
    """Something by which an error is known.

    states: SQL's own codes, in whichever language the rest is told. pattern: in what the driver says, for any system.
    """

    problem: str
    states: str
    pattern: re.Pattern[str]
    message: str


def _sign(problem: str, states: str, words: str, message: str) -> _Sign:
    # As ODBC has a code in its text: ('28000', or [28000]. A port or a cell may have the same digits.
    pattern = rf"(?:\[|^\(')(?:{states})[\]']|{words}" if states else words
    return _Sign(problem, states, re.compile(pattern, re.IGNORECASE), message)


_AWAY = _sign(
    "database-away",
    r"08\w{3}|57P0\d|53\w{3}|58\w{3}|HYT0\d",
    r"Connection refused|could not connect|connection timeout|timeout expired|timed out|(?:server|unexpectedly) closed"
    r"|connection (?:is|was|has been|already)?\s*(?:closed|lost|reset)|terminating connection|could not receive data"
    r"|could not send data|could not translate host|failed to resolve host|Name or service not known|No route to host"
    r"|Network is unreachable|No such file or directory|Communication link failure|SSL SYSCALL|starting up"
    r"|shutting down|recovery mode|too many (?:clients|connections)|remaining connection slots|database is locked"
    r"|disk I/O error|\bORA-12[15]\d\d\b|\bORA-03(?:113|114|135)\b|\bDPY-(?:6\d{3}|4011)\b",
    "Databasen kan ikke nås, eller forbindelsen blev afbrudt. Kører den, og er adressen i »url« rigtig? "
    "Der prøves igen ved næste kørsel.",
)
_REFUSED = (
    "Databasen afviste forespørgslen. Passer kolonnernes typer til »query«, »changed-since« eller det, der skrives? "
    "Vis beskeden til den, der passer databasen."
)
_SIGNS = (
    _sign(
        "wrong-password",
        "28P01|28000",
        r"password authentication failed|no password supplied|\(18456\)|Login failed|\bORA-01017\b"
        r"|role .* does not exist|is not permitted to log in"
        # PostgreSQL tells no state of a connection that it refuses, and says why in its own language.
        r"|\bFATAL\w*:.*(?:password|passwort|passord|adgangskode|kodeord|lösenord|mot de passe)",
        "Databasen godtager ikke brugernavnet eller adgangskoden. Ret »url« eller filen i »password-file«.",
    ),
    # Before the table: PostgreSQL names both, »column x of relation y does not exist«.
    _sign(
        "missing-column",
        "42703|42S22",
        r"no such column|Invalid column name|\bORA-00904\b|column .* does not exist",
        "En kolonne findes ikke i tabellen. Ret forbindelsesfilen, eller se efter, om tabellen er ændret.",
    ),
    _sign(
        "missing-table",
        "42P01|42S02",
        r"no such table|Invalid object name|\bORA-00942\b|relation .* does not exist",
        "Tabellen eller visningen findes ikke, eller brugeren må ikke læse den. Ret »table«, eller bed om læseadgang.",
    ),
    _sign(
        "not-allowed",
        "42501|25006",
        r"permission denied|\bORA-01031\b|permission was denied|readonly database|read-only transaction",
        "Databasen giver ikke brugeren lov. Bed om læseadgang (og til en outbox-tabel om at måtte opdatere den).",
    ),
    _sign(
        "missing-database",
        "3D000",
        r"unable to open database file|file is not a database|Cannot open database|\bORA-12514\b"
        r"|database .* does not exist",
        "Databasen findes ikke. Er navnet eller stien i »url« rigtig?",
    ),
    _sign(
        "wrong-query",
        "42601",
        r"syntax error|Incorrect syntax|\bORA-009\d\d\b",
        "Databasen forstår ikke forespørgslen i »query«. Prøv den i databasens eget program.",
    ),
    _AWAY,
    _sign(
        "not-let-in",
        "",
        r"\bFATAL\w*:",
        "Databasen svarer, men lukker os ikke ind. Er brugernavnet, adgangskoden og databasens navn rigtige, og må "
        "denne maskine komme ind? Vis beskeden til den, der passer databasen.",
    ),
    _AWAY._replace(pattern=re.compile(r"connection failed|connection to server")),
)

_STATE = re.compile(r"[0-9A-Z]{5}")
_TELLS_NOTHING = re.compile(r"42000|37000|(?:HY|IM|01|S1)\w{3}")
"""States that ODBC gives to whatever it knows no other for."""


def source_error(
    detail: str, place: str, *, orig: BaseException | None = None, sqlstate: str | None = None, lost: bool = False
) -> SourceError:
    """Return what a driver's error means. detail: its own words, which may repeat a cell and so are shortened.

    orig: the driver's error itself, which tells its state (`sqlstate`) in most systems. lost: whether the connection
    is known to be lost, where nothing says why.
    """
    text = " ".join(detail.split())
    sign = _known(text, sqlstate or _state_of(orig)) or (_AWAY if lost or _is_of_no_answer(orig) else None)
    problem, message = ("query-refused", _REFUSED) if sign is None else (sign.problem, sign.message)
    shown = quoted(text[:DETAIL_CHARACTERS_MAX])
    return SourceError(problem, f"{message} ({shown})", place=place)


def error_of(error: SQLAlchemyError, place: str) -> SourceError:
    """Return what an error means that SQLAlchemy raised, its driver's or its own."""
    if not isinstance(error, DBAPIError):
        return source_error(str(error), place)
    return source_error(str(error.orig), place, orig=error.orig, lost=error.connection_invalidated)


def _known(text: str, state: str | None) -> _Sign | None:
    """Return by what an error is known: its state, and only where that tells nothing its words."""
    if state is not None:
        for sign in _SIGNS:
            if sign.states and re.fullmatch(sign.states, state):
                return sign
        if not _TELLS_NOTHING.fullmatch(state):
            return None
    return next((sign for sign in _SIGNS if sign.pattern.search(text)), None)


def _state_of(orig: BaseException | None) -> str | None:
    """Return a driver's state: psycopg's attribute, or what ODBC puts first."""
    state = getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
    if state is None and orig is not None and len(orig.args) > 1:
        state = orig.args[0]
    return state if isinstance(state, str) and _STATE.fullmatch(state) else None


def _is_of_no_answer(orig: BaseException | None) -> bool:
    """Whether psycopg raised it without an answer of the server, and so without a state."""
    return type(orig).__name__ == "OperationalError" and getattr(orig, "sqlstate", "") is None
