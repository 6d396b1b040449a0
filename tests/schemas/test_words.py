"""The Danish words: labels of properties and values, and what is wrong said to a sheet's owner."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import labels
from schemas.danish import explain
from schemas.event import Violation
from schemas.identifiers import EventName
from schemas.packaged import full_schemas, newest
from schemas.tree import Schema, properties
from tests.schemas import make_counterexamples
from tests.schemas.test_examples import refusal as refusal_of
from tests.schemas.test_registry import order, refusal

FULL = pytest.mark.parametrize("schema", full_schemas(), ids=lambda schema: schema["$id"])
ENGLISH = re.compile(r"\b(the|is|not|must|should|missing|value|None|required|property)\b")


def test_labels_are_found_by_name_and_pointer() -> None:
    """At the top, inside parts, in lists with and without an index, and for the type itself."""
    assert labels.label("job-order", "") == "Jobordre"
    assert labels.label("job-order", "/positions") == "Antal stillinger"
    assert labels.label("job-order", "/company/cvr") == "CVR-nummer"
    assert labels.label("visit", "/outlook/0/direction") == labels.label("visit", "/outlook/direction") == "Forventning"
    assert labels.label("job-order-shared", "/status") == "Status"


@pytest.mark.parametrize(
    ("name", "pointer"), [("job-order", "/none"), ("none", ""), ("job-order", "/status/x"), ("job-order", "x")]
)
def test_an_unknown_place_has_no_label(name: str, pointer: str) -> None:
    """A connector's mistake is found when it is made."""
    with pytest.raises(KeyError):
        labels.label(name, pointer)


def test_values_and_their_labels_translate_both_ways() -> None:
    """Whatever the case and the spaces around; also for a list's values."""
    assert labels.enum_label("job-order", "/status", "open") == "Åben"
    assert labels.enum_value("job-order", "/status", "  åBEN ") == "open"
    assert labels.enum_label("visit", "/outlook/horizonMonths", 3) == "3 måneder"
    assert labels.enum_value("job-order", "/employmentTypes", "IGU") == "integration-training"
    assert labels.enum_labels("job-order", "/title") == {}
    with pytest.raises(KeyError):
        labels.enum_value("job-order", "/status", "lukket")


@FULL
def test_every_label_of_every_value_finds_it_again(schema: Schema) -> None:
    """No enumeration has two values for one word."""
    name = schema["$id"].split(":")[-2]
    for pointer, _ in properties(schema):
        for value, words in labels.enum_labels(name, pointer).items():
            assert labels.enum_value(name, pointer, words) == value


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": None}, "'Titel' mangler."),
        ({"positions": 0}, "'Antal stillinger' skal være et helt tal på mindst 1."),
        ({"positions": "3"}, "'Antal stillinger' skal være et helt tal på mindst 1."),
        ({"title": "x" * 101}, "'Titel' må højst have 100 tegn."),
        ({"startDate": "1/2"}, "'Startdato' skal være en dato, for eksempel 23-11-2026."),
        ({"startAsap": "ja"}, "'Start snarest' skal være ja eller nej."),
        ({"employmentTypes": []}, "'Ansættelsestyper' skal have mindst 1 udfyldt."),
        ({"applyVia": "mail"}, "'Ansøgning' skal være en af disse: Gennem jobcentret, Direkte til virksomheden."),
        ({"duration": 7}, "'Varighed' skal være en af disse: Fast, Tidsbegrænset, Sæson, Tilkald."),
        ({"company": {"name": "x"}}, "'CVR-nummer' eller 'Udenlandsk nummer' mangler."),
        ({"company": {"name": "x", "cvr": "931"}}, "'CVR-nummer' skal være 8 cifre."),
        ({"workplace": {"municipality": "0999"}}, "'Arbejdsstedets kommune' er ikke en kendt kommunekode."),
        ({"kommentar": "x"}, "Feltet 'kommentar' er ukendt og må ikke være med."),
        ({"requirements": ["x", 7]}, "'Krav' skal være tekst."),
        ({"languages": "dansk"}, "'Sprog' skal være en liste."),
        ({"hoursPerWeek": 37}, "'Timer om ugen' skal være en gruppe af felter."),
        ({"hoursPerWeek": {"min": "37", "max": 37}}, "'Timer om ugen, mindst' skal være et tal på mindst 0."),
    ],
)
def test_each_mistake_is_said_in_danish(change: dict[str, object], sentence: str) -> None:
    """With the word that stands over the column, and what to write instead."""
    [violation] = refusal(order(**change)).violations
    assert explain(violation, "job-order") == sentence


def test_a_citizens_number_is_said_without_the_number() -> None:
    """And what to do about it."""
    [violation] = refusal(order(description="Anna 020384-1111")).violations
    said = explain(violation, "job-order")
    assert said.startswith("'Beskrivelse' ser ud til at indeholde et CPR-nummer. Slet det")
    assert "0203" not in said


@FULL
def test_every_counterexample_is_explained_in_danish(schema: Schema) -> None:
    """No rule is without a sentence of its own, none is half English, and none repeats a pointer or a pattern."""
    name = schema["$id"].split(":")[-2]
    for counterexample in make_counterexamples.of_schema(schema).values():
        event = {key: item for key, item in counterexample.items() if key != "x-fails-at"}
        for violation in refusal_of(event).violations:
            said = explain(violation, name)
            assert said.endswith(".")
            assert not ENGLISH.search(said), said
            assert not {"/data", "["} & set(said.split()), said


@given(st.text(max_size=8), st.sampled_from(["type", "enum", "x", "maxItems"]), st.sampled_from(EventName))
def test_any_violation_has_a_sentence(token: str, rule: str, name: str) -> None:
    """Also one of a rule or a place that nobody thought of."""
    assert explain(Violation(f"/data/{token}", "unheard-of", ""), name).endswith(".")
    assert explain(Violation(f"/{token}", rule, ""), name).endswith(".")


def test_the_newest_version_gives_the_words() -> None:
    """People are shown the words of today, whatever version an event is in."""
    assert newest("job-order")["$id"] == "urn:kommunebro:schema:job-order:1.0"
    with pytest.raises(KeyError):
        newest("none")
