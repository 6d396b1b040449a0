"""Identifiers that cannot be built invalid: parse once, then trust the type.

Each raises `InvalidIdentifier`, whose text says what is wrong and what a right one looks like.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Self


class InvalidIdentifier(ValueError):
    """A text is not the identifier that it claims to be."""


class EventName(StrEnum):
    """The short name of an event type, as used in topics, schemas and agreements."""

    JOB_ORDER = "job-order"
    COMPANY_CONTACT = "company-contact"
    VISIT = "visit"
    COMPANY_COOPERATION = "company-cooperation"
    JOB_ORDER_RESPONSE = "job-order-response"

    @property
    def id_property(self) -> str:
        """The property of `data` that holds the thing's id; equal to the event's `subject`."""
        return ID_PROPERTIES[self]

    @property
    def type(self) -> str:
        """The CloudEvents `type`."""
        return TYPE_PREFIX + self.value


TYPE_PREFIX = "dk.kommunebro."
ID_PROPERTIES = {
    EventName.JOB_ORDER: "jobOrderId",
    EventName.COMPANY_CONTACT: "contactId",
    EventName.VISIT: "visitId",
    EventName.COMPANY_COOPERATION: "cooperationId",
    EventName.JOB_ORDER_RESPONSE: "responseId",
}

PARTICIPANT = re.compile(r"[0-9]{4}|[a-z][a-z0-9-]{1,31}")
OURSELVES = "kommunebro"
"""The participant name that only Kommunebro itself uses."""

SUBJECT = re.compile(r"[A-Za-z0-9._-]{1,64}")
SYSTEM = re.compile(r"[A-Za-z0-9._-]{1,64}")
ALLIANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SOURCE = re.compile(rf"urn:kommunebro:({PARTICIPANT.pattern}):({SYSTEM.pattern})")
_DATASCHEMA = re.compile(r"urn:kommunebro:schema:([a-z][a-z-]{0,62}):(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")
_CVR_DIGITS = 8
_P_NUMBER_DIGITS = 10
_CVR_WEIGHTS = (2, 7, 6, 5, 4, 3, 2, 1)


class Participant(str):
    """A municipality's 4-digit code, or another actor's name such as `erhvervshus-midtjylland`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Raise `InvalidIdentifier` unless `text` is a participant."""
        if not PARTICIPANT.fullmatch(text):
            raise InvalidIdentifier(
                f"{text[:64]!r} is not a participant: a municipality's 4-digit code such as 0671, "
                "or a name of 2 to 32 of a-z, 0-9 and '-' that begins with a letter."
            )
        return super().__new__(cls, text)

    @property
    def is_municipality(self) -> bool:
        """Whether it is a municipality's code rather than another actor's name."""
        return self[0].isdigit()


class Source(NamedTuple):
    """An event's `source`: whose system it comes from."""

    participant: str
    system: str

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Read a source's urn. Raises `InvalidIdentifier`."""
        return _parse_source(text)

    def __str__(self) -> str:
        return f"urn:kommunebro:{self.participant}:{self.system}"


@lru_cache(maxsize=4096)
def _parse_source(text: str) -> Source:
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise InvalidIdentifier(
            f"{text[:128]!r} is not a source: urn:kommunebro:<participant>:<system>, such as urn:kommunebro:0671:opera."
        )
    return Source(match[1], match[2])


class DataSchema(NamedTuple):
    """An event's `dataschema`: which version of which schema its `data` follows."""

    name: str
    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "DataSchema":
        """Read a schema's urn. Raises `InvalidIdentifier`."""
        return _parse_dataschema(text)

    @property
    def version(self) -> str:
        """The version as it is written, such as `1.0`."""
        return f"{self.major}.{self.minor}"

    @property
    def shared(self) -> "DataSchema":
        """The derived view in which a forwarded event is written."""
        return DataSchema(f"{self.name}-shared", self.major, self.minor)

    def __str__(self) -> str:
        return f"urn:kommunebro:schema:{self.name}:{self.major}.{self.minor}"


@lru_cache(maxsize=256)
def _parse_dataschema(text: str) -> DataSchema:
    match = _DATASCHEMA.fullmatch(text)
    if match is None:
        raise InvalidIdentifier(
            f"{text[:128]!r} is not a schema: urn:kommunebro:schema:<name>:<major>.<minor>, "
            "such as urn:kommunebro:schema:job-order:1.0."
        )
    return DataSchema(match[1], int(match[2]), int(match[3]))


class Cvr(str):
    """A company's 8-digit CVR number, with its modulus 11 check."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Raise `InvalidIdentifier` unless `text` is a CVR number."""
        if not cvr_has_valid_form(text):
            raise InvalidIdentifier(f"{text[:32]!r} is not a CVR number: it has 8 digits.")
        if not cvr_passes_modulus(text):
            raise InvalidIdentifier(f"{text} is not a CVR number: its check digit (modulus 11) is wrong.")
        return super().__new__(cls, text)


def cvr_has_valid_form(text: str) -> bool:
    """Whether `text` is 8 digits."""
    return len(text) == _CVR_DIGITS and text.isascii() and text.isdigit()


def cvr_passes_modulus(text: str) -> bool:
    """Whether 8 digits pass the CVR register's modulus 11 check (weights 2 7 6 5 4 3 2 1)."""
    return sum(weight * (ord(digit) - 48) for weight, digit in zip(_CVR_WEIGHTS, text, strict=True)) % 11 == 0


class PNumber(str):
    """A production unit's 10 digits. No modulus: one series was issued with other weights."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Raise `InvalidIdentifier` unless `text` is 10 digits."""
        if not (len(text) == _P_NUMBER_DIGITS and text.isascii() and text.isdigit()):
            raise InvalidIdentifier(f"{text[:32]!r} is not a P-number: it has 10 digits.")
        return super().__new__(cls, text)


def pub_topic(participant: str, name: str) -> str:
    """Return the topic in which a participant's published events of one type stand."""
    return f"pub.{participant}.{name}"


def alliance_topic(alliance: str, name: str) -> str:
    """Return the topic of what the forwarder shared in one alliance."""
    return f"alliance.{alliance}.{name}"


class TopicName(NamedTuple):
    """A data topic's parts: `space` is `pub` or `alliance`, `holder` the participant or the alliance."""

    space: str
    holder: str
    name: str


def parse_data_topic(topic: str) -> TopicName | None:
    """Split a `pub` or `alliance` topic into its parts; None for any other topic."""
    match topic.split("."):
        case ["pub" | "alliance" as space, holder, name]:
            return TopicName(space, holder, name)
    return None


_MAILBOX_PREFIX = "in."


def mailbox_topic(participant: str) -> str:
    """Return the topic on Kafka to which a participant's own producers write."""
    return _MAILBOX_PREFIX + participant


def mailbox_holder(topic: str) -> str | None:
    """Return whose mailbox a topic is; None for any other topic."""
    holder = topic.removeprefix(_MAILBOX_PREFIX)
    return holder if holder != topic and PARTICIPANT.fullmatch(holder) else None


AGREEMENTS_TOPIC = "control.agreements"
INSTANCE_TOPIC = "control.instance"
SUBSCRIPTIONS_TOPIC = "control.subscriptions"
CURSORS_TOPIC = "control.cursors"
CONNECTORS_TOPIC = "control.connectors"
FORWARDING_TOPIC = "audit.forwarding"
QUARANTINE_TOPIC = "quarantine"

CONTROL_TOPICS = (
    INSTANCE_TOPIC,
    AGREEMENTS_TOPIC,
    SUBSCRIPTIONS_TOPIC,
    CURSORS_TOPIC,
    CONNECTORS_TOPIC,
    FORWARDING_TOPIC,
    QUARANTINE_TOPIC,
)
"""The topics that every instance has from its beginning."""
