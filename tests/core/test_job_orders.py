"""Job orders as a reader sees them: of all places only theirs, and of each no more than it shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.job_orders import BETWEEN, Filters, JobOrder, Place, Row, Sight, combine, normal, union
from tests.sightings import published, retracted, row, shared

HERNING = Sight(frozenset({"0657"}), frozenset({"vest", "nord"}))
STRUER = Sight(frozenset({"0671"}), frozenset({"vest"}))


def seen(*rows: Row, by: Sight = HERNING) -> JobOrder:
    order = combine(rows, by)
    assert order is not None
    return order


def answer(*rows: Row, by: Sight = HERNING) -> dict[str, Any]:
    import orjson  # noqa: PLC0415

    return orjson.loads(orjson.dumps(seen(*rows, by=by).as_json()))  # type: ignore[no-any-return]


def test_an_owner_sees_its_order_as_published_and_where_it_is_shared() -> None:
    """Also where it is shared in an alliance in which the owner itself reads nothing."""
    order = answer(row(published()), row(shared("vest", title=...)), row(shared("far", title=...)), by=STRUER)
    assert order["data"]["title"] == "3 klejnsmede til staldinventar"
    assert order["alliances"] == ["far", "vest"]


def test_a_partner_sees_what_its_alliances_show() -> None:
    """Neither what the owner published, nor what other alliances show, nor that they do."""
    order = answer(row(published()), row(shared("vest", title=...)), row(shared("far")))
    assert "title" not in order["data"]
    assert order["alliances"] == ["vest"]
    assert combine([row(published()), row(shared("far"))], HERNING) is None


def test_a_thing_in_two_alliances_is_one_with_all_that_both_show() -> None:
    """Parts of a part are joined too."""
    one = row(shared("vest", title=..., workplace={"municipality": "0671"}))
    other = row(shared("nord", description=..., workplace={"city": "Struer"}))
    order = answer(one, other)
    assert order["alliances"] == ["nord", "vest"]
    assert order["data"]["title"]
    assert order["data"]["description"]
    assert order["data"]["workplace"] == {"municipality": "0671", "city": "Struer"}


def test_states_of_different_times_are_not_mixed() -> None:
    """Where one alliance has an older state, the newer one is shown alone."""
    order = answer(row(shared("vest", at_s=1, description="gammel")), row(shared("nord", at_s=2, description=...)))
    assert "description" not in order["data"]
    assert order["alliances"] == ["nord", "vest"]


@pytest.mark.parametrize("status", ["filled", "expired", "withdrawn"])
def test_what_was_retracted_shows_its_status_alone(status: str) -> None:
    """So that a partner knows to stop searching, and nothing else."""
    order = answer(row(published()), row(retracted("vest", status=status)))
    assert order["status"] == status
    assert order["data"] == {"jobOrderId": "1001", "status": status}
    assert order["alliances"] == ["vest"]


def test_what_was_retracted_in_one_alliance_is_still_seen_in_the_other() -> None:
    """Its owner narrowed the sharing: where it is still shared, it is open."""
    rows = [row(shared("nord", at_s=2)), row(retracted("vest", at_s=2))]
    assert (seen(*rows).newest.facets.status, seen(*rows).alliances) == ("open", ("nord",))
    own = seen(row(published()), *rows, by=STRUER)
    assert own.alliances == ("nord",)


def find(order: JobOrder, **wanted: Any) -> bool:
    return order.matches(Filters(**wanted))


@pytest.mark.parametrize(
    "wanted",
    [
        {"owner": "0671"},
        {"alliance": "vest"},
        {"municipality": "0671"},
        {"occupation": "klejn"},
        {"occupation": "smed"},
        {"occupation": "7214"},
        {"occupation": "disco-08:7214"},
        {"industry": "25"},
        {"industry": "db07:2511"},
        {"status": "open"},
        {"since_ms": 1_795_000_000_000},
        {"words": ("stald", "øvelse")},
        {"words": ("vestjysk",)},
        {"words": ("struer", "7600")},
        {"words": ("93100018", "1999000011")},
        {"words": ("1001",)},
    ],
)
def test_filters_find_what_is_shown(wanted: dict[str, Any]) -> None:
    """By the beginning of codes, by parts of labels, by words anywhere in what people read."""
    assert find(seen(row(shared("vest"))), **wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"owner": "0657"},
        {"alliance": "nord"},
        {"municipality": "0657"},
        {"occupation": "maler"},
        {"occupation": "214"},
        {"industry": "511"},
        {"industry": "db25:25"},
        {"status": "paused"},
        {"since_ms": 1_795_000_000_001},
        {"words": ("stald", "maler")},
    ],
)
def test_filters_leave_out_the_rest(wanted: dict[str, Any]) -> None:
    """The middle of a code is not its beginning, and of several words each must be there."""
    assert not find(seen(row(shared("vest"))), **wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"municipality": "0671"},
        {"occupation": "smed"},
        {"industry": "25"},
        {"words": ("kostalde",)},
        {"words": ("vestjysk",)},
        {"alliance": "far"},
    ],
)
def test_filters_do_not_tell_what_is_not_shown(wanted: dict[str, Any]) -> None:
    """Else a partner could find out by asking what the agreement keeps from them."""
    hidden = shared("vest", company=..., description=..., workplace=..., occupation=..., title=...)
    rows = [row(published()), row(hidden), row(shared("far"))]
    assert not find(seen(*rows), **wanted)


def test_words_may_be_found_in_what_different_alliances_show() -> None:
    """The reader sees both at once."""
    rows = [row(shared("vest", description=...)), row(shared("nord", title=...))]
    assert find(seen(*rows), words=("klejnsmede", "kostalde"))


def test_case_and_spelling_of_letters_do_not_matter() -> None:
    """Å in one code point or composed, large or small; and a null does not end a text."""
    assert normal("ÅBEN Ǿ") == normal("åben ǿ")
    assert normal("A\u030aben") == "åben"
    assert normal("a\x00b\nc") == "a b\nc"
    assert find(seen(row(shared("vest", title="Smed\x00til ÅRHUS"))), words=("århus",))


def test_odd_data_is_stored_without_harm() -> None:
    """What an older or a foreign event holds where an object should be is passed over."""
    odd = row(shared("vest", company=7, occupation="smed", workplace=[], title=None, requirements="x"))
    assert odd.facets.municipality is None
    assert BETWEEN not in odd.facets.industry_codes


@given(
    st.integers(0, 2**52),
    st.from_regex(r"[0-9]{4}|[a-z][a-z0-9-]{1,31}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
)
def test_a_cursor_leads_back_to_its_place(first_ms: int, owner: str, subject: str) -> None:
    """It is ASCII that needs no escaping in an address."""
    place = Place(first_ms, owner, subject)
    cursor = place.cursor()
    assert Place.parse(cursor) == place
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=40))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Whatever somebody sends: a place, or ValueError."""
    try:
        Place.parse(text)
    except ValueError:
        return
    assert text


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, st.randoms())
def test_two_cuts_of_one_value_join_to_what_either_shows(value: Any, random: Any) -> None:
    """Nothing is lost, and nothing comes from elsewhere."""

    def cut(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: cut(item) for name, item in part.items() if random.random() < 0.6}
        return [cut(item) for item in part] if isinstance(part, list) else part

    def within(part: Any, whole: Any) -> bool:
        if isinstance(part, dict):
            return isinstance(whole, dict) and all(
                name in whole and within(item, whole[name]) for name, item in part.items()
            )
        if isinstance(part, list):
            return len(part) == len(whole) and all(map(within, part, whole))
        return bool(part == whole)

    one, other = cut(value), cut(value)
    joined = union(one, other)
    assert within(one, joined)
    assert within(other, joined)
    assert within(joined, value)
