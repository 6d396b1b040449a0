"""What is new since last time, and where a thing stands when memory is lost."""

from hypothesis import given
from hypothesis import strategies as st

from kommunebro import Result
from municipality_connectors.mapping.changes import (
    SAME_MOMENT_US,
    Publish,
    StillRefused,
    Thing,
    Unchanged,
    content_digest,
    decide,
    event_bytes,
    event_id,
)
from municipality_connectors.running.catching_up import Build, find_standings
from schemas.event import Event, format_time, parse_time
from schemas.identifiers import EventName

SOURCE = "urn:kommunebro:0671:regneark"
NOW_US = 1_795_348_800_000_000
CONTENTS = st.sampled_from([b"a" * 16, b"b" * 16, b"c" * 16])


# --- decisions ----------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(CONTENTS, st.integers(-(10**9), 10**9), st.none() | st.integers(NOW_US - 10**12, NOW_US)), min_size=1
    )
)
def test_each_change_has_its_own_number_and_a_later_time(steps: list[tuple[bytes, int, int | None]]) -> None:
    """However the clock jumps and whatever the sheet says of when it was changed."""
    known: Thing | None = None
    for content, jump_us, changed_us in steps:
        decision = decide(known, content, now_us=NOW_US + jump_us, changed_us=changed_us)
        if known is not None and known.content == content:
            assert decision == Unchanged()
            continue
        assert isinstance(decision, Publish)
        assert decision.revision == (known.revision + 1 if known else 1)
        assert known is None or decision.time_us > known.time_us
        assert parse_time(format_time(decision.time_us)) == decision.time_us
        known = Thing(decision.revision, content, decision.time_us)


def test_the_time_of_change_is_the_sheets_where_it_can_be() -> None:
    """Later than the last; else when it was noticed."""
    known = Thing(1, b"a" * 16, NOW_US)
    hour = 3_600_000_000
    assert decide(known, b"b" * 16, now_us=NOW_US + 2 * hour, changed_us=NOW_US + hour) == Publish(2, NOW_US + hour)
    assert decide(known, b"b" * 16, now_us=NOW_US + 2 * hour, changed_us=NOW_US - hour) == Publish(2, NOW_US + 2 * hour)


def test_what_was_refused_is_tried_again_only_when_it_changed_or_is_asked_for() -> None:
    """The gateway would refuse it each time; another content is another matter."""
    known = Thing(1, b"a" * 16, NOW_US)
    assert decide(known, b"b" * 16, now_us=NOW_US, refused=b"b" * 16) == StillRefused()
    assert decide(None, b"b" * 16, now_us=NOW_US, refused=b"b" * 16) == StillRefused()
    assert decide(known, b"a" * 16, now_us=NOW_US, refused=b"b" * 16) == Unchanged()
    assert isinstance(decide(known, b"c" * 16, now_us=NOW_US, refused=b"b" * 16), Publish)


def test_a_state_that_comes_late_is_passed_over_where_states_follow_one_another() -> None:
    """A call that is tried again, after a newer one; in a table what stands there is what is, whatever its time."""
    known = Thing(2, b"b", NOW_US)
    late = {"now_us": NOW_US + 1, "changed_us": NOW_US - 2 * SAME_MOMENT_US}
    assert decide(known, b"a", successive=True, **late) == Unchanged()
    assert isinstance(decide(known, b"a", **late), Publish)
    # Sources tell whole seconds: two states of one second are both states.
    assert isinstance(decide(known, b"a", successive=True, now_us=NOW_US, changed_us=NOW_US - 900_000), Publish)


def test_the_order_of_properties_is_no_change() -> None:
    """Nor is a column's place; but the schema's version and every value is."""
    assert content_digest("s", {"a": 1, "b": {"c": 2, "d": 3}}) == content_digest("s", {"b": {"d": 3, "c": 2}, "a": 1})
    assert len({content_digest(schema, {"a": value}) for schema in ("s", "t") for value in (1, "1", None)}) == 6


def test_an_id_says_nothing_of_what_is_not_shared() -> None:
    """Partners see the id; it is the type, the thing and a number."""
    assert event_id(EventName.JOB_ORDER, "1001", 3) == "job-order/1001/3"


# --- catching up --------------------------------------------------------------------------------


class Taken:
    """What a gateway knows of one thing's numbers: the time and content of each."""

    def __init__(self, states: list[tuple[int, bytes]]) -> None:
        self._states = states
        self.asked = 0

    def validate(self, events: list[bytes]) -> list[Result]:
        """Answer as `POST /v1/events:validate` does."""
        self.asked += len(events)
        return [self._answer(index, Event.parse(raw)) for index, raw in enumerate(events)]

    def _answer(self, index: int, event: Event) -> Result:
        revision = int(event.id.rpartition("/")[2])
        if revision > len(self._states):
            return Result(index, event.id, "accepted")
        time_us, content = self._states[revision - 1]
        if (event.time_us, event.data["title"].encode()) == (time_us, content):
            return Result(index, event.id, "duplicate")
        problem = {"type": "/problems/conflict", "time": format_time(time_us)}
        return Result(index, event.id, "refused", problem=problem)


def build(content: bytes) -> Build:
    def event(revision: int, time_us: int) -> bytes:
        data = b'{"jobOrderId":"1","title":"' + content + b'"}'
        return event_bytes(
            source=SOURCE, name=EventName.JOB_ORDER, dataschema="urn:kommunebro:schema:job-order:1.0",
            subject="1", revision=revision, time_us=time_us, data=data,
        )  # fmt: skip

    return event


TITLES = st.sampled_from([b"A", b"B", b"C"])


@given(st.lists(TITLES, min_size=1, max_size=8), TITLES, st.data())
def test_a_thing_is_found_where_it_stands(titles: list[bytes], ours: bytes, data: st.DataObject) -> None:
    """From whatever number our memory begins: the newest number, its time, and whether its content is ours."""
    states = [(NOW_US + number * 1_000_000, title) for number, title in enumerate(titles)]
    begun = data.draw(st.integers(1, len(titles)))
    taken = Taken(states)
    thing = Thing(begun, b"", NOW_US + data.draw(st.integers(0, 10)) * 1_000_000)
    [standing] = find_standings(taken.validate, [(build(ours), thing)])
    assert (standing.revision, standing.time_us) == (len(titles), states[-1][0])
    assert standing.same is (ours == titles[-1])


def test_a_gateway_that_does_not_tell_the_time_loses_no_change() -> None:
    """Then what the sheet says counts as new: rather twice than not at all."""
    conflict = Result(0, None, "refused", problem={"type": "/problems/conflict"})
    answers = iter([[conflict], [Result(0, None, "accepted")], [conflict]])
    [standing] = find_standings(lambda _: next(answers), [(build(b"A"), Thing(1, b"", NOW_US))])
    assert (standing.revision, standing.same) == (1, False)
