"""The newest state of a thing: which event replaces which."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exchange_gateway.core.things import Sighting, fold, sighting_of
from tests.sightings import published, record, shared, sighting


def states(*times: int) -> list[Sighting]:
    return [
        sighting("pub.0671.job-order", published(at_s=at_s, title=f"{index}"), at_ms=1000 + index)
        for index, at_s in enumerate(times)
    ]


def titles(sightings: list[Sighting]) -> list[str]:
    return [one.data["title"] for one in sightings]


def test_a_later_event_replaces_the_earlier() -> None:
    """And says when the thing was first recorded, and when this state was."""
    (newest,) = fold(states(1, 2))
    assert (newest.data["title"], newest.first_ms, newest.recorded_ms) == ("1", 1000, 1001)


def test_at_equal_time_the_later_in_the_log_counts() -> None:
    """A publisher's clock may show whole minutes."""
    assert titles(fold(states(5, 5))) == ["1"]


def test_an_older_event_is_stale() -> None:
    """It overwrites nothing, in whichever order they came."""
    assert titles(fold(states(5, 3, 4))) == ["0"]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 12))
def test_folding_in_two_steps_is_folding_at_once(times: list[int], cut: int) -> None:
    """So it does not matter where one read ended and the next began."""
    seen = states(*times)
    assert fold([*fold(seen[:cut]), *seen[cut:]]) == fold(seen)


def test_things_are_told_apart_by_owner_and_place() -> None:
    """Struer's order 1001 is not Herning's, and one alliance's view is not another's."""
    seen = [
        sighting("pub.0671.job-order", published("1001", "0671")),
        sighting("pub.0657.job-order", published("1001", "0657")),
        sighting("alliance.vest.job-order", shared("vest", "1001", "0671")),
        sighting("alliance.nord.job-order", shared("nord", "1001", "0671")),
    ]
    assert fold(seen) == seen


def test_the_owner_of_what_is_shared_stands_in_the_event() -> None:
    """The source of a retraction is the forwarder's, but the thing is still its owner's."""
    found = sighting("alliance.vest.job-order", shared("vest", "1001", "0671"))
    assert (found.space, found.owner, found.is_published) == ("alliance.vest", "0671", False)


def test_events_are_told_apart_by_source_and_id() -> None:
    """The same id from another system is another event."""
    one = sighting("pub.0671.job-order", published(event_id="7"))
    other = sighting("pub.0671.job-order", published(event_id="7", title="another"))
    assert one.event_number == other.event_number
    elsewhere = published(event_id="7")._replace(value=published(event_id="7").value.replace(b":opera", b":excel"))
    assert sighting("pub.0671.job-order", elsewhere).event_number != one.event_number
    assert 0 <= one.event_number < 2**63


def test_what_is_no_event_is_passed_over() -> None:
    """An operator may have let somebody write into a topic; a read model must not stop at that."""
    good = published()
    for value in (b"", b"[]", b"{}", b"null", b"\xff", good.value.replace(b'"time"', b'"tid"')):
        assert sighting_of(record("pub.0671.job-order", good._replace(value=value))) is None
    assert sighting_of(record("quarantine", good)) is None
    empty = sighting_of(
        record("pub.0671.job-order", good._replace(value=good.value.replace(b'"data":{', b'"data":3,"x":{')))
    )
    assert empty is not None
    assert replace(empty, data={}) == empty
