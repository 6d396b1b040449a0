"""Job orders as a reader sees them: who sees which, what of it, and which a filter finds. Pure.

Source of the rules: `docs/reading.md`.
"""

import base64
import binascii
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import orjson

from exchange_gateway.core.things import ALLIANCE, PUB, Sighting
from schemas.event import format_time
from schemas.identifiers import SUBJECT

CLOSED = frozenset({"filled", "expired", "withdrawn"})
"""With one of these an order has left an alliance: what stands there is its id and its status."""

BETWEEN = "\x1e"
"""Stands before each code in a row's list of codes, so that a code is found from its beginning."""

_FENCE = "\x1f"

TEXT_CHARACTERS_MAX = 20_000


class Facets(NamedTuple):
    """What filters look at, taken from no more than one sighting shows."""

    status: str
    municipality: str | None
    occupation: str
    occupation_codes: str
    industry_codes: str
    text: str


class Row(NamedTuple):
    """A stored sighting of a job order. data: JSON."""

    space: str
    owner: str
    subject: str
    first_ms: int
    recorded_ms: int
    time_us: int
    time: str
    source: str
    event_id: str
    facets: Facets
    data: bytes

    @property
    def is_closed(self) -> bool:
        """Whether the order has ended or was taken back, there."""
        return self.facets.status in CLOSED


def row_of(sighting: Sighting) -> Row:
    """Return what is stored of a sighting."""
    return Row(
        sighting.space,
        sighting.owner,
        sighting.subject,
        sighting.first_ms,
        sighting.recorded_ms,
        sighting.time_us,
        sighting.time,
        sighting.source,
        sighting.event_id,
        facets_of(sighting),
        orjson.dumps(sighting.data),
    )


def facets_of(sighting: Sighting) -> Facets:
    """Take out what filters look at."""
    data = sighting.data
    company, occupation, workplace = _object(data, "company"), _object(data, "occupation"), _object(data, "workplace")
    codes, industries = _objects(occupation, "codes"), _objects(company, "industryCodes")
    municipality = workplace.get("municipality")
    labels = _texts(occupation.get("label"), *(code.get("label") for code in codes))
    # One text for all of them: making texts comparable is what takes the time here.
    text = " ".join(_searched(sighting.subject, data, company, workplace, labels))
    listed = [part.replace(_FENCE, " ") for part in (" / ".join(labels), _codes(codes), _codes(industries))]
    together = normal(_FENCE.join((*listed, text[:TEXT_CHARACTERS_MAX])))
    label, occupation_codes, industry_codes, text = together.split(_FENCE, 3)
    return Facets(
        status=str(data.get("status")),
        municipality=municipality if isinstance(municipality, str) else None,
        occupation=label,
        occupation_codes=occupation_codes,
        industry_codes=industry_codes,
        text=text,
    )


def _searched(
    subject: str, data: Mapping[str, Any], company: Mapping[str, Any], workplace: Mapping[str, Any], labels: list[str]
) -> list[str]:
    return _texts(
        data.get("title"),
        company.get("name"),
        *labels,
        data.get("description"),
        *_list(data, "requirements"),
        *_list(data, "certificates"),
        company.get("cvr"),
        company.get("pNumber"),
        workplace.get("city"),
        workplace.get("postcode"),
        subject,
    )


def _codes(codes: Iterable[Mapping[str, Any]]) -> str:
    """Write codes so that one is found by its beginning, with its system's name before it or without."""
    return "".join([f"{BETWEEN}{code.get('code')}{BETWEEN}{code.get('system')}:{code.get('code')}" for code in codes])


def normal(text: str) -> str:
    """Return a text as it is compared: case and the spelling of letters do not matter."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    # A null would end the text where the database compares.
    return text.casefold().replace("\0", " ")


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    return value if isinstance(value, list) else []


def _objects(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [item for item in _list(data, name) if isinstance(item, dict)]


def _texts(*values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a reader may see: all that `own` published, and what is shared in `alliances`."""

    own: frozenset[str]
    alliances: frozenset[str]

    @property
    def spaces(self) -> list[str]:
        """The places that it may look at."""
        return sorted(PUB + owner for owner in self.own) + self.alliance_spaces

    @property
    def alliance_spaces(self) -> list[str]:
        """The places among them where others' orders stand."""
        return sorted(ALLIANCE + alliance for alliance in self.alliances)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a reader looks for. All that is given must hold; texts are normal. since_ms: recorded then or later."""

    owner: str | None = None
    alliance: str | None = None
    municipality: str | None = None
    occupation: str | None = None
    industry: str | None = None
    status: str | None = None
    since_ms: int | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job order as one reader sees it.

    first_ms: when it was first recorded in a place that this reader sees; the list's order, since it never changes.
    alliances: where it is shared; once it has left all of them, where it was. shown: what its data come from.
    """

    owner: str
    subject: str
    first_ms: int
    alliances: tuple[str, ...]
    shown: tuple[Row, ...]

    @property
    def newest(self) -> Row:
        """What its status and times come from."""
        return self.shown[0]

    def matches(self, filters: Filters) -> bool:
        """Whether it is what the reader looks for, by nothing but what the reader sees."""
        return (
            filters.owner in (None, self.owner)
            and (filters.alliance is None or filters.alliance in self.alliances)
            and filters.status in (None, self.newest.facets.status)
            and (filters.since_ms is None or self.newest.recorded_ms >= filters.since_ms)
            and all(any(test(row.facets) for row in self.shown) for test in _tests(filters))
        )

    def as_json(self) -> dict[str, Any]:
        """Return what is answered, for orjson."""
        newest = self.newest
        return {
            "jobOrderId": self.subject,
            "owner": self.owner,
            "status": newest.facets.status,
            "alliances": self.alliances,
            "recordedAt": format_time(newest.recorded_ms * 1000),
            "firstRecordedAt": format_time(self.first_ms * 1000),
            "time": newest.time,
            "event": {"source": newest.source, "id": newest.event_id},
            "data": self._data(),
        }

    def _data(self) -> Any:
        if len(self.shown) == 1:
            return orjson.Fragment(self.newest.data)
        return reduce(union, (orjson.loads(row.data) for row in self.shown))


def _tests(filters: Filters) -> list[Any]:
    tests: list[Any] = [lambda facets, word=word: word in facets.text for word in filters.words]
    if filters.municipality is not None:
        tests.append(lambda facets: facets.municipality == filters.municipality)
    if filters.occupation is not None:
        wanted = filters.occupation
        tests.append(lambda facets: wanted in facets.occupation or BETWEEN + wanted in facets.occupation_codes)
    if filters.industry is not None:
        industry = BETWEEN + filters.industry
        tests.append(lambda facets: industry in facets.industry_codes)
    return tests


def combine(rows: Sequence[Row], sight: Sight) -> JobOrder | None:
    """Return a thing as the reader sees it, of all its sightings; None when they may see none of them."""
    published = [row for row in rows if row.space.startswith(PUB)]
    shared = [row for row in rows if row.space.startswith(ALLIANCE)]
    if published and published[0].owner in sight.own:
        return _job_order(published, published, shared)
    seen = [row for row in shared if row.space.removeprefix(ALLIANCE) in sight.alliances]
    return _job_order(_still_shared(seen), seen, seen) if seen else None


def _job_order(shown: Sequence[Row], seen: Sequence[Row], shared: Sequence[Row]) -> JobOrder:
    newest = max(shown, key=lambda row: (row.time_us, row.recorded_ms))
    same = [row for row in shown if row.time_us == newest.time_us and row is not newest]
    return JobOrder(
        owner=newest.owner,
        subject=newest.subject,
        first_ms=min(row.first_ms for row in seen),
        alliances=tuple(sorted(row.space.removeprefix(ALLIANCE) for row in _still_shared(shared))),
        shown=(newest, *same),
    )


def _still_shared(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out where it has been retracted, unless it has been everywhere."""
    return [row for row in rows if not row.is_closed] or rows


def union(one: Any, other: Any) -> Any:
    """Return all that two views of one event show. Where both show something they agree, but for its parts."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {name: union(one[name], value) if name in one else value for name, value in other.items()}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [union(mine, theirs) for mine, theirs in zip(one, other, strict=True)]
    return one


class Place(NamedTuple):
    """A place in a list of job orders: after the item with this key."""

    first_ms: int
    owner: str
    subject: str

    def cursor(self) -> str:
        """Write it as an opaque text."""
        return base64.urlsafe_b64encode(orjson.dumps(list(self))).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Read what `cursor` wrote. Raises ValueError."""
        try:
            first_ms, owner, subject = orjson.loads(
                base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            )
        except (binascii.Error, TypeError) as error:
            raise ValueError(str(error)) from None
        good = isinstance(first_ms, int) and abs(first_ms) < 1 << 53 and isinstance(owner, str)
        if not (good and isinstance(subject, str) and SUBJECT.fullmatch(subject)):
            raise ValueError("not a place")
        return cls(first_ms, owner, subject)
