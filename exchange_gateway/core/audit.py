"""The forwarder's own record of each step, in `audit.forwarding`: what it read, when, and what became of it. Pure.

One line of JSON: `shard`, `at`, `agreementsOffset` (agreements before this offset counted), `inputs`
(per topic `from` and, not included, `to`), `forwarded` and `withheld`. Events of one topic with one
outcome stand together with their `offsets`, so that a record is small beside what it tells of.
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from broker_adapters.log import NewRecord
from exchange_gateway.core.routing import Decisions, Withhold

Decided = tuple[str, Decisions, list[int]]
"""A topic, what was decided, and the offsets of successive events there on which it was."""

_Groups = dict[tuple[object, ...], list[int]]


def audit_record(shard: int, at: str, agreements_offset: int, decided: Sequence[Decided]) -> NewRecord:
    """Write a step down. at: RFC 3339 with milliseconds."""
    inputs: dict[str, list[int]] = {}
    # Most events of a step share one answer, so it is looked into once and not for each of them.
    alike: dict[tuple[str, int], tuple[Decisions, list[int]]] = {}
    for topic, decisions, offsets in decided:
        inputs.setdefault(topic, [offsets[0], 0])[1] = offsets[-1] + 1
        alike.setdefault((topic, id(decisions)), (decisions, []))[1].extend(offsets)
    forwarded: _Groups = {}
    withheld: _Groups = {}
    for (topic, _), (decisions, offsets) in alike.items():
        for decision in decisions.each:
            if isinstance(decision, Withhold):
                withheld.setdefault((topic, decision.alliance, decision.reason), []).extend(offsets)
            else:
                group = (topic, decision.alliance, decision.agreement.number, decision.form, decision.reason)
                forwarded.setdefault(group, []).extend(offsets)
    value = orjson.dumps({
        "shard": shard,
        "at": at,
        "agreementsOffset": agreements_offset,
        "inputs": [{"topic": topic, "from": start, "to": end} for topic, (start, end) in inputs.items()],
        "forwarded": _write(("topic", "alliance", "version", "form", "reason"), forwarded.items()),
        "withheld": _write(("topic", "alliance", "reason"), withheld.items()),
    })  # fmt: skip
    return NewRecord(value, str(shard).encode())


def _write(
    names: tuple[str, ...], groups: Iterable[tuple[tuple[object, ...], list[int]]]
) -> list[Mapping[str, object]]:
    """Write each group with what its events have in common, nulls left out, and their offsets."""
    return [
        {name: part for name, part in zip(names, common, strict=True) if part is not None}
        | {"offsets": sorted(offsets)}
        for common, offsets in groups
    ]
