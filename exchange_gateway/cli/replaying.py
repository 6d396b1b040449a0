"""`kommunebro replay`: from a running gateway over HTTP, or from a stopped instance's data folder."""

import asyncio
import io
import json
from collections.abc import Coroutine
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
    if url is None and token is None and data is not None and _is_stopped(_offline(data, filters, out)):
        return
    _stream("/v1/audit/records", filters, out, url=url, token=token, data=data)


def check(out: BinaryIO, *, url: str | None, token: str | None, data: Path | None) -> None:
    """Write what was forwarded otherwise than the rules decide now. Raises `Failed` where there is anything."""
    from exchange_gateway.replay_offline import check_folder  # noqa: PLC0415

    async def offline(folder: Path) -> None:
        lines.writelines((await check_folder(folder)).lines())

    lines = io.BytesIO()
    url = url or gateway_from_environment()
    if not (url is None and token is None and data is not None and _is_stopped(offline(data))):
        _stream("/v1/audit/forwarding:check", {}, lines, url=url, token=token, data=data)
    out.write(lines.getvalue())
    found = json.loads(lines.getvalue().splitlines()[-1])["differences"]
    if found:
        raise Failed(Exit.BAD_INPUT, f"{found} differences: what the log holds was not decided by these rules.")


def _is_stopped(offline: Coroutine[None, None, None]) -> bool:
    """Work on a stopped instance's folder; return False where its gateway runs, so that it can be asked."""
    try:
        asyncio.run(offline)
    except LogLocked:
        return False
    return True


def _stream(
    path: str, filters: dict[str, str], out: BinaryIO, *, url: str | None, token: str | None, data: Path | None
) -> None:
    bearer = remote.bearer(token, data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(url or DEFAULT_GATEWAY, bearer) as client:
        timeout = httpx.Timeout(remote.TIMEOUT_S, read=AS_OF_TIMEOUT_S)
        with client.stream("GET", path, params=filters, timeout=timeout) as answer:
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
