"""Topics as the adapter makes them, and as an outside reader finds them."""

import time
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.log import LogUnavailable, NewRecord, UnknownTopic


async def configuration(settings: KafkaSettings, topic: str) -> dict[str, str]:
    """Return a topic's settings, as any of Kafka's own tools would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        wanted = ConfigResource(ConfigResourceType.TOPIC, settings.prefix + topic)
        answers = await admin.describe_configs([wanted])
    finally:
        await admin.close()
    return {name: value for name, value, *_ in answers[0].resources[0][4]}


async def test_a_topic_keeps_everything_by_the_brokers_clock(log: KafkaLog, settings: KafkaSettings) -> None:
    """A topic's records are never deleted, and their time is the broker's."""
    await log.create_topics(["pub.struer.job-order"])
    found = await configuration(settings, "pub.struer.job-order")
    assert found["retention.ms"] == found["retention.bytes"] == "-1"
    assert found["cleanup.policy"] == "delete"
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert found["unclean.leader.election.enable"] == "false"


@pytest.mark.parametrize(
    ("topic", "name", "value"),
    [
        ("pub.struer.visit", "flush.messages", "1"),
        ("control.agreements", "flush.messages", "1"),
        ("in.struer", "retention.ms", "604800000"),
        ("state.forwarder-0", "cleanup.policy", "compact"),
    ],
)
async def test_a_topic_is_made_for_its_kind(
    log: KafkaLog, settings: KafkaSettings, topic: str, name: str, value: str
) -> None:
    """On one broker acknowledged means synced; mailboxes are kept for a week; state is compacted."""
    await log.create_topics([topic])
    assert (await configuration(settings, topic))[name] == value


async def test_creating_twice_is_fine(log: KafkaLog, settings: KafkaSettings) -> None:
    """Two instances that make the same topic both go on."""
    other = KafkaLog(settings)
    await other.open()
    await log.create_topics(["t"])
    await other.create_topics(["t"])
    assert await other.append("t", [NewRecord(b"1")]) == [0]
    await other.close()


async def test_many_topics_are_made_at_once(log: KafkaLog) -> None:
    """More topics than fit in one request are all there when the call returns."""
    topics = [f"pub.{number}.visit" for number in range(150)]
    await log.create_topics(topics)
    assert await log.ends(topics) == dict.fromkeys(topics, 0)


async def test_an_unknown_topic_is_told_at_once(log: KafkaLog) -> None:
    """Nobody waits for a topic that was never made."""
    began = time.monotonic()
    with pytest.raises(UnknownTopic):
        await log.append("nobody.made.it", [NewRecord(b"1")])
    with pytest.raises(UnknownTopic):
        await log.reader({"nobody.made.it": 0}).poll(timeout_s=10)
    assert time.monotonic() - began < 2
    assert await log.topics() == []


async def test_asking_for_a_topic_does_not_make_it(log: KafkaLog) -> None:
    """Also where a cluster makes topics by itself, asking is not enough."""
    await log._opened.describe(["nobody.made.it"])
    assert "nobody.made.it" not in await log.topics()


async def test_a_prefix_is_a_log_of_its_own(log: KafkaLog, settings: KafkaSettings) -> None:
    """Logs with different prefixes on one cluster see nothing of each other."""
    other = KafkaLog(replace(settings, prefix=settings.prefix + "other."))
    await other.open()
    await other.create_topics(["theirs"])
    await log.create_topics(["ours"])
    assert await other.topics() == ["theirs"]
    assert "ours" in await log.topics()
    await other.close()


async def test_a_topic_made_elsewhere_is_found(log: KafkaLog, settings: KafkaSettings) -> None:
    """What another instance made can be read and appended to without a restart."""
    other = KafkaLog(settings)
    await other.open()
    await other.create_topics(["new"])
    await other.close()
    assert await log.append("new", [NewRecord(b"1")]) == [0]
    assert await log.end("new") == 1


async def test_an_address_without_kafka_is_told_with_what_to_do(settings: KafkaSettings) -> None:
    """Opening a log where no Kafka answers says so, and where it looked."""
    log = KafkaLog(replace(settings, bootstrap="127.0.0.1:1", start_deadline_s=0.3))
    with pytest.raises(LogUnavailable, match=r"No Kafka answers at 127\.0\.0\.1:1\."):
        await log.open()
    await log.close()


async def test_check_passes_on_a_sound_cluster(log: KafkaLog) -> None:
    """A log whose topics all have their leaders is ready."""
    await log.create_topics(["t"])
    await log.check()
