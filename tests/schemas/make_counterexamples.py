"""Write the counterexamples: for every rule in the schemas one event that breaks it, and nothing else.

`python -m tests.schemas.make_counterexamples` writes them anew; a test holds that the tree has what this
makes. Each begins as an example that passes, and then has the mistake that a municipality's system or
sheet would make: the Danish label for the value, a Danish date, a number as a text, a citizen's number in
a note.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson

import schemas
from schemas.identifiers import ID_PROPERTIES
from schemas.packaged import full_schemas
from schemas.tree import Schema, split
from tests.schemas.rules_in_schemas import RulePlace, rules_in

HERE = Path(schemas.__file__).parent
Counterexample = tuple[str, dict[str, Any]]

# What no example has, so that every property can be wrong in some event.
ALSO = {
    "foreignId": {"country": "DE", "id": "HRB 000000 FL"},
    "industryCodes": [{"system": "DB07", "code": "251100", "label": "Fremstilling af metalkonstruktioner"}],
    "soleTrader": False,
    "municipality": "0671",
    "postcode": "7600",
    "pNumber": "1999000011",
    "sizeBand": "50-249",
    "cvr": "93100018",
    "codes": [{"system": "DISCO-08", "code": "721400", "label": "Klejnsmed"}],
    "role": "Produktionschef",
    "phone": "+45 00 00 22 01",
    "email": "pet@staldinventar.example",
    "alliances": ["vestalliancen"],
    "city": "Struer",
    "outlook": [{"occupation": {"label": "Klejnsmed"}, "horizonMonths": 3, "direction": "increase", "positions": 3}],
    "positions": 3,
    "startAsap": True,
    "candidateCount": 2,
    "reason": "distance",
    "cancelReason": "company",
    "relatedJobOrders": ["1bd7bbe1-98a6-5d32-bd68-c7157fb4547c"],
    "followUp": {"date": "2026-12-01", "action": "Ring igen.", "done": False},
    "with": ["0661"],
    "label": "Smedearbejde",
    "doNotContactUntil": "2027-02-01",
    "campaign": "Træ og møbel, efterår 2026",
    "end": "2026-11-26T14:00:00+01:00",
    "agreed": "Vi ringer igen i februar.",
    "outcomes": ["opening"],
    "until": "2026-12-31",
    "since": "2024-03-01",
    "band": "5-9",
    "handover": "phone",
    "message": "Vi svarer i morgen.",
    "contactPerson": {"name": "Poul Erik Toftdahl"},
}

WRONG_TYPE = {
    "string": 42,
    "integer": "3",
    "number": "37,5",
    "boolean": "ja",
    "array": "se vedhæftet",
    "object": "Vestjysk Staldinventar A/S",
}
WRONG_FORM = {
    "^[0-9]{4}$": "Struer",
    "^[0-9]{6}$": "25.11.00",
    "^[0-9]{8}$": "93 10 00 18",
    "^[0-9]{10}$": "19990011",
    "^[A-Za-z0-9._-]{1,64}$": "Jobordre 1001/2026",
    "^([0-9]{4}|[a-z][a-z0-9-]{1,31})$": "Jobcenter Struer",
}
# No such number was ever given to anybody: each fails the check digit that all numbers of its time had.
CITIZENS = (
    "Spørg efter 020384-1111.",
    "Kandidaten har cpr 0203841112",
    "cpr.nr. 020384 1113",
    "020384\u20131114 er interesseret",
)
LONG = "Vi søger en stabil og omstillingsparat medarbejder til vores team. "


def wrong_value(place: RulePlace, value: Any) -> Any:
    """Return what breaks the rule at a place that now has `value`."""
    node = place.node
    makers: dict[str, Callable[[], Any]] = {
        "type": lambda: WRONG_TYPE[node["type"]],
        "enum": lambda: _not_among(node),
        "maxLength": lambda: (LONG * 80)[: node["maxLength"] + 1],
        "pattern": lambda: WRONG_FORM[node["pattern"]],
        "format": lambda: "23-11-2026",
        "minimum": lambda: node["minimum"] - 1,
        "minItems": list,
        "cpr": lambda: CITIZENS[len(place.pointer) % len(CITIZENS)],
        "modulus-11": lambda: "93100019",
        "register": lambda: "0999",
        "required": lambda: {name: item for name, item in value.items() if name != place.name},
        "additionalProperties": lambda: {**value, "note": "Intern note: ring først efter kl. 10."},
        "anyOf": lambda: {name: item for name, item in value.items() if name not in ("cvr", "foreignId")},
    }
    return makers[place.rule]()


def _not_among(node: Schema) -> Any:
    if node["type"] == "integer":
        return 6
    # Where label and value are the same word, anything else is wrong.
    return next((label for value, label in node["x-enum-labels-da"].items() if label != value), "ukendt")


def of_rule(place: RulePlace, event: dict[str, Any], root: Schema) -> Counterexample | None:
    """Break one rule in an event that is right."""
    event = deepcopy(event)
    id_property = ID_PROPERTIES[event["type"].rsplit(".", 1)[1]]
    if place.pointer == f"/{id_property}" and place.rule == "pattern":
        # The subject is the same text, and its form is looked at first.
        event["subject"] = event["data"][id_property] = WRONG_FORM[place.node["pattern"]]
        return place.stem, {"x-fails-at": "/subject", **event}
    tokens = ["data", *split(place.pointer)]
    holder, last = _go_to(event, tokens)
    holder[last] = wrong_value(place, holder[last])
    fails_at = "/data" + place.pointer + ("/note" if place.rule == "additionalProperties" else "")
    return place.stem, {"x-fails-at": fails_at, **event}


def _go_to(event: dict[str, Any], tokens: list[str]) -> tuple[Any, Any]:
    """Return what holds the last token, putting in from `ALSO` what the event lacks on the way."""
    node: Any = event
    for token in tokens[:-1]:
        node = node[0] if token == "0" else _present(node, token)
    last = tokens[-1]
    if last == "0":
        return node, 0
    _present(node, last)
    return node, last


def _present(node: dict[str, Any], name: str) -> Any:
    if name not in node or node[name] == []:
        node[name] = deepcopy(ALSO[name])
    return node[name]


def of_envelope(event: dict[str, Any]) -> Iterator[Counterexample]:
    """Break each rule of the envelope, which is the same for all types."""
    for name in ("specversion", "id", "source", "type", "subject", "time", "dataschema", "data"):
        yield f"envelope-{name}-required", {"x-fails-at": "", **{key: event[key] for key in event if key != name}}
    wrong = {
        "specversion": "0.3",
        "id": "",
        "source": "https://struer.example/opera",
        "type": "dk.kommunebro.joborder",
        "time": "2026-11-16T08:05:00",
        "dataschema": "urn:kommunebro:schema:visit:1.0",
        "datacontenttype": "application/xml",
        "traceparent": "ikke-en-sporing",
    }
    for name, value in wrong.items():
        yield f"envelope-{name}", {"x-fails-at": f"/{name}", **event, name: value}
    for name, value in (("recordedtime", "2026-11-16T08:05:01Z"), ("owner", "0671"), ("kommune", "Struer")):
        yield f"envelope-{name}-not-allowed", {"x-fails-at": f"/{name}", **event, name: value}
    yield "envelope-data-type", {"x-fails-at": "/data", **event, "data": "3 klejnsmede"}
    yield "envelope-id-too-long", {"x-fails-at": "/id", **event, "id": "x" * 129}
    yield "envelope-id-control-character", {"x-fails-at": "/id", **event, "id": "1001\n"}
    yield "envelope-time-no-such-day", {"x-fails-at": "/time", **event, "time": "2026-11-31T08:05:00+01:00"}
    yield "envelope-subject-not-the-id", {"x-fails-at": "/data/jobOrderId", **event, "subject": "1001"}
    yield (
        "envelope-dataschema-unknown",
        {
            "x-fails-at": "/dataschema",
            **event,
            "dataschema": "urn:kommunebro:schema:job-order:9.0",
        },
    )
    yield (
        "envelope-dataschema-shared",
        {
            "x-fails-at": "/dataschema",
            **event,
            "dataschema": "urn:kommunebro:schema:job-order-shared:1.0",
        },
    )


def of_schema(root: Schema) -> dict[Path, dict[str, Any]]:
    """Return every counterexample of one schema by its path."""
    name, version = root["$id"].split(":")[-2:]
    examples = sorted((HERE / name / "examples" / version).glob("*.json"))
    event = max((orjson.loads(path.read_bytes()) for path in examples), key=lambda event: len(event["data"]))
    found = dict(made for place in rules_in(root) if (made := of_rule(place, event, root)))
    if name == "job-order":
        found |= dict(of_envelope(event))
    folder = HERE / name / "counterexamples" / version
    return {folder / f"{stem}.json": counterexample for stem, counterexample in found.items()}


def text_of(counterexample: dict[str, Any]) -> str:
    """Return a counterexample as its file has it."""
    return json.dumps(counterexample, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write all files anew."""
    for root in full_schemas():
        name, version = root["$id"].split(":")[-2:]
        folder = HERE / name / "counterexamples" / version
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path, counterexample in of_schema(root).items():
            path.write_text(text_of(counterexample), encoding="utf-8")


if __name__ == "__main__":
    main()
