"""What a replay is asked for, which records answer it, in which order, and how each is written. Pure.

Source of the rules: `docs/replay.md`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate, repeat
from operator import attrgetter, itemgetter
from typing import NamedTuple

import orjson

from broker_adapters.log import Page
from schemas.event import format_time, parse_time
from schemas.identifiers import (
    PARTICIPANT,
    SUBJECT,
    TYPE_PREFIX,
    EventName,
    InvalidIdentifier,
    cvr_has_valid_form,
    parse_data_topic,
)

PARAMETERS = ("topic", "from", "to", "participant", "type", "subject", "cvr", "as-of")

CHUNK_BYTES = 256 * 1024
"""How much is sent at once: smaller pieces cost more in the server than in the network."""

_LINE_BYTES = 100
"""About what stands around a value."""

GLOB_CHARACTERS_MAX = 249
"""The longest name that a topic can have on Kafka."""

_MAILBOX = "in."
_GLOB = re.compile(r"[A-Za-z0-9._*?\[\]!-]+")
_OFFSET = re.compile(r"[0-9]{1,15}")


class WrongParameter(ValueError):
    """A replay was asked for in a way that has no answer. parameter: its name."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter, self.detail = parameter, detail


class Bound(NamedTuple):
    """Where a replay begins or ends: at an instant (UTC microseconds), or at an offset."""

    time_us: int | None = None
    offset: int | None = None

    @property
    def at_ms(self) -> int | None:
        """The first whole millisecond at or after the instant: the log's clock knows no finer ones."""
        return None if self.time_us is None else -(-self.time_us // 1000)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to replay. begin is included, end is not; as_of_us is the last instant included.

    name: a type's short name. participant: who published an event, or owns the thing in an alliance's topic.
    """

    glob: str | None = None
    begin: Bound | None = None
    end: Bound | None = None
    as_of_us: int | None = None
    participant: str | None = None
    name: str | None = None
    subject: str | None = None
    cvr: str | None = None

    @property
    def selects_events(self) -> bool:
        """Whether it asks for properties that only events have."""
        return (self.participant, self.name, self.subject, self.cvr) != (None, None, None, None)

    def wants(self, topic: str) -> bool:
        """Whether a topic can hold an answer."""
        parts = parse_data_topic(topic)
        if topic.startswith((_MAILBOX, "state.")):
            # A mailbox holds whatever somebody wrote into it; what was taken in of it stands in `pub`.
            return False
        if parts is None:
            return self.glob is not None and not self.selects_events and fnmatchcase(topic, self.glob)
        return (
            (self.glob is None or fnmatchcase(topic, self.glob))
            and self.name in (None, parts.name)
            and (self.participant is None or parts.space == "alliance" or parts.holder == self.participant)
        )

    def has_one_topic(self, topics: Iterable[str]) -> bool:
        """Whether offsets have one meaning: no more than one topic is asked for."""
        return len([topic for topic in topics if self.wants(topic)]) <= 1


def parse_request(given: Mapping[str, str], now_us: int) -> ReplayRequest:
    """Read a replay's parameters, named as in `PARAMETERS`. Raises `WrongParameter`."""
    unknown = sorted(given.keys() - set(PARAMETERS))
    if unknown:
        raise WrongParameter(unknown[0][:64], f"There is no such parameter; there are {', '.join(PARAMETERS)}.")
    begin, end = _bound(given, "from"), _bound(given, "to")
    as_of_us = _time("as-of", given["as-of"]) if "as-of" in given else None
    if as_of_us is not None and as_of_us > now_us:
        raise WrongParameter("as-of", "It lies in the future, so nobody knows yet what the log will hold by then.")
    if begin and end and begin > end and (begin.offset is None) == (end.offset is None):
        raise WrongParameter("to", "It lies before `from`.")
    return ReplayRequest(
        glob=_matched(given, "topic", _GLOB, "a topic's name, in which * stands for anything: pub.0671.*"),
        begin=begin,
        end=end,
        as_of_us=as_of_us,
        participant=_matched(given, "participant", PARTICIPANT, "a participant, such as 0671"),
        name=_name(given.get("type")),
        subject=_matched(given, "subject", SUBJECT, "a thing's id: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"),
        cvr=_cvr(given.get("cvr")),
    )


def _bound(given: Mapping[str, str], parameter: str) -> Bound | None:
    text = given.get(parameter)
    if text is None:
        return None
    if _OFFSET.fullmatch(text):
        return Bound(offset=int(text))
    return Bound(time_us=_time(parameter, text, " or an offset"))


def _time(parameter: str, text: str, otherwise: str = "") -> int:
    try:
        # A plus that nobody escaped arrives as a blank.
        return parse_time(text.strip().replace(" ", "+"))
    except InvalidIdentifier:
        wanted = f"It is a time with its offset from UTC, such as 2026-11-23T08:05:00+01:00{otherwise}."
        raise WrongParameter(parameter, wanted) from None


def _matched(given: Mapping[str, str], parameter: str, pattern: re.Pattern[str], wanted: str) -> str | None:
    text = given.get(parameter)
    if text is not None and (len(text) > GLOB_CHARACTERS_MAX or not pattern.fullmatch(text)):
        raise WrongParameter(parameter, f"It is {wanted}.")
    return text


def _name(text: str | None) -> str | None:
    if text is None:
        return None
    name = text.removeprefix(TYPE_PREFIX)
    if name not in {known.value for known in EventName}:
        raise WrongParameter("type", f"It is one of {', '.join(EventName)}, or the same with {TYPE_PREFIX} before it.")
    return name


def _cvr(text: str | None) -> str | None:
    if text is not None and not cvr_has_valid_form(text):
        raise WrongParameter("cvr", "It is a CVR number of 8 digits.")
    return text


class Run(NamedTuple):
    """Records in the order in which they are given, in columns."""

    topics: Iterable[str]
    offsets: Sequence[int]
    times_ms: Sequence[int]
    values: Sequence[bytes]


class Selection:
    """Says of an event's stored value whether it answers a request: first by its bytes, then exactly."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        whole = [f'"{text}"' for text in (request.subject, request.cvr) if text is not None]
        self._needles = [text.encode() for text in (*whole, request.participant) if text is not None]
        self.everything = not self._needles

    def keeps(self, value: bytes) -> bool:
        """Whether the event is part of the answer. Its topic is one that the request wants."""
        return self.everything or (self._can_be(value) and self._is(orjson.loads(value)))

    def of(self, run: Run) -> Run | None:
        """Return what of a run is part of the answer, or None for nothing."""
        if self.everything:
            return run
        kept = [row for row in zip(run.topics, *run[1:], strict=False) if self.keeps(row[3])]
        return Run(*zip(*kept, strict=True)) if kept else None

    def _can_be(self, value: bytes) -> bool:
        """Tell cheaply what cannot be: what is looked for stands in the value as it is, or escaped."""
        for needle in self._needles:
            if needle not in value:
                return b"\\u" in value
        return True

    def _is(self, event: Mapping[str, object]) -> bool:
        request = self._request
        source = str(event.get("source")).split(":")
        owner = event.get("owner") or (source[2] if len(source) > 2 else None)  # noqa: PLR2004  # urn:kommunebro:<it>
        data = event.get("data")
        company = data.get("company") if isinstance(data, dict) else None
        cvr = company.get("cvr") if isinstance(company, dict) else None
        return (
            request.participant in (None, owner)
            and request.subject in (None, event.get("subject"))
            and request.cvr in (None, cvr)
        )


class _Heads(dict[str, bytes]):
    """What a line begins with, by topic."""

    def __missing__(self, topic: str) -> bytes:
        head = self[topic] = b'{"topic":%b,"offset":' % orjson.dumps(topic)
        return head


class _Times(dict[int, bytes]):
    """What stands between offset and value, by the time in milliseconds."""

    COUNT_MAX = 4_096
    """Many records in a row have the same time, and none comes again later."""

    def __init__(self) -> None:
        super().__init__()
        self._second: int | None = None
        self._text = ""

    def __missing__(self, at_ms: int) -> bytes:
        second, milliseconds = divmod(at_ms, 1000)
        if second != self._second:
            self._second, self._text = second, format_time(second * 1_000_000).removesuffix("000Z")
        if len(self) >= self.COUNT_MAX:
            self.clear()
        middle = self[at_ms] = f',"recordedAt":"{self._text}{milliseconds:03}Z","event":'.encode()
        return middle


class Chunks:
    """Writes records as lines, and gathers them until there is enough to send.

    A line is `{"topic":…,"offset":…,"recordedAt":"…Z","event":<stored bytes>}`. Each stored value is copied once, into
    the chunk, and never looked into.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._heads, self._times = _Heads(), _Times()
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, records: Run) -> Iterator[bytes]:
        """Take records, and give each chunk that has become full."""
        run = self._selection.of(records)
        if run is None:
            return
        topics = iter(run.topics)
        ends = list(accumulate(len(value) + _LINE_BYTES for value in run.values))
        begin, begin_bytes = 0, 0
        while begin < len(ends):
            end = min(len(ends), bisect_left(ends, begin_bytes + CHUNK_BYTES - self._bytes, begin) + 1)
            columns = (topics, run.offsets[begin:end], run.times_ms[begin:end], run.values[begin:end])
            self._parts.append(self._lines(Run(*columns)))
            self._bytes += ends[end - 1] - begin_bytes
            begin, begin_bytes = end, ends[end - 1]
            if self._bytes >= CHUNK_BYTES:
                yield self.rest()

    def rest(self) -> bytes:
        """Give what has been gathered."""
        chunk = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._bytes = [], 0
        return chunk

    def _lines(self, run: Run) -> bytes:
        heads = map(self._heads.__getitem__, run.topics)
        middles = map(self._times.__getitem__, run.times_ms)
        # The offsets come first: a `zip` takes no topic more than there are of them.
        lines = zip(run.offsets, heads, middles, run.values, strict=False)
        return b"".join(
            [part for offset, head, middle, value in lines for part in (head, b"%d" % offset, middle, value, b"}\n")]
        )


class Buffer:
    """What was read ahead of one topic. complete: nothing more will come."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.complete = False
        self.offsets: list[int] = []
        self.times_ms: list[int] = []
        self.values: list[bytes] = []

    def __len__(self) -> int:
        """Return how many records are held."""
        return len(self.offsets)

    def add(self, page: Page) -> None:
        """Put a page behind what is held."""
        self.offsets += page.offsets
        self.times_ms += page.times_ms
        self.values += page.values

    def cut(self, end: int) -> None:
        """Forget what is at or beyond an offset."""
        count = bisect_left(self.offsets, end)
        del self.offsets[count:], self.times_ms[count:], self.values[count:]

    def take(self, count: int) -> Run:
        """Take out the first records."""
        run = Run(repeat(self.topic), self.offsets[:count], self.times_ms[:count], self.values[:count])
        del self.offsets[:count], self.times_ms[:count], self.values[:count]
        return run


_at_ms = itemgetter(2)
_topic = attrgetter("topic")


def take_ready(buffers: Iterable[Buffer]) -> Run | None:
    """Take out, by (recordedAt, topic, offset), every record that nothing still to come can precede.

    Each buffer that is not complete must hold a record: what comes next in a topic is never older.
    """
    # In the topics' order, so that sorting by time alone leaves equal times by topic and offset: sorting is stable.
    held = sorted((buffer for buffer in buffers if len(buffer)), key=_topic)
    horizon = min(((buffer.times_ms[-1], buffer.topic) for buffer in held if not buffer.complete), default=None)
    ready: list[Run] = []
    for buffer in held:
        count = len(buffer)
        if horizon is not None and buffer.topic != horizon[1]:
            cut = bisect_right if buffer.topic < horizon[1] else bisect_left
            count = cut(buffer.times_ms, horizon[0])
        if count:
            ready.append(buffer.take(count))
    return _merged(ready) if len(ready) > 1 else next(iter(ready), None)


def _merged(runs: Iterable[Run]) -> Run:
    rows = [row for run in runs for row in zip(run.topics, *run[1:], strict=False)]
    rows.sort(key=_at_ms)
    return Run(*zip(*rows, strict=True))
