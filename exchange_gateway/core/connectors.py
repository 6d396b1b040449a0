"""What connectors tell of themselves, and how it is listed. Pure.

A report says how a connector is, never what it read: counts, times and the stable name of what is wrong.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from broker_adapters.log import NewRecord, Record
from schemas.event import format_time, parse_time

LATE_AFTER_US = 15 * 60 * 1_000_000
"""How long after its next run was due a connector counts as silent."""


class ConnectorKey(NamedTuple):
    """Which connector it is: a participant's, of one of its systems, by its name."""

    participant: str
    system: str
    name: str


def report_record(key: ConnectorKey, report: Mapping[str, Any]) -> NewRecord:
    """Return the record of a report."""
    return NewRecord(orjson.dumps({**key._asdict(), **report}), "/".join(key).encode())


def key_of_record(record: Record) -> ConnectorKey:
    """Return whose report a record of `control.connectors` is."""
    told = orjson.loads(record.value)
    return ConnectorKey(str(told["participant"]), str(told["system"]), str(told["name"]))


def connector_item(value: bytes, recorded_at_ms: int, *, now_us: int) -> dict[str, Any]:
    """Return how a connector is listed. now_us: UTC microseconds."""
    told: dict[str, Any] = orjson.loads(value)
    return {
        "participant": told.pop("participant"), "system": told.pop("system"), "name": told.pop("name"),
        "state": connector_state(told, recorded_at_ms * 1000, now_us=now_us),
        "lastSeen": format_time(recorded_at_ms * 1000), **told,
    }  # fmt: skip


def connector_state(report: Mapping[str, Any], seen_us: int, *, now_us: int) -> str:
    """Return in a word how a connector is: silent, failing, refusing, behind or well, the gravest first."""
    due = report.get("nextRun")
    if due is not None and now_us > max(parse_time(due), seen_us) + LATE_AFTER_US:
        return "silent"
    if report.get("problem") is not None:
        return "failing"
    if report["refused"]:
        return "refusing"
    return "behind" if report["waiting"] else "well"
