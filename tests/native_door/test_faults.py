"""What goes wrong around a mailbox: nothing is lost in silence, and nobody is held up by another's message."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.record.util import calc_crc32c

from broker_adapters.log import NewRecord
from exchange_gateway.main import Gateway
from exchange_gateway.native_door import intake
from schemas.event import STRUCTURED
from tests.native_door.conftest import Municipality
from tests.support import a_gateway, an_event

CRC_AT, CHECKED_FROM = 17, 21


async def test_a_header_whose_name_is_no_text(struer: Municipality) -> None:
    """To Kafka a header's name is bytes. Such a message is refused, and those behind it in its batch are taken in."""
    after = an_event()
    producer = AIOKafkaProducer(bootstrap_servers=struer.gateway.settings.kafka_bootstrap)
    await producer.start()
    batch = producer.create_batch()
    batch.append(key=None, value=b"{}", timestamp=1, headers=[("ce_zz", b"x")])
    as_text = [("content-type", STRUCTURED.encode())]
    batch.append(key=None, value=json.dumps(after).encode(), timestamp=1, headers=as_text)
    batch._build()
    spoilt = bytearray(batch._buffer.replace(b"ce_zz", b"ce_\xff\xfe"))
    spoilt[CRC_AT:CHECKED_FROM] = calc_crc32c(spoilt[CHECKED_FROM:]).to_bytes(4, "big")
    batch._buffer = spoilt
    await (await producer.send_batch(batch, f"{struer.prefix}in.0671", partition=0))
    await producer.stop()
    assert [event["id"] for event in await struer.published(1)] == [after["id"]]
    (item,) = (await struer.quarantine(1))["quarantine"]
    assert (item["offset"], item["problem"]["type"]) == (0, "/problems/unsupported-media-type")


async def test_what_a_mailbox_let_go_of_unread_is_told(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> None:
    """No gateway took it in for longer than the mailbox keeps it: its participant learns which messages are lost."""
    changes: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        struer = Municipality(gateway, client, kafka_bootstrap, kafka_prefix)
        await struer.agree()
        await struer.structured(an_event())
        await struer.published(1)
    events = [an_event() for _ in range(3)]
    for event in events:
        await struer.structured(event)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(f"{kafka_prefix}in.0671", 0): RecordsToDelete(before_offset=3)})
    await admin.close()
    async with a_gateway(tmp_path, **changes) as (gateway, client):
        struer = Municipality(gateway, client, kafka_bootstrap, kafka_prefix)
        (item,) = (await struer.quarantine(1))["quarantine"]
        assert (item["offset"], item["until"], item["problem"]["type"]) == (1, 3, "/problems/mailbox-expired")
        assert (await struer.published(2))[-1]["id"] == events[-1]["id"]


async def test_a_message_that_the_gateway_stumbles_over(struer: Municipality, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again, then alone, then set aside: the messages beside it are taken in, in their order."""
    monkeypatch.setattr(intake, "AGAIN_FIRST_S", 0.01)
    log = struer.gateway.log
    append = log.append

    async def stumbling(topic: str, records: Sequence[NewRecord]) -> list[int]:
        if any(b"stumble" in record.value for record in records):
            raise RuntimeError("a fault of our own")
        return await append(topic, records)

    monkeypatch.setattr(log, "append", stumbling)
    events = [an_event(id=f"native-{number}") for number in range(5)]
    events[2]["id"] = "stumble"
    for event in events:
        struer.producer.produce(f"{struer.prefix}in.0671", json.dumps(event).encode())
    struer.producer.flush(20)
    (item,) = (await struer.quarantine(1))["quarantine"]
    assert (item["eventId"], item["problem"]["type"]) == ("stumble", "/problems/internal")
    assert [event["id"] for event in await struer.published(4)] == [f"native-{number}" for number in (0, 1, 3, 4)]


async def test_gateways_share_the_mailboxes(
    struer: Municipality, tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    """A second gateway takes some over while messages come, and the first gets them back: each is taken in once."""
    changes: dict[str, Any] = {"kafka_bootstrap": kafka_bootstrap, "kafka": {"prefix": kafka_prefix}}
    changes["keys"] = struer.gateway.settings.data / "instance.keys"
    senders = ("0671", "0657", "0665")
    sent: dict[str, list[str]] = {sender: [] for sender in senders}

    async def send(count: int) -> None:
        for number in range(count):
            for sender in senders:
                event = an_event(sender)
                sent[sender].append(event["id"])
                struer.producer.produce(f"{kafka_prefix}in.{sender}", json.dumps(event).encode())
            struer.producer.produce(f"{kafka_prefix}in.0657", b"%d" % number)
        struer.producer.poll(0)
        await asyncio.sleep(0.05)

    await send(50)
    async with asyncio.timeout(120), a_gateway(tmp_path_factory.mktemp("second"), **changes) as (second, _):
        while not taken_in(second):
            await send(5)
        await send(50)
    await send(50)
    struer.producer.flush(20)
    for sender in senders:
        recorded = await struer.published(len(sent[sender]), f"pub.{sender}.job-order")
        assert [event["id"] for event in recorded] == sent[sender]
    refused = (await struer.quarantine(len(sent["0657"]), "0657", limit=1000))["quarantine"]
    offsets = [item["offset"] for item in refused]
    assert offsets == sorted(set(offsets), reverse=True)
    assert len(offsets) == len(sent["0657"])


def taken_in(gateway: Gateway) -> float:
    """Return how many events came in at this gateway."""
    (metric,) = gateway.metrics.events.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_total"))
