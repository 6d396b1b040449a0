"""Profiles: what is publicly known of a system, marked as to be confirmed, and no more than that."""

import shutil
import tomllib
from pathlib import Path

import pytest

from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.mapping.cells import Choice
from municipality_connectors.mapping.sheet_types import sheet_type
from municipality_connectors.new.making import Given
from municipality_connectors.new.profiles import all_profiles
from schemas.identifiers import EventName
from tests.connectors.test_connector_examples import EXAMPLES
from tests.connectors.test_new import made

EXPORT = """{"jobordrer": [
  {"CompanyRecruitmentIdentifier": "8de97cdf-3e06-5711-9697-88258007ae13", "CompanyRecruitmentTitle": "Klejnsmed",
   "ConceptUriDa": "http://data.europa.eu/esco/occupation/1", "CompanyRecruitmentComment": "om en borger",
   "CompanyRecruitmentStatusTypeIdentifier": "1",
   "CompanyRecruitmentProvider": {"CVRnumberIdentifier": "93100018"}},
  {"CompanyRecruitmentIdentifier": "8de97cdf-3e06-5711-9697-88258007ae14",
   "CompanyRecruitmentStatusTypeIdentifier": "4"}]}"""
"""Made of names that public pages have; how they lie in a real export is not known."""

LACKING = """
company.name = { value = "Vestjysk Staldinventar A/S" }
occupation.label = "CompanyRecruitmentTitle"
positions = { value = 1 }
employmentTypes = { value = "ordinary" }
consultant.name = { value = "Jens Ove Ramskov" }
consultant.unit = { value = "Jobcenter Struer" }
consultant.phone = { value = "+45 00 00 11 04" }
"""


@pytest.mark.parametrize("name", ["opera", "workbase", "facit", "momentum", "dfdg"])
def test_each_says_what_is_known_by_whom_and_what_is_to_be_confirmed(name: str) -> None:
    """All of its fields are ours, and its codes are ours."""
    profile = all_profiles()[name]
    notes = "\n".join(profile.notes())
    assert f"SKAL BEKRÆFTES hos {profile.owner}" in notes
    assert all(url.startswith(("https://", "http://")) for url in profile.sources)
    types = [sheet_type(one) for one in ([profile.type] if profile.type else EventName)]
    known = {column.key: column for sheet in types for column in sheet.columns}
    assert {*profile.names, *profile.prefixes, *profile.codes} <= set(known)
    for key, codes in profile.codes.items():
        kind = known[key].kind
        assert isinstance(kind, Choice)
        assert set(codes.values()) <= set(kind.codes)


def test_an_export_is_recognised_by_public_names(tmp_path: Path) -> None:
    """Each that is has its remark; an internal comment is not read, and a code that is not public is asked for."""
    (tmp_path / "ordrer.json").write_text(EXPORT)
    status, shown, text = made(tmp_path, Given("ordrer.json", "0671", profile="dfdg"), {"»4«": "filled"})
    assert (status, "SKAL BEKRÆFTES hos STAR" in shown, "# Profil: DFDG" in text) == (0, True, True)
    written = tomllib.loads(text)
    assert written["system"] == "dfdg"
    fields = written["publish"][0]["fields"]
    assert fields["jobOrderId"] == "CompanyRecruitmentIdentifier"
    assert fields["status"] == {"from": "CompanyRecruitmentStatusTypeIdentifier", "codes": {"1": "open", "4": "filled"}}
    assert fields["company"]["cvr"] == "CompanyRecruitmentProvider.CVRnumberIdentifier"
    assert fields["externalIds"] == {"template": "DFDG: {CompanyRecruitmentIdentifier}"}
    assert text.count("bekræft det hos STAR") >= 5
    assert "CompanyRecruitmentComment" not in text
    # `codes` is a word of a rule, too; here it is a field.
    assert "har intet felt" not in shown


def test_a_service_that_cannot_be_looked_at_is_described_by_what_is_known(tmp_path: Path) -> None:
    """What is not known stands there to be filled in; with that, it is a connector."""
    status, _, text = made(tmp_path, Given("https://dfdg.example/api", "0671", profile="dfdg"))
    assert (status, 'kind = "rest"' in text) == (0, True)
    assert text.count("# SKAL UDFYLDES: ") == len(LACKING.split("\n")) - 2
    (tmp_path / "ny.toml").write_text(text + LACKING, "utf-8")
    [plan] = load_connector(tmp_path / "ny.toml").plans
    assert plan.fields is not None
    assert {"occupation.label", "occupation.codes", "externalIds"} <= set(plan.fields)


def test_a_system_of_which_no_names_are_public_is_proposed_by_its_own_columns(tmp_path: Path) -> None:
    """As without a profile, but it says so."""
    shutil.copy(EXAMPLES / "ordrer.csv", tmp_path)
    _, _, without = made(tmp_path, Given("ordrer.csv", "0671", "opera"))
    (tmp_path / "ny.toml").unlink()
    _, _, text = made(tmp_path, Given("ordrer.csv", "0671", profile="opera"))
    assert [line for line in text.splitlines() if line not in without.splitlines()] == [
        f"# {note}" for note in all_profiles()["opera"].notes()
    ]


def test_a_profile_that_is_none_names_those_that_are(tmp_path: Path) -> None:
    """So does a service without a profile that knows it."""
    status, shown, _ = made(tmp_path, Given("a.csv", "0671", profile="fasit"))
    assert (status, "Der er dfdg, facit, momentum, opera, workbase." in shown) == (2, True)
    status, shown, _ = made(tmp_path, Given("https://momentum.example", "0671", profile="momentum"))
    assert (status, "examples/connectors/ordrer-rest.toml" in shown) == (2, True)
