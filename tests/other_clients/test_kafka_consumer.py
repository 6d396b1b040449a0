"""confluent-kafka, a client that no one here wrote, reads from Kafka what Kommunebro put there."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.bindings.kafka import KafkaMessage
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from kommunebro import Client
from tests.instances import HERNING, STRUER, Instance, event, instance

SUBJECTS = ["a", "b", "c"]
TOPICS = {"pub.0671.job-order": "{subject}", "alliance.vestalliancen.job-order": f"{STRUER}/{{subject}}"}
"""Each with what its records' keys are."""

TIMEOUT_S = 30.0
Bytes = Any


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A gateway on Kafka in which Struer has published and Herning has received."""
    running = instance("kafka", tmp_path_factory.mktemp("consumer"), request)
    with (
        Client(running.url, running.token(STRUER, "publisher")) as struer,
        Client(running.url, running.token(HERNING, "reader")) as herning,
    ):
        subscription = herning.create_subscription("Herning")["id"]
        struer.publish(map(event, SUBJECTS))
        for got in herning.events(subscription, wait_s=20):
            if got["subject"] == SUBJECTS[-1]:
                break
    yield running
    running.served.stop()


def consumed(bootstrap: str, topic: str, count: int) -> list[Message]:
    """Read a topic from its beginning: as many records, and no more within a moment; committed ones only."""
    settings = {
        "bootstrap.servers": bootstrap, "group.id": "tests", "enable.auto.commit": False,
        "isolation.level": "read_committed", "auto.offset.reset": "error",
    }  # fmt: skip
    with closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        messages: list[Message] = []
        deadline = time.monotonic() + TIMEOUT_S
        while len(messages) < count and time.monotonic() < deadline:
            messages += consumer.consume(count, 0.2)
        messages += consumer.consume(count, 0.5)
    assert [message.error() for message in messages if message.error()] == []
    return messages


@pytest.mark.parametrize("topic", list(TOPICS))
def test_a_kafka_consumer_reads_what_a_replay_gives(published: Instance, kafka_bootstrap: str, topic: str) -> None:
    """The values are byte for byte those of the replay, in the same order, with the keys that are promised."""
    messages = consumed(kafka_bootstrap, published.prefix + topic, len(SUBJECTS))
    with Client(published.url, published.token("auditor", "auditor")) as auditor:
        records = list(auditor.replay({"topic": topic}))
    assert [message.value() for message in messages] == [record.event_bytes for record in records]
    assert [(message.key() or b"").decode() for message in messages] == [
        TOPICS[topic].format(subject=subject) for subject in SUBJECTS
    ]
    # On Kafka an offset is taken up by the end of each transaction, too; ours count what Kafka counts.
    assert [message.offset() for message in messages] == [record.parsed()["offset"] for record in records]


@pytest.mark.parametrize("topic", list(TOPICS))
def test_the_cloudevents_headers_say_what_the_value_says(published: Instance, kafka_bootstrap: str, topic: str) -> None:
    """The SDK reads the message as structured, and each `ce_` header has the event's attribute."""
    for message in consumed(kafka_bootstrap, published.prefix + topic, len(SUBJECTS)):
        headers = {name: value for name, value in message.headers() or [] if isinstance(value, bytes)}
        seen = kafka.from_kafka_event(KafkaMessage(headers, message.key(), message.value() or b""))
        said = {name.removeprefix("ce_"): value.decode() for name, value in headers.items() if name.startswith("ce_")}
        assert headers["content-type"].startswith(b"application/cloudevents+json")
        assert (said["id"], said["source"], said["type"], said["subject"]) == (
            seen.get_id(), seen.get_source(), seen.get_type(), seen.get_subject(),
        )  # fmt: skip
        assert seen.get_data()
