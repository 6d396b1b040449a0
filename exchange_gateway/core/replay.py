"""What a replay is asked for, which records answer it, in which order, and how each is written. Pure.

Source of the rules: `docs/replay.md`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import attrgetter, itemgetter
from typing import NamedTuple

import orjson

from broker_adapters.log import Record
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


class Selection:
    """Says of a record whether it answers a request: first by its bytes, then exactly."""

    def __init__(self, request: ReplayRequest) -> None:
        self._request = request
        self._needle = None if request.cvr is None else request.cvr.encode()
        self.everything = request.participant is None and request.subject is None and request.cvr is None

    def keeps(self, record: Record) -> bool:
        """Whether the record is part of the answer. Its topic is one that the request wants."""
        return self.everything or (self._can_be(record) and self._is(orjson.loads(record.value)))

    def _can_be(self, record: Record) -> bool:
        """Tell cheaply what cannot be: a key is as we wrote it, but a value's spelling is its publisher's."""
        owner, subject = _key_parts(record)
        return (
            self._request.subject in (None, subject)
            and (owner is None or self._request.participant in (None, owner))
            and (self._needle is None or self._needle in record.value or b"\\u" in record.value)
        )

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


def _key_parts(record: Record) -> tuple[str | None, str]:
    """Return a record's owner, where its key names one, and its subject."""
    key = (record.key or b"").decode("utf-8", "replace")
    owner, slash, subject = key.partition("/")
    return (owner, subject) if slash else (None, key)


class Chunks:
    """Writes records as lines, and gathers them until there is enough to send.

    A line is `{"topic":…,"offset":…,"recordedAt":"…Z","event":<stored bytes>}`. Each stored value is copied
    once, into the chunk, and never looked into: a line of its own for each took twice as long.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._heads: dict[str, bytes] = {}
        self._at_ms = -1
        self._middle = b""
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, records: Iterable[Record]) -> Iterator[bytes]:
        """Take records, and give each chunk that has become full."""
        kept = records if self._selection.everything else filter(self._selection.keeps, records)
        heads = self._heads
        for topic, offset, at_ms, _, value, _ in kept:
            if at_ms != self._at_ms:
                self._turn_to(at_ms)
            self._parts += (b"%b%d%b" % (heads.get(topic) or self._head(topic), offset, self._middle), value, b"}\n")
            self._bytes += len(value) + _LINE_BYTES
            if self._bytes >= CHUNK_BYTES:
                yield self.rest()

    def rest(self) -> bytes:
        """Give what has been gathered."""
        chunk = b"".join(self._parts)
        self._parts, self._bytes = [], 0
        return chunk

    def _turn_to(self, at_ms: int) -> None:
        # Many records in a row have the same time.
        time = format_time(at_ms * 1000)
        self._at_ms, self._middle = at_ms, f',"recordedAt":"{time}","event":'.encode()

    def _head(self, topic: str) -> bytes:
        head = self._heads[topic] = b'{"topic":%b,"offset":' % orjson.dumps(topic)
        return head


@dataclass(slots=True)
class Buffer:
    """What was read ahead of one topic. complete: nothing more will come."""

    topic: str
    records: list[Record] = field(default_factory=list)
    complete: bool = False


_at_ms = itemgetter(2)
_topic = attrgetter("topic")


def take_ready(buffers: Iterable[Buffer]) -> list[Record]:
    """Take out, by (recordedAt, topic, offset), every record that nothing still to come can precede.

    Each buffer that is not complete must hold a record: what comes next in a topic is never older.
    """
    # In the topics' order, so that sorting by time alone leaves equal times by topic and offset: sorting is stable.
    held = sorted((buffer for buffer in buffers if buffer.records), key=_topic)
    horizon = min(((buffer.records[-1][2], buffer.topic) for buffer in held if not buffer.complete), default=None)
    ready: list[Record] = []
    for buffer in held:
        count = len(buffer.records)
        if horizon is not None and buffer.topic != horizon[1]:
            cut = bisect_right if buffer.topic < horizon[1] else bisect_left
            count = cut(buffer.records, horizon[0], key=_at_ms)
        ready += buffer.records[:count]
        del buffer.records[:count]
    if len(held) > 1:
        ready.sort(key=_at_ms)
    return ready
