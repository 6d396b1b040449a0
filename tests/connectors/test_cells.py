"""What cells mean, one kind of column after another."""

# ruff: noqa: DTZ001  # Excel's cells have no time zone

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from municipality_connectors.mapping.cells import CHOICE, CHOICES, INTEGER, NUMBER, TEXT, TEXTS, YES_NO, CellError, Kind
from municipality_connectors.mapping.codes import (
    ALLIANCES,
    CVR,
    EXTERNAL_IDS,
    INDUSTRY_CODES,
    MUNICIPALITY,
    OCCUPATION_CODES,
    P_NUMBER,
    PARTICIPANT_ID,
    POSTCODE,
    Expectations,
    municipality_names,
)
from municipality_connectors.tables import Cell, checked_text, quoted
from schemas.identifiers import EventName

STATUS = CHOICE.bound(EventName.JOB_ORDER, "/status")
TYPES = CHOICES.bound(EventName.JOB_ORDER, "/employmentTypes")
SIZE = CHOICE.bound(EventName.JOB_ORDER, "/company/sizeBand")
BAND = CHOICE.bound(EventName.COMPANY_COOPERATION, "/band")


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (TEXT, "  Klejnsmed\r\n ", "Klejnsmed"),
        (TEXT, 7600.0, "7600"),
        (TEXT, 37.5, "37,5"),
        (TEXT, date(2026, 11, 23), "23-11-2026"),
        (TEXT, datetime(2026, 11, 23, 8, 5), "23-11-2026 08:05"),
        (TEXT, time(8, 5), "08:05"),
        (TEXT, True, "Ja"),
        (TEXT, "linje 1_x000D_\nlinje 2", "linje 1\nlinje 2"),
        (NUMBER, "37,5", 37.5),
        (NUMBER, "37.5", 37.5),
        (NUMBER, "1.234,5", 1234.5),
        (NUMBER, "1.234", 1234),
        (NUMBER, "1 234", 1234),
        (NUMBER, 37.0, 37),
        (INTEGER, "3", 3),
        (INTEGER, "3,0", 3),
        (YES_NO, "ja", True),
        (YES_NO, "X", True),
        (YES_NO, False, False),
        (YES_NO, "Nej", False),
        (STATUS, "Åben", "open"),
        (STATUS, "  nok  KANDIDATER ", "enough-candidates"),
        (STATUS, "enough-candidates", "enough-candidates"),
        (TYPES, "Ordinært job; Fleksjob", ["ordinary", "flex-job"]),
        (TYPES, "Ordinært job, Fleksjob\nFleksjob;", ["ordinary", "flex-job"]),
        (SIZE, "10-49", "10-49"),
        (SIZE, datetime(2026, 9, 2), "2-9"),
        (SIZE, datetime(1949, 10, 1), "10-49"),
        (BAND, datetime(2026, 4, 1), "1-4"),
        (TEXTS, "MAG-svejsning;\nGerne kørekort, kat. B; ", ["MAG-svejsning", "Gerne kørekort, kat. B"]),
        (CVR, 93100018, "93100018"),
        (CVR, "DK-93 10 00 18", "93100018"),
        (P_NUMBER, 1999000011.0, "1999000011"),
        (POSTCODE, 800, "0800"),
        (POSTCODE, "DK-7600", "7600"),
        (POSTCODE, "D-24937", "D-24937"),
        (MUNICIPALITY, "Struer", "0671"),
        (MUNICIPALITY, "struer kommune", "0671"),
        (MUNICIPALITY, 671, "0671"),
        (MUNICIPALITY, "0671", "0671"),
        (MUNICIPALITY, "Ringkøbing Skjern", "0760"),
        (MUNICIPALITY, "Århus", "0751"),
        (PARTICIPANT_ID, "Herning", "0657"),
        (PARTICIPANT_ID, "erhvervshus-midtjylland", "erhvervshus-midtjylland"),
        (ALLIANCES, "Vestalliancen; Fælles fynsk fodslag", ["vestalliancen", "faelles-fynsk-fodslag"]),
        (INDUSTRY_CODES, "DB07 25.11.00; db25: 013000 Planteformering",
         [{"system": "DB07", "code": "251100"}, {"system": "DB25", "code": "013000", "label": "Planteformering"}]),
        (OCCUPATION_CODES, "DISCO-08 721400", [{"system": "DISCO-08", "code": "721400"}]),
        (OCCUPATION_CODES, "ESCO (STAR) 12345 Smed", [{"system": "ESCO-STAR", "code": "12345", "label": "Smed"}]),
        (EXTERNAL_IDS, "DFDG: 8de97cdf; KMD Momentum: 7",
         [{"system": "DFDG", "id": "8de97cdf"}, {"system": "KMD Momentum", "id": "7"}]),
        (Expectations(3), "Lastbilchauffør: stigende (4); Smed: Uændret", [
            {"occupation": {"label": "Lastbilchauffør"}, "horizonMonths": 3, "direction": "increase", "positions": 4},
            {"occupation": {"label": "Smed"}, "horizonMonths": 3, "direction": "unchanged"}]),
    ],
)  # fmt: skip
def test_a_cell_is_understood_as_its_owner_meant_it(kind: Kind, cell: Cell, value: object) -> None:
    """Danish spellings, codes, and what Excel made of what was typed."""
    assert kind.parse(cell) == value


@pytest.mark.parametrize(
    ("kind", "cell", "words"),
    [
        (NUMBER, "mange", "ikke et tal"),
        (INTEGER, "2,5", "ikke et helt tal"),
        (INTEGER, "1e3", "ikke et tal"),
        (YES_NO, "måske", "Skriv Ja eller Nej"),
        (STATUS, "Åben for alle", "Skriv en af: Åben, Nok kandidater"),
        (STATUS, "Besatt", "Mente du »Besat«?"),
        (CVR, "9310001", "8 cifre"),
        (P_NUMBER, "12", "10 cifre"),
        (MUNICIPALITY, "Strur", "ikke en dansk kommune"),
        (PARTICIPANT_ID, "Jobcenter Vest", "deltagers id"),
        (INDUSTRY_CODES, "251100", "DB07 251100"),
        (OCCUPATION_CODES, "721400", "DISCO-08 721400"),
        (EXTERNAL_IDS, "8de97cdf", "kolon"),
        (Expectations(12), "Smed stigende", "Klejnsmed: stigende (3)"),
        (Expectations(12), "Smed: voldsomt", "Stigende, Uændret"),
        (TEXT, checked_text("#REF!"), "formelfejlen #REF!"),
        (TEXT, checked_text("#I/T"), "formelfejlen #I/T"),
        (TEXT, checked_text("x" * 32_768), "32767 tegn"),
    ],
)
def test_a_cell_that_is_not_understood_says_what_was_expected(kind: Kind, cell: Cell, words: str) -> None:
    """One sentence in Danish, for whoever filled the sheet in."""
    with pytest.raises(CellError, match=words.replace("(", r"\(").replace(")", r"\)")):
        kind.parse(cell)


@pytest.mark.parametrize("kind", [STATUS, TYPES, CVR, MUNICIPALITY, YES_NO, NUMBER, INDUSTRY_CODES, EXTERNAL_IDS])
@pytest.mark.parametrize("cell", ["010190-1234", "Ring til 010190 1234 i morgen", "0101901234"])
def test_a_citizens_number_is_never_repeated(kind: Kind, cell: str) -> None:
    """A message shows what stood in the cell, but not what may be somebody's number."""
    with pytest.raises(CellError) as raised:
        kind.parse(cell)
    assert "1234" not in str(raised.value)


def test_a_long_cell_is_shortened_in_messages() -> None:
    """A description in the wrong column does not fill the screen."""
    assert len(quoted("ord " * 100)) < 50


@given(st.integers(-(10**6), 10**6))
def test_whole_numbers_are_read_in_every_danish_spelling(number: int) -> None:
    """With and without points between the thousands, and with a superfluous decimal."""
    grouped = f"{number:,}".replace(",", ".")
    assert {NUMBER.parse(spelling) for spelling in (str(number), grouped, f"{number},0", number, float(number))} == {
        number
    }


@given(st.decimals(-(10**6), 10**6, places=2))
def test_decimals_are_read_with_a_comma(number: object) -> None:
    """Two decimals, as in hours a week."""
    assert NUMBER.parse(str(number).replace(".", ",")) == float(str(number))


@given(st.text(max_size=60))
def test_no_text_breaks_a_kind(text: str) -> None:
    """Every kind gives a value or a `CellError` for whatever a cell holds."""
    for kind in (TEXT, NUMBER, YES_NO, STATUS, TYPES, CVR, MUNICIPALITY, INDUSTRY_CODES, EXTERNAL_IDS, Expectations(3)):
        try:
            kind.parse(text)
        except CellError:
            continue


def test_every_municipality_is_found_by_its_name() -> None:
    """All 98, as they are offered in the drop-down list, in Danish order."""
    names = municipality_names()
    assert len(names) == 98
    assert len({MUNICIPALITY.parse(name) for name in names}) == 98
    assert all(MUNICIPALITY.show(MUNICIPALITY.parse(name)) == name for name in names)
    assert (names[0], names[-1]) == ("Albertslund", "Aarhus")
