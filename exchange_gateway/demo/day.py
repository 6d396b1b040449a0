"""The sample day: what happened in Vestalliancen, moved in time so that it ends now. Pure but for its file."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from zoneinfo import ZoneInfo

from schemas.identifiers import TYPE_PREFIX, EventName, Source

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_NAMESPACE = uuid.UUID("5bd0f6a6-3c3e-5d0f-8f55-0d8f3c1b7a10")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")

Door = Literal["sheet", "http"]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a municipality's system tells of. door: how it gets to Kommunebro."""

    participant: str
    system: str
    door: Door
    name: EventName
    time: datetime
    data: dict[str, Any]

    @property
    def thing_id(self) -> str:
        """The id of the job order, contact, visit, cooperation or response."""
        return str(self.data[self.name.id_property])

    def as_event(self) -> dict[str, Any]:
        """Return the CloudEvent that a system with an interface of its own sends."""
        time = self.time.isoformat(timespec="milliseconds")
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid5(_NAMESPACE, f"{self.participant} {self.thing_id} {time}")),
            "source": str(Source(self.participant, self.system)),
            "type": TYPE_PREFIX + self.name,
            "subject": self.thing_id,
            "time": time,
            "dataschema": f"urn:kommunebro:schema:{self.name}:1.0",
            "data": self.data,
        }


@cache
def _scenario() -> dict[str, Any]:
    return json.loads(files("exchange_gateway.demo").joinpath("scenario.json").read_text("utf-8"))  # type: ignore[no-any-return]


def play_ending(now: datetime) -> list[Happening]:
    """Return the day's happenings in order; the last of them happens at `now`."""
    scenario = _scenario()
    last = datetime.fromisoformat(scenario["begins"]) + timedelta(minutes=scenario["events"][-1]["minutes"])
    later = now - last
    return [
        Happening(
            participant=row["participant"],
            system=row["system"],
            door=row["door"],
            name=EventName(row["name"]),
            time=(last + later - _before_the_end(row)).astimezone(COPENHAGEN),
            data=moved(row["data"], later),
        )
        for row in scenario["events"]
    ]


def _before_the_end(row: dict[str, Any]) -> timedelta:
    return timedelta(minutes=_scenario()["events"][-1]["minutes"] - row["minutes"])


def moved(value: Any, later: timedelta) -> Any:
    """Return JSON data with its dates and instants moved.

    Instants move by whole quarters of an hour, and not past `later`: people agree to meet at 9.15, and
    what has happened must not move into the future. Dates move by the same, as days.
    """
    if isinstance(value, dict):
        return {key: moved(item, later) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, later) for item in value]
    if isinstance(value, str) and _DATE.fullmatch(value):
        return (date.fromisoformat(value) + timedelta(days=_quarters(later) // timedelta(days=1))).isoformat()
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return (datetime.fromisoformat(value) + _quarters(later)).astimezone(COPENHAGEN).isoformat()
    return value


def _quarters(span: timedelta) -> timedelta:
    quarter = timedelta(minutes=15)
    return span // quarter * quarter
