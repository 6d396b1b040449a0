"""Registers: dated, and asked with a day."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from schemas.identifiers import Participant
from schemas.registers import Code, Municipality, Registers

TODAY = date(2026, 11, 22)
REGISTERS = Registers.load()


def test_there_are_98_municipalities() -> None:
    """On every day since the reform, each with a region and a point in Denmark."""
    for day in (date(2007, 1, 1), TODAY, date(2030, 1, 1)):
        entries = REGISTERS.municipalities(day)
        assert len(entries) == 98
        assert all(54.5 < entry.latitude < 57.8 and 8 < entry.longitude < 15.2 for entry in entries)
    assert len(REGISTERS.municipality_codes) == 98
    assert all(Participant(code).is_municipality for code in REGISTERS.municipality_codes)


def test_a_municipality_is_found_by_code_and_day() -> None:
    """Struer has its code since the register begins; before that day it is not known."""
    struer = REGISTERS.municipality("0671", TODAY)
    assert struer is not None
    assert (struer.name, struer.region) == ("Struer", "Midtjylland")
    assert REGISTERS.municipality("0671", date(2006, 12, 31)) is None
    assert REGISTERS.municipality("0999", TODAY) is None


def test_regions_change_on_their_day() -> None:
    """Hovedstaden and Sjælland are Østdanmark from 2027: 46 municipalities, with no day between."""
    before, after = (REGISTERS.municipalities(day) for day in (date(2026, 12, 31), date(2027, 1, 1)))
    assert {entry.region for entry in before} == {"Hovedstaden", "Sjælland", "Syddanmark", "Midtjylland", "Nordjylland"}
    assert {entry.region for entry in after} == {"Østdanmark", "Syddanmark", "Midtjylland", "Nordjylland"}
    assert sum(entry.region == "Østdanmark" for entry in after) == 46


def test_a_merged_municipality_is_still_known() -> None:
    """An ended code is no unknown one, and is found on the days that it had."""
    old = Municipality("0999", "Gammelby", "Nordjylland", date(2007, 1, 1), date(2020, 12, 31), 57.0, 10.0)
    new = Municipality("0999", "Nyby", "Nordjylland", date(2023, 1, 1), None, 57.0, 10.0)
    registers = Registers([old, new], [], [])
    assert registers.municipality_codes == {"0999"}
    assert registers.municipality("0999", date(2020, 12, 31)) == old
    assert registers.municipality("0999", date(2021, 6, 1)) is None
    assert registers.municipality("0999", date(2023, 1, 1)) == new


@pytest.mark.parametrize(
    ("system", "code", "label"),
    [
        ("DISCO-08", "7", "Håndværkspræget arbejde"),
        ("DISCO-08", "721400", "Metal, machinery and related trades workers"),
        ("DISCO-08", "9", "Andet manuelt arbejde"),
        ("DISCO-08", "x", None),
        ("ESCO", "http://data.europa.eu/esco/occupation/1", None),
        ("DISCO-08", "", None),
    ],
)
def test_an_occupation_is_found_by_its_nearest_group(system: str, code: str, label: str | None) -> None:
    """Six digits have the words of the two first; what no register knows has none, and is no mistake."""
    found = REGISTERS.occupation(system, code, TODAY)
    assert (found and (found.label_da or found.label_en)) == label


def test_an_industry_is_found_by_its_division() -> None:
    """DB07 has 88 divisions; of DB25 there is nothing yet."""
    found = REGISTERS.industry("DB07", "251100", TODAY)
    assert found is not None
    assert (found.code, found.label_da) == ("25", "Jern- og metalvareindustri, undtagen maskiner og udstyr")
    assert REGISTERS.industry("DB25", "251100", TODAY) is None
    assert REGISTERS.industry("DB07", "251100", date(2007, 12, 31)) is None
    assert sum(REGISTERS.industry("DB07", f"{number:02}", TODAY) is not None for number in range(100)) == 88


def test_no_two_entries_hold_on_one_day() -> None:
    """Each code means one thing at a time, and its rows follow one another."""
    for entries in REGISTERS._municipalities.values():
        for earlier, later in pairwise(entries):
            assert earlier.valid_to is not None
            assert earlier.valid_to + timedelta(days=1) == later.valid_from


def test_a_code_keeps_its_own_words_before_its_groups() -> None:
    """The longest code known on the day is the one that is told."""
    group = Code("DISCO-08", "72", "gruppe", "", date(2010, 1, 1), None)
    exact = Code("DISCO-08", "721400", "klejnsmed", "", date(2010, 1, 1), date(2020, 1, 1))
    registers = Registers([], [group, exact], [])
    assert registers.occupation("DISCO-08", "721400", date(2019, 1, 1)) == exact
    assert registers.occupation("DISCO-08", "721400", date(2021, 1, 1)) == group
