"""Ending what aiokafka does not end by itself."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, TypeVar

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup

CLOSE_S = 2.0

Result = TypeVar("Result")


async def to_its_end(work: Awaitable[Result]) -> Result:
    """Await `work`, and if cancelled meanwhile, be cancelled when it has ended.

    aiokafka forgets a connection that it is cancelled while opening; it has a deadline of its own for that.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


def make_patient(client: Any, *, logins_may_end: bool) -> Any:
    """Return an `AIOKafkaClient` that does not give up, or leave behind, what aiokafka's own would."""
    _look_up_patiently(client)
    if logins_may_end:
        _keep_connections(client)
    return client


def _keep_connections(client: Any) -> None:
    """Let an `AIOKafkaClient` lose no connection that it opens for somebody who is cancelled meanwhile.

    Where brokers end logins after a while, connections are opened at any time, not just at the start.
    """
    find_or_open = client._get_conn  # noqa: SLF001

    async def get(node_id: int, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Any:
        found = client._conns.get((node_id, group))  # noqa: SLF001
        if found is not None and found.connected():
            return found
        return await to_its_end(open_unless_closed(node_id, group=group, no_hint=no_hint))

    async def open_unless_closed(node_id: int, **how: Any) -> Any:
        # A task of its own, so the client may have been closed since; from here it is at the lock before its closer.
        return None if client._get_conn is _no_connection else await find_or_open(node_id, **how)  # noqa: SLF001

    client._get_conn = get  # noqa: SLF001


def _look_up_patiently(client: Any) -> None:
    """Let an `AIOKafkaClient` say that no broker is ready when it knows of none, instead of asserting that it does.

    A broker that comes back is not listed, not even by itself, until its controller has heard of it again.
    """
    look_up = client.coordinator_lookup

    async def coordinator(coordinator_type: Any, key: str) -> Any:
        if client.get_random_node() is None:
            raise errors.NodeNotReadyError
        return await look_up(coordinator_type, key)

    client.coordinator_lookup = coordinator


async def close_client(client: Any) -> None:
    """Close an `AIOKafkaClient` so that none of its tasks opens a connection afterwards."""
    client._get_conn = _no_connection  # noqa: SLF001
    with contextlib.suppress(errors.KafkaError, OSError, TimeoutError):
        # Who is opening one holds the lock, for no longer than a request may take.
        async with client._get_conn_lock, asyncio.timeout(CLOSE_S):  # noqa: SLF001
            await AIOKafkaClient.close(client)
    # It leaves those alone who wait for its task to hear of the cluster.
    awaited = client._md_update_fut  # noqa: SLF001
    if client._sync_task is None and awaited is not None and not awaited.done():  # noqa: SLF001
        awaited.set_result(False)


async def _no_connection(*_: Any, **__: Any) -> None:
    """Answer as for a broker that cannot be reached."""
