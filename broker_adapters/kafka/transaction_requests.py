"""Ask brokers about transactions: how one stands, and where one is still open.

They are KIP-664's; aiokafka has no such requests.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from aiokafka import errors
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

DESCRIBE_PRODUCERS, DESCRIBE_TRANSACTIONS = 61, 65
"""Kafka 2.8's and 3.0's, each in its first version."""


class ProducerIdentity(NamedTuple):
    """Which producer, and since which taking over of its id: each raises the epoch."""

    id: int
    epoch: int


class TransactionState(NamedTuple):
    """How the last transaction of an id stands, by Kafka's name for it, and the epoch of its producer."""

    name: str
    epoch: int


TEXT = CompactString("utf-8")
TRANSACTIONAL_ID_NOT_FOUND = 105


class _OpenAnswer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = DESCRIBE_PRODUCERS
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("transaction_start", Int64),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _OpenQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = DESCRIBE_PRODUCERS
    API_VERSION = 0
    FLEXIBLE_VERSION: ClassVar[bool] = True
    RESPONSE_TYPE = _OpenAnswer
    SCHEMA = Schema(
        ("topics", CompactArray(("name", TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))),
        ("tags", TaggedFields),
    )


class OpenTransactionsRequest(Request[_OpenQuestion]):  # type: ignore[misc]  # aiokafka has no types
    """A request for who has a transaction open in topics that the asked broker leads. Their names on the cluster."""

    API_KEY = DESCRIBE_PRODUCERS

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_OpenQuestion]) -> _OpenQuestion:
        """Return the request in the version that the broker speaks."""
        return request_struct_class([(topic, [0], {}) for topic in self._topics], {})


def open_in(answer: Any, producer: ProducerIdentity) -> set[str]:
    """Return in which topics of the answer that producer's transaction is open.

    Raises Kafka's own errors; `ProducerFenced` where another has the id, and may have rolled back what is closed.
    """
    found = set()
    for name, partitions, _ in answer.topics:
        for _, code, _, producers, _ in partitions:
            if code:
                raise errors.for_code(code)(name)
            for number, epoch, _, _, _, start, _ in producers:
                if number == producer.id and epoch > producer.epoch:
                    raise errors.ProducerFenced
                if number == producer.id and start >= 0:
                    found.add(name)
    return found


class _StateAnswer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = DESCRIBE_TRANSACTIONS
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", TEXT),
                ("state", TEXT),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(("name", TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _StateQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = DESCRIBE_TRANSACTIONS
    API_VERSION = 0
    FLEXIBLE_VERSION: ClassVar[bool] = True
    RESPONSE_TYPE = _StateAnswer
    SCHEMA = Schema(("transactional_ids", CompactArray(TEXT)), ("tags", TaggedFields))


class TransactionStateRequest(Request[_StateQuestion]):  # type: ignore[misc]  # aiokafka has no types
    """A request, to its coordinator, for how the last transaction of one id stands."""

    API_KEY = DESCRIBE_TRANSACTIONS

    def __init__(self, transactional_id: str) -> None:
        self._id = transactional_id

    def build(self, request_struct_class: type[_StateQuestion]) -> _StateQuestion:
        """Return the request in the version that the broker speaks."""
        return request_struct_class([self._id], {})


def state_of(answer: Any) -> TransactionState | None:
    """Return the state, or None for an id that is new. Raises Kafka's own errors."""
    code, _, state, _, _, _, epoch, _, _ = answer.transactions[0]
    if code == TRANSACTIONAL_ID_NOT_FOUND:
        return None
    if code:
        raise errors.for_code(code)
    return TransactionState(str(state), epoch)
