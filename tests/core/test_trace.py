"""What a trace says, from the record of the step: which fields were cut, for whom, and through which door."""

from typing import Any

import orjson
import pytest

from broker_adapters.log import Record
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.forwarding import Basis, decide_step
from exchange_gateway.core.routing import Reason
from exchange_gateway.core.showing import bare, showing
from exchange_gateway.core.trace import MEANINGS, Decided, Then, differing, door_of, trace
from schemas.event import Event
from schemas.identifiers import EventName
from tests.core.agreement_samples import NOW_US, agreement, book_of
from tests.core.event_samples import DATA, event, record

CUT_BY_DEFAULT = {
    "job-order": ["/agreedAt", "/contactPerson", "/sharing"],
    "company-contact": [
        "/agreed", "/channel", "/consultant/name", "/consultant/phone", "/contactPerson", "/initiatedBy", "/outlook",
        "/sharing",
    ],
    "visit": ["/contactPerson", "/followUp", "/sharing"],
    "company-cooperation": ["/sharing"],
    "job-order-response": [],
}  # fmt: skip
CHANGED_BY_DEFAULT = {"job-order": ["/externalIds"], "company-contact": ["/occurredAt"]}


@pytest.mark.parametrize("name", list(EventName))
def test_what_the_default_cuts(name: str) -> None:
    """Exactly that: a case number is taken out of a list, and a time loses its clock; all else is cut or the same."""
    data = event(name).data
    assert differing(data, showing(name, None).show(data)) == {
        "cut": CUT_BY_DEFAULT[name], "changed": CHANGED_BY_DEFAULT.get(name, [])
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "shown", "cut", "changed"),
    [
        ({"a": 1}, {"a": 1}, [], []),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3}}, ["/a", "/b/c"], []),
        ({"a": {"b": 1}}, {}, ["/a"], []),
        ({"a": {"b": 1}}, {"a": {}}, ["/a/b"], []),
        ({"a": [{"b": 1, "c": 2}, {"b": 3}]}, {"a": [{"b": 1}, {"b": 3}]}, ["/a/c"], []),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}, [], ["/a"]),
        ({"a": [1, 2]}, {"a": [1]}, [], ["/a"]),
        ({"a": "2026-11-23T07:45"}, {"a": "2026-11-23"}, [], ["/a"]),
        ({"a/b": {"~": 1, "c": 1}}, {"a/b": {"c": 1}}, ["/a~1b/~0"], []),
        ({}, {}, [], []),
    ],
)
def test_cut_and_changed(data: dict[str, Any], shown: dict[str, Any], cut: list[str], changed: list[str]) -> None:
    """A pointer names what is not there, and no more; what is there otherwise is not called cut."""
    assert differing(data, shown) == {"cut": cut, "changed": changed}


def test_an_end_says_no_more_than_the_status() -> None:
    """All but id and status is cut."""
    data = event(status="filled").data
    all_else = {f"/{name}" for name in DATA["job-order"]} - {"/status"}
    assert set(differing(data, bare("job-order", data))["cut"]) == all_else


def traced(book: AgreementBook, one: Event, participant: str, *, now: AgreementBook | None = None) -> dict[str, Any]:
    """Decide on an event as the forwarder does, and trace it from the record of that step."""
    stored = record(one, 7)
    step = decide_step(Basis.of(0, NOW_US, book), [stored], {})
    decided = Decided.of(Record("audit.forwarding", 3, 0, step.audit.key, step.audit.value))
    assert decided.covers(stored.topic, 7)
    assert not decided.covers(stored.topic, 8)
    assert not decided.covers("pub.0657.job-order", 7)
    return trace(stored, Then(decided, book), now or book, NOW_US, participant)


NORD = agreement(id="nord", name="Nord", members=[{"participant": "0671"}, {"participant": "0661", "reads": ["visit"]}])


@pytest.mark.parametrize(
    ("participant", "data", "received", "why"),
    [
        ("0657", {}, ["vest"], []),
        ("0671", {}, [], [(None, "own")]),
        ("0661", {}, [], [("nord", "type-not-read"), ("vest", "was-not-a-member")]),
        ("0751", {}, [], [("nord", "was-not-a-member"), ("vest", "was-not-a-member")]),
        ("0657", {"sharing": {"scope": "own"}}, [], [(None, "scope-own")]),
        ("0657", {"employerAgreed": "no"}, [], [(None, "employer-did-not-agree")]),
        ("0657", {"sharing": {"scope": "alliances", "alliances": ["nord"]}}, [], [
            ("vest", "not-named"), ("nord", "was-not-a-member")
        ]),
        ("0751", {"sharing": {"scope": "local"}}, [], [(None, "in-none-of-them")]),
        ("0657", {"sharing": {"scope": "local"}}, [], [("vest", "scope-too-narrow")]),
        ("0657", {"status": "filled"}, [], [("vest", "over-before-shared")]),
    ],
)  # fmt: skip
def test_for_a_participant(
    participant: str, data: dict[str, Any], received: list[str], why: list[tuple[str | None, str]]
) -> None:
    """Through which alliances, by the agreements of the step; and if through none, why."""
    seen = traced(book_of(agreement(), NORD), event(**data), participant)["participant"]
    assert seen["received"] == received
    assert [(one["alliance"], one["reason"]) for one in seen["why"]] == why
    assert all(one["meaning"] for one in seen["why"])


def test_agreements_that_came_later() -> None:
    """They change what can be read now, and nothing of what was decided."""
    before = book_of(agreement())
    more = agreement(members=[{"participant": code} for code in ("0657", "0671", "0665", "0751")])
    after = book_of(agreement(), more)
    seen = traced(before, event(), "0751", now=after)["participant"]
    assert (seen["received"], seen["later"]) == ([], ["vest"])
    assert traced(after, event(), "0751")["participant"] == {
        "participant": "0751", "received": ["vest"], "later": [], "why": []
    }  # fmt: skip


def test_what_is_not_decided_yet() -> None:
    """It says so, also for a participant."""
    found = trace(record(event()), None, book_of(agreement()), NOW_US, "0657")
    assert found["decided"] is None
    assert [one["reason"] for one in found["participant"]["why"]] == ["undecided"]


@pytest.mark.parametrize(
    ("by", "door"), [("native:0671", "native"), ("opera-klient", "http"), ("native", "http"), ("", "http")]
)
def test_the_door(by: str, door: str) -> None:
    """A participant's own producer is known by what the gateway recorded of it."""
    value = orjson.loads(record(event()).value) | {"recordedby": by}
    assert door_of(value) == door
    stored = record(event())._replace(value=orjson.dumps(value))
    assert trace(stored, None, AgreementBook(), NOW_US)["received"]["door"] == door


def test_every_reason_has_a_meaning() -> None:
    """Whatever the forwarder can give as a reason."""
    assert set(MEANINGS) == set(Reason)
