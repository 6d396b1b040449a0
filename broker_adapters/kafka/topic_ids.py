"""Ask a broker which topic a name means: aiokafka's own metadata requests are older than topic ids."""

import uuid
from io import BytesIO
from typing import Any, ClassVar

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

METADATA = 3
VERSION = 12
"""Kafka 2.8's, the first in which each topic has an id."""

NO_ID = uuid.UUID(int=0)


class _TopicId(AbstractType[uuid.UUID]):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _Answer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = METADATA
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = METADATA
    API_VERSION = VERSION
    FLEXIBLE_VERSION: ClassVar[bool] = True
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _TopicId), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdRequest(Request[_Question]):  # type: ignore[misc]  # aiokafka has no types
    """A request for one topic's id, which creates no topic."""

    API_KEY = METADATA

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_Question]) -> _Question:
        """Return the request in the version that the broker speaks."""
        return request_struct_class([(NO_ID, self._topic, {})], False, False, {})


def topic_id_of(answer: Any) -> uuid.UUID | None:
    """Return the id that a broker gave, or None where it has no such topic."""
    for error_code, _, topic_id, *_ in answer.topics:
        if error_code == 0 and topic_id != NO_ID:
            return uuid.UUID(int=topic_id.int)
    return None
