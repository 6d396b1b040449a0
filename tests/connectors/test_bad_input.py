"""Bad input through a connector: one clear message in Danish that says where and what to do, and the rest goes on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse

from municipality_connectors.report import PublishReport
from tests.connectors import databases
from tests.connectors.case_system import TOKEN, CaseSystem, case_system
from tests.connectors.conftest import ORDER_FIELDS, ORDER_HEADER, Desk
from tests.connectors.databases import PostgreSql
from tests.connectors.sheets import write_rows
from tests.connectors.test_connecting import order
from tests.connectors.test_excel import rewritten

CPR = "010190-1234"
PASSWORD = "ikke-den-rigtige"


pytestmark = pytest.mark.usefixtures("at_once")


def told(report: PublishReport, where: str, *words: str) -> None:
    """Check that a report has one refusal, that it says where, and that nobody's number or password is in it."""
    [refusal] = report.refusals
    place = " ".join(str(part) for part in (refusal.file, refusal.sheet, refusal.row, refusal.column) if part)
    assert where in place, place
    assert all(word in refusal.message for word in words), refusal.message
    assert CPR not in str(report.as_json())
    assert PASSWORD not in str(report.as_json())
    assert report.exit_status == 1


def rows(path: Path, *some: Sequence[Any], header: Sequence[str] = ORDER_HEADER, worksheet: str = "Ordrer") -> Path:
    """Write a workbook with rows of orders."""
    return write_rows(path, header, some, worksheet)


def empty(path: Path) -> None:
    """Nothing at all, not even headings."""
    write_rows(path, [], [], "Ordrer")


def wrong_sheet(path: Path) -> None:
    """Another worksheet than the connector file names."""
    rows(path, order(2), worksheet="Ark1")


def changed_header(path: Path) -> None:
    """Somebody called a column otherwise."""
    rows(path, order(2), header=["Titel" if name == "Overskrift" else name for name in ORDER_HEADER])


def formula_error(path: Path) -> None:
    """As Excel keeps it: the formula, and the error as its value."""
    rows(path, order(3), order(2, Antal=77))
    error = b'<c r="E3" t="e"><f>D1/0</f><v>#DIV/0!</v></c>'
    rewritten(path, lambda name, content: content.replace(b'<c r="E3" t="n"><v>77</v></c>', error))


def too_large(path: Path) -> None:
    """100 MB."""
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def bomb(path: Path) -> None:
    """A thousand bytes for one."""
    rows(path, order(2))
    rewritten(path, lambda name, content: content + b" " * 40_000_000 if "sheet1" in name else content)


def macros(path: Path) -> None:
    """With another ending it would still have them."""
    rows(path, order(2))
    rewritten(path, lambda _, content: content, xl__vbaProject_dot_bin=b"\xd0\xcf")


@pytest.mark.parametrize(
    ("make", "where", "words", "sent"),
    [
        (empty, "daarlig.xlsx", ("tom",), 1),
        (wrong_sheet, "daarlig.xlsx", ("»Ordrer«", "»Ark1«"), 1),
        (changed_header, "daarlig.xlsx", ("»Overskrift«", "mangler"), 1),
        (formula_error, "Ordrer 3", ("#DIV/0!",), 2),
        (too_large, "daarlig.xlsx", ("100 MB",), 1),
        (bomb, "daarlig.xlsx", ("zip-bombe",), 1),
        (macros, "daarlig.xlsx", ("makroer", ".xlsx"), 1),
        (lambda path: rows(path, order(3), order(2, Overskrift=f"Smed til {CPR}")), "Ordrer 3", ("CPR-nummer",), 2),
        (lambda path: rows(path, order(3), order(2, "Z")), "Ordrer 3 Status", ("»Z«", "A, B, T"), 2),
        (lambda path: rows(path, order(3), order(1, Overskrift="B")), "Ordrer 3 Sagsnr", ("god.xlsx",), 2),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_workbook_among_good_ones(
    desk: Desk, make: Callable[[Path], Any], where: str, words: tuple[str, ...], sent: int
) -> None:
    """Its other rows, and the file beside it, are published; it is told again at the next run, and sent when mended."""
    folder = desk.folder / "eksport"
    folder.mkdir()
    desk.write('kind = "excel"\npath = "eksport/*.xlsx"', f'worksheet = "Ordrer"\n{ORDER_FIELDS}')
    make(folder / "daarlig.xlsx")
    rows(folder / "god.xlsx", order(1))
    # Of two files that disagree the later one is asked about.
    (folder / "daarlig.xlsx").rename(bad := folder / "øh-daarlig.xlsx")
    report = desk.run()
    told(report, where, *words)
    assert report.accepted == sent
    again = desk.run()
    told(again, where, *words)
    assert again.accepted == 0
    rows(bad, order(3), order(2))
    mended = desk.run()
    assert (mended.refused, mended.exit_status) == (0, 0)
    assert sorted({thing for thing, _ in desk.states()}) == ["1", "2", "3"]


def test_a_broken_quote_in_a_csv_file(desk: Desk) -> None:
    """It could swallow every row after it, so nothing of that file is sent; the one beside it is."""
    desk.write('kind = "csv"\npath = "*.csv"')
    header = ";".join(ORDER_HEADER)
    (desk.folder / "a.csv").write_text(f'{header}\r\n2;A;"Ordre 2;Smed;1\r\n3;A;Ordre 3;Smed;1\r\n')
    (desk.folder / "b.csv").write_text(f"{header}\r\n1;A;Ordre 1;Smed;1\r\n")
    report = desk.run()
    told(report, "a.csv", "citationstegn", "række 2")
    assert report.accepted == 1


TWO_TABLES = f'table = "ordre"\n{ORDER_FIELDS}\n[[publish]]\ntable = "anden"\n{ORDER_FIELDS}'
TABLE = "CREATE TABLE {} (sagsnr bigint, status text, overskrift text, fag text, antal bigint)"
INSERT = "INSERT INTO {} VALUES (%s, %s, %s, %s, %s)"


def test_a_database_without_the_column_with_a_wrong_password_and_gone(desk: Desk, postgres: PostgreSql) -> None:
    """Another table goes on; without a database there is no other, and nothing that was sent is taken back."""
    made = postgres.database()
    user = made.url.split("//")[1].split("@")[0]
    for number, table in enumerate(("ordre", "anden"), 1):
        made.execute(TABLE.format(table))
        made.execute(INSERT.format(table), [(number, "A", "Titel", "Smed", 1)])
    made.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}")
    made.execute("ALTER TABLE ordre RENAME COLUMN overskrift TO titel")
    (desk.folder / "kode").write_text(databases.PASSWORD)
    asking = 'vanished = "withdraw"\nwithdraw-at-most = 1.0\n'
    withdrawing = TWO_TABLES.replace("[publish.fields]", f"{asking}[publish.fields]")
    desk.write(f'kind = "sql"\nurl = "{made.url}"\npassword-file = "kode"', withdrawing)
    report = desk.run()
    told(report, "ordre", "»Overskrift« findes ikke", "sagsnr, status, titel")
    assert report.accepted == 1
    (desk.folder / "kode").write_text(PASSWORD)
    told(desk.run(), user, "brugernavnet eller adgangskoden", "password-file")
    (desk.folder / "kode").write_text(databases.PASSWORD)
    made.execute(f"ALTER ROLE {user} NOLOGIN")
    report = desk.run()
    told(report, user)
    assert (report.withdrawn, report.accepted) == (0, 0)


def test_a_service_that_answers_with_a_web_page(desk: Desk) -> None:
    """Such as one to log in at; its other list goes on."""
    fields = ORDER_FIELDS.replace('"Overskrift"', '"tekster.overskrift"').replace('"Status"', '"tilstand.kode"')
    fields = fields.replace('"Fag"', '"fag[0].navn"').replace('"Antal"', '"antal"').replace('"Sagsnr"', '"nr"')
    one = f'path = "/sager"\nitems = "data.sager"\n{fields}'
    with case_system() as system:
        (desk.folder / "token").write_text(TOKEN)
        source = f'kind = "rest"\nurl = "{system.url}/api"\nrequests-per-second = 1000\ntoken-file = "token"'
        desk.write(source, f"{one}\n[[publish]]\n{one}")
        _one_case(system)
        system.answers = [HTMLResponse("<html>Log ind</html>")]
        report = desk.run()
    told(report, "/sager", "webside (HTML)")
    assert report.accepted == 1


def _one_case(system: CaseSystem) -> None:
    system.cases = [
        {
            "nr": 1, "tilstand": {"kode": "A"}, "tekster": {"overskrift": "Ordre"}, "fag": [{"navn": "Klejnsmed"}],
            "antal": 2, "opdateret": "2026-11-20T08:00:00Z", "borger": {"cpr": CPR},
        }
    ]  # fmt: skip
