"""What aiokafka's client leaves undone: waiting for a broker, and opening nothing once it is closed."""

import asyncio

import pytest
from aiokafka import errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType

from broker_adapters.kafka import KafkaSettings
from broker_adapters.kafka.patience import close_client, make_patient


async def test_a_cluster_without_brokers_is_waited_for() -> None:
    """A broker that just came back is in no list yet: that is no fault of ours, and mends itself."""
    client = make_patient(AIOKafkaClient(bootstrap_servers="localhost:1"), logins_may_end=False)
    with pytest.raises(errors.NodeNotReadyError):
        await client.coordinator_lookup(CoordinationType.TRANSACTION, "p")


@pytest.mark.parametrize("logins_may_end", [False, True])
async def test_a_closed_client_opens_no_connection(settings: KafkaSettings, logins_may_end: bool) -> None:
    """Not even for who asked for one just before, at whichever turn of the loop."""
    answers = set()
    for turns in range(5):
        client = AIOKafkaClient(bootstrap_servers=settings.bootstrap)
        make_patient(client, logins_may_end=logins_may_end)
        await client.bootstrap()
        asking = asyncio.create_task(client.ready(client.get_random_node(), group=ConnectionGroup.COORDINATION))
        for _ in range(turns):
            await asyncio.sleep(0)
        await close_client(client)
        answers.add(await asking)
        still_open = [connection for connection in client._conns.values() if connection.connected()]
        for connection in still_open:
            connection.close()
        assert still_open == [], turns
    # Closed before it was asked for, and while it was opened.
    assert answers == {False, True}
