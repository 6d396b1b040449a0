"""G6 for the whole gateway: a full disk is told, loses nothing, and the gateway goes on when there is room."""

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange_gateway.core.access import Role
from tests.support import a_clock, a_gateway, an_event, token

ROOM_BYTES = 3_000_000


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow over a size: writing on fails, without privileges.

    The error is another (EFBIG) than a full disk's, so the answer is `log-unavailable`; what becomes of
    ENOSPC itself is tested where the log's own file system can be made to say so.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """503 and retryable while the disk is full, 201 when there is room again; all that was acknowledged is there."""
    async with a_gateway(tmp_path, a_clock(), forwarder=False) as (gateway, client):
        headers = {**token(gateway, "0671", Role.PUBLISHER), "Content-Type": "application/x-ndjson"}
        acknowledged: set[str] = set()

        async def send() -> dict[str, object] | None:
            events = [an_event() for _ in range(100)]
            body = b"\n".join(json.dumps(event).encode() for event in events)
            results = (await client.post("/v1/events", content=body, headers=headers)).json()["results"]
            acknowledged.update(result["id"] for result in results if "offset" in result)
            return next((result["problem"] for result in results if "problem" in result), None)

        with files_of_at_most(ROOM_BYTES):
            problems = [problem for _ in range(40) if (problem := await send()) is not None]
            assert problems, "the disk was never full"
            assert {problem["status"] for problem in problems} == {503}
            assert all(problem["retryable"] for problem in problems)
        for _ in range(50):
            if await send() is None:
                break
            await asyncio.sleep(0.1)
        assert await send() is None
        async with gateway.log.reader({"pub.0671.job-order": 0}) as reader:
            stored: list[str] = []
            while records := await reader.poll(records_max=1000):
                stored += [json.loads(record.value)["id"] for record in records]
        assert acknowledged <= set(stored)
        assert len(stored) == len(set(stored))
