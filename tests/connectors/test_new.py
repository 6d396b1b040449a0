"""`connect new`: what is proposed for a source, what is asked, and the file that is written."""

import io
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.mapping.sheet_types import all_sheet_types, sheet_type
from municipality_connectors.new.making import Given, new_connector
from municipality_connectors.new.proposing import ProposedField, Sample, answered, fitting_type, propose
from municipality_connectors.new.writing import About, connector_toml
from schemas.identifiers import EventName
from tests.connectors import databases
from tests.connectors.sheets import header_and_rows, orders, write_orders
from tests.connectors.test_connector_examples import EXAMPLES


def made(folder: Path, given: Given, answers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Make a connector file; the exit status, what was shown, and the file."""
    asked = io.StringIO()

    def ask(question: str, default: str) -> str:
        for part, answer in (answers or {}).items():
            if part in question:
                return answer
        return default

    status = new_connector(folder / "ny.toml", given, ask, Console(file=asked, width=200))
    path = folder / "ny.toml"
    return status, asked.getvalue(), path.read_text("utf-8") if path.exists() else ""


def test_a_table_of_ones_own_is_recognised_and_its_codes_are_asked_for(tmp_path: Path) -> None:
    """Answered, the file is whole, and shows the rows as they would be published; nothing leaves by itself."""
    shutil.copy(EXAMPLES / "ordrer.csv", tmp_path)
    answers = {
        "»Aktiv«": "Åben", "»Afsluttet«": "besat", "»Ordinært«": "Ordinært job", "»Navn«": "named",
        "»Anonymt«": "Uden navn",
    }  # fmt: skip
    status, shown, text = made(tmp_path, Given("ordrer.csv", "0671", "opera"), answers)
    assert status == 0
    fields = tomllib.loads(text)["publish"][0]["fields"]
    assert fields["status"] == {"from": "Status", "codes": {"Aktiv": "open", "Afsluttet": "filled"}}
    assert fields["company"]["cvr"] == "CVR-nr."
    assert fields["sharing"]["scope"] == {"value": "own"}
    assert "Intern note" not in text
    assert "3 nye" in shown
    assert shown.count("Ny: job-order") == 3


def test_what_is_not_known_is_left_to_be_filled_in_and_named(tmp_path: Path) -> None:
    """The file says where; until then it publishes nothing."""
    (tmp_path / "a.csv").write_text("Sagsnr;Overskrift\n1;Smed\n", "utf-8")
    status, shown, text = made(tmp_path, Given("a.csv", "0671", "opera", type="job-order"))
    assert (status, "# SKAL UDFYLDES: Virksomhed." in text) == (0, True)
    assert "Disse felter skal have en kolonne eller en fast værdi" in shown


def test_where_a_required_field_is_can_be_answered(tmp_path: Path) -> None:
    """A column by its name, whose codes are then asked for too, or = and what is always so; a wrong answer is told."""
    (tmp_path / "a.csv").write_text("Sagsnr;Rubrik;Art\n1;Smed;F\n", "utf-8")
    asked: list[str] = []
    answers = {"»Titel«": ["Overskrift", "rubrik"], "»Ansættelsestyper«": ["Art"], "»Antal": ["=", "=mange", "= 2"],
               "»F« i kolonnen": ["Fleksjob"]}  # fmt: skip

    def ask(question: str, default: str) -> str:
        asked.append(question)
        left = next((some for part, some in answers.items() if part in question), [])
        return left.pop(0) if left else default

    given = Given("a.csv", "0671", "opera", "http://127.0.0.1:8080", type="job-order")
    assert new_connector(tmp_path / "ny.toml", given, ask, Console(file=io.StringIO())) == 0
    text = (tmp_path / "ny.toml").read_text("utf-8")
    fields = tomllib.loads(text)["publish"][0]["fields"]
    assert (fields["title"], fields["positions"]) == ("Rubrik", {"value": "2"})
    assert fields["employmentTypes"] == {"from": "Art", "codes": {"F": "flex-job"}}
    assert any(question.startswith("Kilden har ingen kolonne, der hedder Overskrift.") for question in asked)
    assert "SKAL UDFYLDES: Virksomhed." in text


@pytest.mark.parametrize("who", ["661", "0661", "Holstebro"])
def test_a_municipality_is_known_by_code_or_name(tmp_path: Path, who: str) -> None:
    """As a person says it."""
    (tmp_path / "a.csv").write_text("Sagsnr;Overskrift\n1;Smed\n", "utf-8")
    _, _, text = made(tmp_path, Given("a.csv", who, "opera", type="job-order"))
    assert tomllib.loads(text)["participant"] == "0661"


def test_a_wrong_answer_is_told_and_asked_again(tmp_path: Path) -> None:
    """Of who one is, of what rows are, and of what a value means."""
    (tmp_path / "a.csv").write_text("Sagsnr;Må deles\n1;Nej\n", "utf-8")
    asked: list[str] = []
    answers = {
        "Hvem er I": ["Holstbro", "Holstebro"], "rækkerne": ["ordre", "job-order"], "»Nej«": ["nej!", "Må ikke deles"],
    }  # fmt: skip

    def ask(question: str, default: str) -> str:
        asked.append(question)
        left = next((some for part, some in answers.items() if part in question), [])
        return left.pop(0) if left else default

    given = Given("a.csv", None, "opera", "http://127.0.0.1:8080")
    assert new_connector(tmp_path / "ny.toml", given, ask, Console(file=io.StringIO())) == 0
    written = tomllib.loads((tmp_path / "ny.toml").read_text("utf-8"))
    assert (written["participant"], written["publish"][0]["type"]) == ("0661", "job-order")
    assert written["publish"][0]["fields"]["employerAgreed"] == {"from": "Må deles", "codes": {"Nej": "no"}}
    told = "".join(question.partition("\n")[0] for question in asked)
    assert all(part in told for part in ("Holstbro er ingen deltager", "ordre kendes ikke", "»nej!« kan ikke bruges"))


def test_an_id_that_no_column_has_is_missing(tmp_path: Path) -> None:
    """Whose columns are described has no cell in which one of ours could be kept; a machine's spelling is known."""
    (tmp_path / "a.csv").write_text("Ansaettelse;VirkNavn\nFleksjob;A/S\n", "utf-8")
    _, shown, text = made(tmp_path, Given("a.csv", "0671", "opera", type="job-order"))
    assert "# SKAL UDFYLDES: Id." in text
    assert "jobOrderId (Id)" in shown
    fields = tomllib.loads(text)["publish"][0]["fields"]
    assert (fields["company"]["name"], "employmentTypes" in fields) == ("VirkNavn", True)


def test_an_answer_means_the_column_that_has_just_that_name() -> None:
    """Of a document's paths several may end alike; where it is not said which, it is asked."""
    sheet = sheet_type(EventName.JOB_ORDER)
    missing = ProposedField(next(column for column in sheet.columns if column.key == "company.name"), missing=True)
    sample = Sample(("medarbejder.navn", "virksomhed.navn"), ())
    assert answered(missing, "virksomhed.navn", sample).column == "virksomhed.navn"
    with pytest.raises(ValueError, match=r"Hvilken af dem: medarbejder.navn, virksomhed.navn"):
        answered(missing, "Navn", sample)


def test_our_own_sheets_need_no_fields(tmp_path: Path) -> None:
    """Their titles say what they are."""
    write_orders(tmp_path / "ordrer.xlsx", orders(4))
    status, shown, text = made(tmp_path, Given("ordrer.xlsx", "0671", "regneark"), {"tabel": "Jobordrer"})
    assert (status, "[publish.fields]" in text) == (0, False)
    assert "4 nye" in shown
    load_connector(tmp_path / "ny.toml")


@pytest.mark.parametrize(
    ("source", "kind"),
    [("kontakter/*.json", "company-contact"), ("besoeg/*.xml", "visit"), ("ordrer.xlsx", "job-order")],
)
def test_other_files_are_looked_into(tmp_path: Path, source: str, kind: str) -> None:
    """Where their items stand, in which row their headings, and what they are."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    status, _, text = made(tmp_path, Given(source, "0671", "fag"))
    assert status == 0
    written: dict[str, Any] = tomllib.loads(text)
    assert written["publish"][0]["type"] == kind
    assert {"items", "header-row"} & set(written["publish"][0])


def test_a_databases_tables_are_looked_into(tmp_path: Path) -> None:
    """The one that fits best is proposed."""
    database = databases.sqlite(tmp_path)
    database.execute("CREATE TABLE log (nr integer, tekst text)")
    with database.connected() as connection:
        connection.executescript((EXAMPLES / "fagsystem.sql").read_text("utf-8"))
    status, _, text = made(tmp_path, Given("sqlite:///fagsystem.db", "0671", "fag", type="job-order"))
    assert (status, tomllib.loads(text)["publish"][0]["table"]) == (0, "ordre")
    assert "intern_note" not in text


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        (Given("findes-ikke.csv", "0671", "x"), 1, "Filen findes ikke"),
        (Given("ind/*.csv", "0671", "x"), 1, "findes ikke"),
        (Given("tom.csv", "0671", "x"), 2, "ingen tabel med overskrifter"),
        (Given("https://fag.example/api", "0671", "x"), 2, "REST-tjeneste kan ikke ses på forhånd"),
        (Given("postgresql://a:b@c/d", "0671", "x"), 2, "Skriv ikke adgangskoden i adressen"),
        (Given("a.csv", "Strur", "x"), 2, "Strur er ingen deltager"),
        (Given("a.csv", "0671", "x", url="gateway"), 2, "gateway er ikke en adresse"),
        (Given("fagsystem.db", "0671", "x"), 2, "skriv sqlite:///fagsystem.db"),
        (Given("a.csv", "0671", "op era"), 2, "systemets navn"),
        (Given("a.csv", "0671", "x", type="ordre"), 2, "ordre kendes ikke"),
        (Given("a.csv", "0671", "x", table="b"), 2, "Kilden har ikke b; den har a.csv"),
    ],
)
def test_what_cannot_be_is_told_and_no_file_is_left(tmp_path: Path, given: Given, status: int, told: str) -> None:
    """In Danish, with what to do."""
    (tmp_path / "a.csv").write_text("Sagsnr;Overskrift\n1;Smed\n", "utf-8")
    (tmp_path / "tom.csv").write_text("x\n", "utf-8")
    found, shown, text = made(tmp_path, given)
    assert (found, text) == (status, "")
    assert told.lower() in shown.lower()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """It may be the work of an afternoon."""
    (tmp_path / "ny.toml").write_text("mit", "utf-8")
    status, shown, text = made(tmp_path, Given("a.csv", "0671", "x"))
    assert (status, text, "findes allerede" in shown) == (2, "mit", True)


@pytest.mark.parametrize("sheet", all_sheet_types(), ids=lambda sheet: str(sheet.name))
def test_every_type_is_recognised_by_our_own_titles(sheet: Any) -> None:
    """And each column by its own."""
    header, rows = header_and_rows(sheet, [])
    sample = Sample(tuple(header), tuple(map(tuple, rows)))
    assert fitting_type(sample) == sheet
    assert {field.column for field in propose(sheet, sample, "0671") if field.column} == set(header)


TITLES = st.lists(
    st.text(min_size=1, max_size=20) | st.sampled_from(["CPR", "Borgers navn", "Intern note", "Status", "Dato", "Id"]),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@example(["Dato"], [["24.11.2026 10:00"], ["\x08"]])
@example(["Dato"], [["24.11.2026 10:00"], ["\nposition = 1\n#"]])
@given(TITLES, st.lists(st.lists(st.none() | st.text(max_size=10) | st.integers(), max_size=12), max_size=3))
def test_whatever_a_source_holds_a_file_comes_of_it(header: list[str], rows: list[list[Any]]) -> None:
    """That is TOML, uses each column at most once, and none that speaks of citizens or is internal."""
    sample = Sample(tuple(header), tuple(map(tuple, rows)))
    sheet = fitting_type(sample)
    fields = propose(sheet, sample, "0671")
    about = About("ny", "0671", "x", "http://127.0.0.1:8080", None, ('kind = "csv"', 'path = "a.csv"'), ())
    written = tomllib.loads(connector_toml(about, sheet, fields, None))
    used = [field.column for field in fields if field.column]
    assert len(used) == len(set(used))
    assert not {"CPR", "Borgers navn", "Intern note"} & set(used)
    assert written["publish"][0]["type"] == sheet.name
    assert "position" not in written["publish"][0]["fields"]
