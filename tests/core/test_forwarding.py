"""One step of the forwarder: what it appends, keeps and records."""

import json
from typing import Any

import orjson
import pytest

from broker_adapters.log import RECORD_BYTES_MAX, Record
from exchange_gateway.core import forwarded
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.forwarding import Basis, Step, by_topic, decide_step, shard_of
from exchange_gateway.core.known_things import NOTHING, Known, Seen, dump, load, thing_key
from exchange_gateway.core.routing import Reason
from schemas.event import Event
from schemas.registry import Registry
from tests.core.agreement_samples import NOW_US, agreement, book_of
from tests.core.event_samples import COMPANY, event, known, record, seen

ALL: dict[str, Any] = {
    name: {} for name in ("job-order", "visit", "company-contact", "company-cooperation", "job-order-response")
}
BOOK = book_of(agreement(shares=ALL))
THING = thing_key("0671", "job-order", "1001")
AT = "2026-11-18T11:06:40.000Z"


def step(*events: Event, before: dict[str, Known] | None = None, book: AgreementBook = BOOK, **earlier: Record) -> Step:
    records = by_topic([record(one, offset) for offset, one in enumerate(events, 10)])
    places = {(one.topic, one.offset): one for one in earlier.values()}
    return decide_step(Basis.of(0, NOW_US, book), records, before or {}, places)


def only(made: Step, topic: str = "alliance.vest.job-order") -> dict[str, Any]:
    """Return the one event that a step appends to a topic."""
    (output,) = made.outputs[topic]
    return json.loads(output.value)  # type: ignore[no-any-return]


def test_a_forwarded_event_is_the_publishers_in_the_shared_view() -> None:
    """Source, id, time and trace stay; who recorded it does not; the forwarder says for whom, by what and when."""
    traced = event()
    traced.attributes["traceparent"] = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    made = only(step(traced))
    data = made.pop("data")
    assert made == {
        "specversion": "1.0",
        "id": "e1",
        "source": "urn:kommunebro:0671:opera",
        "type": "dk.kommunebro.job-order",
        "subject": "1001",
        "time": traced.attributes["time"],
        "traceparent": traced.attributes["traceparent"],
        "dataschema": "urn:kommunebro:schema:job-order-shared:1.0",
        "recordedtime": "2026-11-18T11:00:00.000Z",
        "owner": "0671",
        "alliance": "vest",
        "agreementversion": 1,
        "forwardedtime": AT,
    }
    assert data["company"] == COMPANY
    assert "sharing" not in data


def test_a_forwarded_record_has_owner_and_subject_as_its_key() -> None:
    """The key tells one owner's order 1001 from another's, and CloudEvents' headers stand beside the value."""
    (output,) = step(event()).outputs["alliance.vest.job-order"]
    assert output.key == b"0671/1001"
    assert b"\n" not in output.value
    assert dict(output.headers)["ce_id"] == b"e1"


def test_a_first_end_is_not_forwarded() -> None:
    """What nobody saw needs no retraction."""
    made = step(event(status="filled"))
    assert made.outputs == {}
    assert made.withheld == {Reason.OVER_BEFORE_SHARED: 1}


def test_the_end_is_forwarded_as_id_and_status() -> None:
    """Of an order that was filled, those who saw it learn nothing but that."""
    made = only(step(event(status="filled"), before={THING: known(shared=("vest",))}))
    assert made["data"] == {"jobOrderId": "1001", "status": "filled"}
    assert made["source"] == "urn:kommunebro:0671:opera"


RETRACTED = [
    ("job-order", {"jobOrderId": "1001", "status": "withdrawn"}),
    ("visit", {"visitId": "1001", "status": "cancelled"}),
    ("company-contact", {"contactId": "1001"}),
    ("company-cooperation", {"cooperationId": "1001"}),
]


@pytest.mark.parametrize(("name", "data"), RETRACTED)
def test_a_retraction_says_nothing_of_the_event_that_caused_it(name: str, data: dict[str, str]) -> None:
    """When the scope becomes own, those who saw the thing get an event of ours with its id, and its end as status."""
    private = event(name, sharing={"scope": "own"})
    made = step(private, before={thing_key("0671", name, "1001"): known(shared=("vest",))})
    value = only(made, f"alliance.vest.{name}")
    assert value["data"] == data
    assert value["source"] == "urn:kommunebro:kommunebro:forwarder"
    assert value["id"] == forwarded.made_id("urn:kommunebro:0671:opera", "e1")
    assert value["causedby"] == "e1"
    assert (value["owner"], value["alliance"], value["agreementversion"]) == ("0671", "vest", 1)
    assert value["time"] == private.attributes["time"]
    assert "recordedby" not in value
    Registry.load().check(Event(value, stored=True))


def test_a_withdrawn_answer_is_retracted_from_alliances_that_it_does_not_name_any_more() -> None:
    """An answer has a kind where others have a status."""
    thing = thing_key("0657", "job-order-response", "1001")
    answer = event("job-order-response", owner="0657", via=[])
    made = step(answer, before={thing: known(shared=("vest",))})
    assert only(made, "alliance.vest.job-order-response")["data"] == {"responseId": "1001", "kind": "withdrawn"}


def test_events_of_one_thing_in_one_step_build_on_one_another() -> None:
    """Shared, filled, a stale state, then the first again: each is decided by what came before it."""
    made = step(
        event(),
        event(id="e2", minute=5, status="filled"),
        event(id="e3", minute=2),
        event(),
    )
    forms = [json.loads(output.value)["id"] for output in made.outputs["alliance.vest.job-order"]]
    assert forms == ["e1", "e2"]
    assert made.withheld == {Reason.STALE: 1, Reason.DUPLICATE: 1}
    after = made.known[THING]
    assert (sorted(after.shared), sorted(after.closed)) == ([], ["vest"])
    assert made.positions == {"pub.0671.job-order": 14}


def test_a_second_copy_in_a_later_step_is_found_by_its_record() -> None:
    """What is remembered is only where the first stands: the step asks for it, then tells copy from conflict."""
    before = {THING: known(shared=("vest",), before=event())}
    asked = step(event(), before=before)
    assert asked.missing == {("pub.0671.job-order", 0)}
    assert step(event(), before=before, first=record(event(), 0)).withheld == {Reason.DUPLICATE: 1}
    other = record(event(title="4 smede"), 0)
    assert step(event(), before=before, first=other).withheld == {Reason.CONFLICT: 1}


def test_equal_digests_prove_nothing() -> None:
    """Should two ids have one digest, the record shows that they are two events."""
    before = {THING: known(shared=("vest",), before=event())}
    made = step(event(), before=before, first=record(event(id="another"), 0))
    assert only(made)["id"] == "e1"


def test_the_same_id_from_two_systems_is_two_events() -> None:
    """An id is unique within its source only."""
    made = step(event(), event(system="regneark"))
    assert len(made.outputs["alliance.vest.job-order"]) == 2


BROKEN = [
    b"{",
    b"[]",
    b'{"specversion":"1.0"}',
    record(event(subject="1002")).value,
    record(event(owner="0657")).value,
    record(event("visit")).value,
]


@pytest.mark.parametrize("value", BROKEN)
def test_what_is_no_event_of_its_topic_is_withheld_and_holds_nothing_up(value: bytes) -> None:
    """A record that cannot be understood has its reason on record, and the events around it go on."""
    first, last = record(event(), 10), record(event(id="e3", minute=1), 12)
    made = decide_step(Basis.of(0, NOW_US, BOOK), [first, first._replace(offset=11, value=value), last], {})
    assert len(made.outputs["alliance.vest.job-order"]) == 2
    assert made.withheld == {Reason.UNREADABLE: 1}
    assert [(one.topic, one.offset) for one in made.unreadable] == [("pub.0671.job-order", 11)]
    assert made.positions == {"pub.0671.job-order": 13}


def test_an_event_that_no_rule_foresaw_holds_nothing_up() -> None:
    """Data of a kind that routing cannot read is withheld, not an error that stops the shard."""
    made = step(event(sharing=7), event(id="e2", minute=1))
    assert made.withheld == {Reason.UNREADABLE: 1}
    assert only(made)["id"] == "e2"


def test_what_grew_too_large_for_the_log_is_withheld() -> None:
    """An event that the forwarder's attributes make too large is not shared there, and not remembered as shared."""
    made = step(event(description="x" * (RECORD_BYTES_MAX - 5000)))
    assert made.outputs == {}
    assert made.withheld == {Reason.TOO_LARGE: 1}
    assert made.known[THING].shared == frozenset()


def test_alliances_that_see_the_same_get_the_same_data() -> None:
    """Each alliance's record has its own attributes, and the fields that its agreement shows."""
    narrow = agreement(id="smal", shares={"job-order": {"fields": ["/title"]}})
    made = step(event(), book=book_of(agreement(), agreement(id="fjord"), narrow))
    vest, fjord, smal = (only(made, f"alliance.{name}.job-order") for name in ("vest", "fjord", "smal"))
    assert vest["data"] == fjord["data"]
    assert (vest["alliance"], fjord["alliance"]) == ("vest", "fjord")
    assert smal["data"] == {"jobOrderId": "1001", "status": "open", "title": "3 klejnsmede til staldinventar"}


def test_the_audit_tells_what_was_read_and_what_became_of_it() -> None:
    """One line: the inputs, the agreements' offset, the instant, and each outcome with the events that had it."""
    book = book_of(agreement(shares=ALL), agreement(id="national", kind="national"))
    before = {THING: known(shared=("vest",))}
    made = step(
        event(sharing={"scope": "own"}), event("visit"), event("visit", id="e2", minute=1), before=before, book=book
    )
    assert made.audit.key == b"0"
    assert b"\n" not in made.audit.value
    assert json.loads(made.audit.value) == {
        "shard": 0,
        "at": AT,
        "agreementsOffset": 2,
        "inputs": [
            {"topic": "pub.0671.job-order", "from": 10, "to": 11},
            {"topic": "pub.0671.visit", "from": 11, "to": 13},
        ],
        "forwarded": [
            {
                "topic": "pub.0671.job-order",
                "alliance": "vest",
                "version": 1,
                "form": "retracted",
                "reason": "scope-own",
                "offsets": [10],
            },
            {"topic": "pub.0671.visit", "alliance": "vest", "version": 1, "form": "shown", "offsets": [11, 12]},
        ],
        "withheld": [
            {"topic": "pub.0671.job-order", "reason": "scope-own", "offsets": [10]},
            {"topic": "pub.0671.visit", "alliance": "national", "reason": "scope-too-narrow", "offsets": [11, 12]},
        ],
    }


def test_what_is_known_survives_being_written() -> None:
    """A thing's state is one line of JSON that gives back the same."""
    one = Known(5, (Seen(1, 2), Seen(3, 4)), (Seen(5, 6),), frozenset({"vest"}), frozenset({"7k"}))
    assert load(dump(one)) == one
    assert load(dump(NOTHING.with_event(Seen(1, 2), 7))) == Known(7, (Seen(1, 2),))
    assert orjson.loads(dump(one))["shared"] == ["vest"]


def test_shards_are_fixed_for_ever() -> None:
    """Which shard forwards a participant's events follows from its name alone."""
    assert [shard_of(name, 16) for name in ("0671", "0657", "kl", "erhvervshus-midtjylland")] == [6, 8, 11, 14]
    assert {shard_of(f"{code:04}", 16) for code in range(101, 861)} == set(range(16))
    assert shard_of("0671", 1) == 0


def test_topics_are_decided_on_one_after_the_other() -> None:
    """A step's order is by topic, as its record tells, and by offset within each."""
    mixed = [record(event(), 1), record(event("visit"), 5), record(event(), 2)]
    assert [(one.topic, one.offset) for one in by_topic(mixed)] == [
        ("pub.0671.job-order", 1),
        ("pub.0671.job-order", 2),
        ("pub.0671.visit", 5),
    ]


def test_an_id_is_found_wherever_it_is_remembered() -> None:
    """Older events are found as well as those with the newest time."""
    one = NOTHING.with_event(seen(event(), 3), 10).with_event(seen(event(id="e2"), 4), 11)
    assert [one.find(seen(event(id=name)).id_digest) for name in ("e1", "e2", "e3")] == [3, 4, None]
