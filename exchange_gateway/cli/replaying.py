"""`kommunebro replay`: from a running gateway over HTTP, or from a stopped instance's data folder."""

import asyncio
from pathlib import Path
from typing import BinaryIO

import httpx

from broker_adapters.log import LogLocked
from exchange_gateway.cli import remote
from exchange_gateway.cli.options import DEFAULT_GATEWAY, gateway_from_environment
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.core.access import Role
from exchange_gateway.core.replay import WrongParameter

AUDITOR = "auditor"
"""The participant of tokens that this command makes from the instance's own key."""

AS_OF_TIMEOUT_S = 120.0


def replay(filters: dict[str, str], out: BinaryIO, *, url: str | None, token: str | None, data: Path | None) -> None:
    """Write the records to `out`. Raises `Failed`, `LogError`."""
    url = url or gateway_from_environment()
    if url is None and token is None and data is not None:
        try:
            asyncio.run(_offline(data, filters, out))
        except LogLocked:
            # It runs, so it can be asked.
            url = DEFAULT_GATEWAY
        else:
            return
    bearer = remote.bearer(token, data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(url or DEFAULT_GATEWAY, bearer) as client:
        timeout = httpx.Timeout(remote.TIMEOUT_S, read=AS_OF_TIMEOUT_S)
        with client.stream("GET", "/v1/audit/records", params=filters, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise remote.failed(answer)
            out.writelines(answer.iter_bytes())


async def _offline(data: Path, filters: dict[str, str], out: BinaryIO) -> None:
    from exchange_gateway.replay_offline import replay_folder  # noqa: PLC0415

    try:
        await replay_folder(data, filters, out)
    except WrongParameter as error:
        raise Failed(Exit.BAD_INPUT, f"--{error.parameter}: {error.detail}") from None
