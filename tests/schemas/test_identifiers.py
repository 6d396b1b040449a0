"""Identifiers cannot be built invalid, and say what a right one looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import (
    ID_PROPERTIES,
    Cvr,
    DataSchema,
    EventName,
    InvalidIdentifier,
    Participant,
    PNumber,
    Source,
    TopicName,
    alliance_topic,
    cvr_passes_modulus,
    parse_data_topic,
    pub_topic,
)


@pytest.mark.parametrize("text", ["0671", "9999", "erhvervshus-midtjylland", "a1", "x-", "a" * 32])
def test_a_participant_is_a_code_or_a_name(text: str) -> None:
    """Four digits, or a small letter and then letters, digits and hyphens."""
    assert Participant(text) == text
    assert Participant(text).is_municipality == text.isdigit()


@pytest.mark.parametrize(
    "text", ["", "671", "06710", "Struer", "a", "a" * 33, "-a", "a_b", "æble", "0671\n", "٠٦٧١", "a.b", "a b"]
)
def test_what_is_no_participant_is_refused(text: str) -> None:
    """Also what only looks like digits, and what would break a topic's name."""
    with pytest.raises(InvalidIdentifier, match="0671"):
        Participant(text)


@pytest.mark.parametrize("text", ["93100018", "10150817", "00000000"])
def test_a_cvr_number_passes_modulus_11(text: str) -> None:
    """The weighted sum of its digits is divisible by 11."""
    assert Cvr(text) == text


@pytest.mark.parametrize(
    "text", ["", "9310001", "931000180", "93100019", "9310001x", "٩٣١٠٠٠١٨", "93100018\n", "DK93100018"]
)
def test_what_is_no_cvr_number_is_refused(text: str) -> None:
    """By its form or by its check digit."""
    with pytest.raises(InvalidIdentifier):
        Cvr(text)


@given(st.from_regex(r"\A[0-9]{8}\Z"), st.integers(0, 7), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(text: str, place: int, more: int) -> None:
    """That is what the check digit is for."""
    other = text[:place] + str((int(text[place]) + more) % 10) + text[place + 1 :]
    assert not (cvr_passes_modulus(text) and cvr_passes_modulus(other))


def test_a_p_number_has_ten_digits_and_no_check() -> None:
    """One series was issued with other weights."""
    assert PNumber("1999000011") == "1999000011"
    for text in ("199900001", "19990000111", "199900001x", "", "١٩٩٩٠٠٠٠١١"):
        with pytest.raises(InvalidIdentifier):
            PNumber(text)


@pytest.mark.parametrize(
    "text", ["urn:kommunebro:0671:opera", "urn:kommunebro:kommunebro:forwarder", "urn:kommunebro:ab:a.B_-9"]
)
def test_a_source_is_read_and_written(text: str) -> None:
    """Participant and system, and back to the same text."""
    assert str(Source.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:kommunebro:0671:",
        "urn:kommunebro:0671:a:b",
        "URN:kommunebro:0671:a",
        "urn:kommunebro:671:a",
        "urn:kommunebro:0671:" + "a" * 65,
    ],
)
def test_what_is_no_source_is_refused(text: str) -> None:
    """With an example of a right one."""
    with pytest.raises(InvalidIdentifier, match="urn:kommunebro:0671:opera"):
        Source.parse(text)


def test_a_schemas_urn_has_its_shared_view() -> None:
    """The view has the same version under its own name."""
    schema = DataSchema.parse("urn:kommunebro:schema:job-order:1.0")
    assert (schema.name, schema.major, schema.minor, schema.version) == ("job-order", 1, 0, "1.0")
    assert str(schema.shared) == "urn:kommunebro:schema:job-order-shared:1.0"
    for text in (
        "urn:kommunebro:schema:job-order:1",
        "urn:kommunebro:schema::1.0",
        "urn:kommunebro:schema:job-order:1.0.0",
    ):
        with pytest.raises(InvalidIdentifier):
            DataSchema.parse(text)


def test_a_schemas_version_has_one_spelling() -> None:
    """`01.0` would be another name for the same schema."""
    with pytest.raises(InvalidIdentifier):
        DataSchema.parse("urn:kommunebro:schema:job-order:01.0")


def test_every_event_name_knows_its_id_and_type() -> None:
    """By the contract's table."""
    assert ID_PROPERTIES.keys() == set(EventName)
    assert EventName.VISIT.id_property == "visitId"
    assert EventName.VISIT.type == "dk.kommunebro.visit"


def test_data_topics_are_written_and_read() -> None:
    """Any other topic is none."""
    assert parse_data_topic(pub_topic("0671", "job-order")) == TopicName("pub", "0671", "job-order")
    assert parse_data_topic(alliance_topic("7k", "visit")) == TopicName("alliance", "7k", "visit")
    for topic in ("control.agreements", "pub.0671", "pub.0671.job-order.x", "in.0671", "", "state.forwarder.0"):
        assert parse_data_topic(topic) is None
