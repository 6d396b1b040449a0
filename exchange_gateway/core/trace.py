"""Where an event went and why, and why not elsewhere: read from the record of the step that decided it. Pure.

Nothing is decided anew here. The step's record in `audit.forwarding` says what was done; the agreements, as they stood
before the offset that the record names, say which fields that left.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from broker_adapters.log import Record
from exchange_gateway.core.agreements import AgreementBook
from exchange_gateway.core.routing import Form, Reason
from exchange_gateway.core.showing import bare, showing
from schemas.event import parse_time
from schemas.identifiers import TYPE_PREFIX, parse_data_topic

DOOR_HTTP = "http"
"""The one door in that there is."""

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
    """The step that decided on an event. offset: of its record in `audit.forwarding`. told: what that says."""

    offset: int
    told: Mapping[str, Any]


def decided_on(step: Record, topic: str, offset: int) -> Decided | None:
    """Return a step if it decided on the event at a place, else None."""
    told = orjson.loads(step.value)
    covers = any(taken["topic"] == topic and taken["from"] <= offset < taken["to"] for taken in told["inputs"])
    return Decided(step.offset, told) if covers else None


def trace(record: Record, decided: Decided | None, book: AgreementBook, participant: str | None) -> dict[str, Any]:
    """Return an event's trace. participant: also say what became of it for this one."""
    event = orjson.loads(record.value)
    answer: dict[str, Any] = {
        "event": {
            **{name: event[name] for name in ("source", "id", "type", "subject", "time")},
            "topic": record.topic,
            "offset": record.offset,
        },
        "received": {
            "at": event.get("recordedtime"),
            "door": DOOR_HTTP,
            "by": event.get("recordedby"),
        },
        "decided": None,
        "forwarded": [],
        "withheld": [],
    }
    if decided is not None:
        then = book.as_of(decided.told["agreementsOffset"])
        answer["decided"] = {
            "at": decided.told["at"],
            "shard": decided.told["shard"],
            "agreementsOffset": decided.told["agreementsOffset"],
            "record": {"topic": "audit.forwarding", "offset": decided.offset},
        }
        answer["forwarded"] = [_forwarded(group, event, then) for group in _of(decided.told["forwarded"], record)]
        answer["withheld"] = [_withheld(group) for group in _of(decided.told["withheld"], record)]
        if participant is not None:
            answer["participant"] = _for(participant, answer, event, then, parse_time(decided.told["at"]))
    elif participant is not None:
        answer["participant"] = {"participant": participant, "received": [], "why": ["It is not decided yet."]}
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
        "cut": sorted(set(cut_pointers(data, shown, ""))),
    }
    return told | _reason(group)


def _withheld(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"alliance": group.get("alliance"), **_reason(group)}


def _reason(group: Mapping[str, Any]) -> dict[str, str]:
    if "reason" not in group:
        return {}
    return {"reason": group["reason"], "meaning": MEANINGS[Reason(group["reason"])]}


def cut_pointers(data: Mapping[str, Any], shown: Mapping[str, Any], before: str) -> Iterable[str]:
    """Give JSON Pointers of what `data` has and `shown` has not, or has otherwise; through lists as agreements do."""
    for name, value in data.items():
        pointer = f"{before}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in shown:
            yield pointer
        elif isinstance(value, dict) and isinstance(shown[name], dict):
            yield from cut_pointers(value, shown[name], pointer)
        elif isinstance(value, list) and isinstance(shown[name], list) and len(value) == len(shown[name]):
            for item, seen in zip(value, shown[name], strict=True):
                if isinstance(item, dict) and isinstance(seen, dict):
                    yield from cut_pointers(item, seen, pointer)
        elif value != shown[name]:
            yield pointer


def _for(
    participant: str, answer: Mapping[str, Any], event: Mapping[str, Any], book: AgreementBook, at_us: int
) -> dict[str, Any]:
    """Say whether a participant could read the event, through which alliances, and if not, why not."""
    name = event["type"].removeprefix(TYPE_PREFIX)
    reads = set(book.reads(participant, name, at_us))
    listed = {version.alliance for version in book.in_force(at_us).of(participant)}
    received = [one["alliance"] for one in answer["forwarded"] if one["alliance"] in reads]
    why: list[str] = []
    topic = parse_data_topic(answer["event"]["topic"])
    if topic is not None and topic.holder == participant:
        why.append("It is the participant's own.")
    elif not received:
        why += [
            f"{one['alliance'] or 'all others'}: {one['meaning']}"
            for one in answer["withheld"]
            if one["alliance"] is None or one["alliance"] in listed
        ]
        why += [
            f"{one['alliance']}: The participant does not read this type there."
            for one in answer["forwarded"]
            if one["alliance"] in listed - reads
        ]
        if not why:
            why.append("The participant is in none of the alliances that the event went to.")
    return {"participant": participant, "received": received, "why": why}
