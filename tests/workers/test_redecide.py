"""Deciding the forwarder's steps once more finds them as they are, and finds what does not belong."""

from broker_adapters.log import NewRecord
from exchange_gateway.workers.redecide import differences
from schemas.identifiers import FORWARDING_TOPIC
from tests.contract.stores import Store, read_all
from tests.core.agreement_samples import agreement
from tests.core.event_samples import event, published
from tests.workers.forwarding import SHARDS, VEST, agree, publish, running, settled


async def test_a_days_steps_are_decided_again_as_they_were(store: Store) -> None:
    """With agreements that change in between, copies, ends and retractions, every step comes out the same."""
    log = await store.open()
    await agree(log, VEST)
    async with running(log, step_records=3):
        await publish(log, *(event(id=str(n), subject=str(n % 3), minute=n // 2) for n in range(12)))
        await settled(log)
        await agree(log, VEST | {"name": "Ny"}, agreement(id="fjord"))
        await publish(log, event(id="3", subject="0", minute=1), event(id="x", minute=99, status="filled", subject="1"))
        await publish(
            log, event(id="y", minute=99, sharing={"scope": "own"}, subject="2"), event("visit", owner="0657")
        )
        await publish(log, event("job-order-response", owner="0657", minute=3))
        await settled(log)
    assert await differences(log, SHARDS) == {}


async def test_what_was_slipped_into_an_alliances_topic_is_found(store: Store) -> None:
    """A record that no decision asked for shows, wherever it comes from."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, event())
    async with running(log):
        await settled(log)
    smuggled = published(event(id="smuggled"))
    await log.append("alliance.vest.job-order", [smuggled._replace(key=b"0671/1001")])
    found = await differences(log, SHARDS)
    assert list(found) == [-1]
    assert "alliance.vest.job-order: 2 records" in found[-1][0]


async def test_a_record_that_tells_it_otherwise_is_found(store: Store) -> None:
    """An account of a step that does not follow from its inputs shows, and so does a step told twice."""
    log = await store.open()
    await agree(log, VEST)
    await publish(log, event())
    async with running(log):
        await settled(log)
    (told,) = await read_all(log, FORWARDING_TOPIC)
    await log.append(FORWARDING_TOPIC, [NewRecord(told.value.replace(b'"shown"', b'"ended"'), told.key)])
    found = await differences(log, SHARDS)
    (offset,) = [offset for offset in found if offset >= 0]
    assert offset == (await read_all(log, FORWARDING_TOPIC))[-1].offset
    assert "the one before it did not end there" in found[offset][0]
