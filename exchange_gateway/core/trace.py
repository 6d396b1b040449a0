"""Where an event went and why, and why not elsewhere: read from the record of the step that decided it. Pure.

Nothing is decided anew here. The step's record in `audit.forwarding` says what was done; the agreements, as they stood
before the offset that the record names, say which fields that left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from broker_adapters.log import Record
from exchange_gateway.core.access import NATIVE_CLIENT
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.agreements.fields import escape
from exchange_gateway.core.forwarded import FORWARDER, made_id
from exchange_gateway.core.routing import Form, Reason
from exchange_gateway.core.showing import bare, showing
from schemas.event import parse_time
from schemas.identifiers import FORWARDING_TOPIC, TYPE_PREFIX, parse_data_topic

MEANINGS: Mapping[Reason, str] = {
    Reason.DUPLICATE: "The same event was there before.",
    Reason.CONFLICT: "Another event has this source and id.",
    Reason.STALE: "A newer state of the thing is known.",
    Reason.UNREADABLE: "The record is not an event.",
    Reason.TOO_LARGE: "With what the forwarder adds it is over the log's limit.",
    Reason.SCOPE_OWN: "The publisher keeps it.",
    Reason.EMPLOYER_DID_NOT_AGREE: "The employer did not agree to its being shared.",
    Reason.NO_AGREEMENT: "Its publisher is in no agreement.",
    Reason.NO_VIA: "The response names no alliance.",
    Reason.UNKNOWN_ALLIANCE: "An alliance is named that does not exist.",
    Reason.SCOPE_TOO_NARROW: "The publisher's scope does not reach this kind of agreement.",
    Reason.NOT_NAMED: "The publisher named other alliances.",
    Reason.NOT_VALID_YET: "The agreement begins later.",
    Reason.NOT_A_MEMBER: "Its publisher is not a member of this alliance.",
    Reason.ORDER_OWNER_NOT_A_MEMBER: "The order's owner is not a member of this alliance.",
    Reason.TYPE_NOT_SHARED: "The agreement does not share this type.",
    Reason.NOT_A_PUBLISHER: "The member does not publish this type in this alliance.",
    Reason.OVER_BEFORE_SHARED: "It was over before anybody in the alliance saw it.",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A step that decided on events. offset: of its record in `audit.forwarding`. told: what that says."""

    offset: int
    told: Mapping[str, Any]

    @classmethod
    def of(cls, step: Record) -> "Decided":
        """Read a step's record."""
        return cls(step.offset, orjson.loads(step.value))

    def covers(self, topic: str, offset: int) -> bool:
        """Whether it decided on the event at a place."""
        return any(taken["topic"] == topic and taken["from"] <= offset < taken["to"] for taken in self.told["inputs"])


@dataclass(frozen=True, slots=True)
class Then:
    """By what an event was decided: its step, and the agreements as they stood before the offset that this names."""

    decided: Decided
    book: AgreementBook

    @property
    def at_us(self) -> int:
        """The step's instant, UTC microseconds."""
        return parse_time(self.decided.told["at"])


def door_of(event: Mapping[str, Any]) -> str:
    """Return through which door an event came in."""
    return "native" if str(event.get("recordedby", "")).startswith(NATIVE_CLIENT) else "http"


def trace(
    record: Record, then: Then | None, now: AgreementBook, now_us: int, participant: str | None = None
) -> dict[str, Any]:
    """Return an event's trace.

    then: by what it was decided, None where it is not decided yet. participant: also say what became of it for this
    one, for which the agreements as they are `now` count as well: whoever joins reads from the beginning.
    """
    event = orjson.loads(record.value)
    answer: dict[str, Any] = {
        "event": {
            **{name: event[name] for name in ("source", "id", "type", "subject", "time")},
            "topic": record.topic,
            "offset": record.offset,
        },
        "received": {"at": event.get("recordedtime"), "door": door_of(event), "by": event.get("recordedby")},
        "decided": None,
        "forwarded": [],
        "withheld": [],
    }
    if then is not None:
        told = then.decided.told
        answer["decided"] = {
            "at": told["at"],
            "shard": told["shard"],
            "agreementsOffset": told["agreementsOffset"],
            "record": {"topic": FORWARDING_TOPIC, "offset": then.decided.offset},
        }
        answer["forwarded"] = [_forwarded(group, event, then.book) for group in _of(told["forwarded"], record)]
        answer["withheld"] = [_withheld(group) for group in _of(told["withheld"], record)]
    if participant is not None:
        answer["participant"] = _for(participant, answer, then, now, now_us)
    return answer


def _of(groups: Iterable[Mapping[str, Any]], record: Record) -> list[Mapping[str, Any]]:
    return [group for group in groups if group["topic"] == record.topic and record.offset in group["offsets"]]


def _forwarded(group: Mapping[str, Any], event: Mapping[str, Any], book: AgreementBook) -> dict[str, Any]:
    version = book.version(group["alliance"], group["version"])
    name, data = event["type"].removeprefix(TYPE_PREFIX), event["data"]
    shown: Mapping[str, Any] = {}
    if group["form"] == Form.SHOWN and version is not None:
        shown = showing(name, version.agreement.shares.get(name)).show(data)
    elif group["form"] == Form.ENDED:
        shown = bare(name, data)
    told = {
        "alliance": group["alliance"],
        "agreementVersion": group["version"],
        "agreementOffset": None if version is None else version.offset,
        "form": group["form"],
        **differing(data, shown),
        **_reason(group),
    }
    if group["form"] == Form.RETRACTED:
        # The publisher's event itself went nowhere; the forwarder made one in its place.
        told["made"] = {"source": FORWARDER, "id": made_id(event["source"], event["id"])}
    return told


def _withheld(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"alliance": group.get("alliance"), **_reason(group)}


def _reason(group: Mapping[str, Any]) -> dict[str, str]:
    if "reason" not in group:
        return {}
    return {"reason": group["reason"], "meaning": MEANINGS[Reason(group["reason"])]}


def differing(data: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return JSON Pointers into `data`: `cut`, what `shown` has not, and `changed`, what it has otherwise.

    They pass through a list to each of its items, as an agreement's fields do. Where all of a property is cut, its
    own pointer stands for what is in it.
    """
    cut, changed = set[str](), set[str]()
    _compare(data, shown, "", cut, changed)
    return {"cut": sorted(cut), "changed": sorted(changed)}


def _compare(data: Mapping[str, Any], shown: Mapping[str, Any], before: str, cut: set[str], changed: set[str]) -> None:
    for name, value in data.items():
        pointer = f"{before}/{escape(name)}"
        if name not in shown:
            cut.add(pointer)
        elif isinstance(value, dict) and isinstance(shown[name], dict):
            _compare(value, shown[name], pointer, cut, changed)
        elif value == shown[name]:
            continue
        elif _are_cut_alike(value, shown[name]):
            for item, seen in zip(value, shown[name], strict=True):
                _compare(item, seen, pointer, cut, changed)
        else:
            changed.add(pointer)


def _are_cut_alike(value: object, shown: object) -> bool:
    """Whether a list has all its items still, each cut by itself."""
    if not (isinstance(value, list) and isinstance(shown, list) and len(value) == len(shown)):
        return False
    return all(isinstance(item, dict) for item in (*value, *shown))


def _for(
    participant: str, answer: Mapping[str, Any], then: Then | None, now: AgreementBook, now_us: int
) -> dict[str, Any]:
    """Say through which alliances a participant could read the event when it was decided, and if none, why not.

    `later` names those in which it can read it only since it joined them, or since they show it the type.
    """
    topic = parse_data_topic(answer["event"]["topic"])
    if topic is not None and topic.holder == participant:
        return _seen(participant, [_why(None, "own")])
    if then is None:
        return _seen(participant, [_why(None, "undecided")])
    name = answer["event"]["type"].removeprefix(TYPE_PREFIX)
    went = [one["alliance"] for one in answer["forwarded"]]
    in_force = then.book.in_force(then.at_us)
    received = [alliance for alliance in then.book.reads(participant, name, then.at_us) if alliance in went]
    later = [one for one in now.reads(participant, name, now_us) if one in went and one not in received]
    listed = {version.alliance for version in in_force.of(participant)}
    why = [
        _why(one["alliance"], one["reason"])
        for one in answer["withheld"]
        if one["alliance"] is None or one["alliance"] in listed
    ]
    why += [_why(one, "type-not-read" if one in listed else "was-not-a-member") for one in went if one not in received]
    if not received and not why:
        why = [_why(None, "in-none-of-them")]
    return _seen(participant, [] if received else why, received, later)


def _seen(
    participant: str, why: list[dict[str, Any]], received: Iterable[str] = (), later: Iterable[str] = ()
) -> dict[str, Any]:
    return {"participant": participant, "received": list(received), "later": list(later), "why": why}


OF_PARTICIPANT: Mapping[str, str] = {
    "own": "It is the participant's own.",
    "undecided": "It is not decided yet: no forwarder has come to it.",
    "type-not-read": "It was shared there; the participant was a member that did not read this type.",
    "in-none-of-them": "The participant was in none of the alliances for which it was decided.",
    "was-not-a-member": "It was shared there; the participant was not a member when it was decided.",
}
"""Why a participant did not receive an event, beside the reasons for which it was withheld."""


def _why(alliance: str | None, reason: str) -> dict[str, Any]:
    meaning = OF_PARTICIPANT[reason] if reason in OF_PARTICIPANT else MEANINGS[Reason(reason)]
    return {"alliance": alliance, "reason": reason, "meaning": meaning}
