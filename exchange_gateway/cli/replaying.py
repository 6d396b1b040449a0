"""`kommunebro replay`: from a running gateway over HTTP, or from a stopped instance's data folder."""

import asyncio
import io
import json
import shlex
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import typer

from broker_adapters.log import LogLocked
from exchange_gateway.cli import remote
from exchange_gateway.cli.options import DEFAULT_GATEWAY, gateway_from_environment
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.core.access import Role
from exchange_gateway.core.replay import WrongParameter
from exchange_gateway.core.replay_bounds import Bounds
from kommunebro import Client

AUDITOR = "auditor"
"""The participant of tokens that this command makes from the instance's own key."""

TOPICS_SHOWN_MAX = 10
"""Bounds of more topics are not printed: they are for a file."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log is read: a gateway's address, or a stopped instance's folder; see `_is_offline`."""

    url: str | None
    token: str | None
    data: Path | None

    @property
    def is_folder(self) -> bool:
        """Whether nothing names a gateway, so that the folder itself is tried first."""
        return (self.url or gateway_from_environment()) is None and self.token is None and self.data is not None

    @property
    def address(self) -> str:
        """The gateway's address."""
        return self.url or gateway_from_environment() or DEFAULT_GATEWAY


def replay(
    filters: dict[str, str], out: BinaryIO, place: Place, *, bounds: str | None = None, write: Path | None = None
) -> None:
    """Write the records to `out`, and on standard error how to have the same bytes again.

    bounds: a file that an earlier replay wrote, or its JSON; then the bytes are compared with that one's. write: where
    to keep the bounds of this one. Raises `Failed`, `LogError`.
    """
    fixed = _fixed(filters, place) if bounds is None else _given(bounds)
    digesting = _Digesting(out)
    _write_within(fixed, digesting, place)
    out.flush()
    digest = digesting.digest.hexdigest()
    if fixed.sha256 is not None and fixed.sha256 != digest:
        raise Failed(Exit.BAD_INPUT, f"Not the same bytes: SHA-256 {digest}, when the bounds were kept {fixed.sha256}.")
    _tell(replace(fixed, sha256=digest), write)


class _Digesting:
    """Writes on, and computes a digest of all of it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self.digest = out, sha256()

    def write(self, chunk: bytes) -> int:
        self.digest.update(chunk)
        return self._out.write(chunk)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self.write(chunk)


def _fixed(filters: dict[str, str], place: Place) -> Bounds:
    """Fix where the replay begins and ends."""
    from exchange_gateway.replay_offline import bounds_of_folder  # noqa: PLC0415

    if place.is_folder and place.data is not None:
        found = _offline(bounds_of_folder(place.data, filters))
        if found is not None:
            return found
    bearer = remote.bearer(place.token, place.data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(place.address, bearer) as client:
        return Bounds.of(client.bounds(filters))


def _given(text: str) -> Bounds:
    """Read bounds from JSON or a file of it. Raises `Failed`."""
    try:
        return Bounds.of(json.loads(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8")))
    except OSError as error:
        raise Failed(Exit.BAD_INPUT, f"--bounds: {text[:200]} cannot be read: {error.strerror}.") from None
    except WrongParameter as error:
        raise Failed(Exit.BAD_INPUT, f"--bounds: {error}") from None
    except ValueError as error:
        raise Failed(Exit.BAD_INPUT, f"--bounds: {text[:200]} is not JSON: {error}") from None


def _write_within(bounds: Bounds, out: "_Digesting", place: Place) -> None:
    from exchange_gateway.replay_offline import replay_folder_within  # noqa: PLC0415

    async def offline(folder: Path) -> bool:
        await replay_folder_within(folder, bounds, cast("BinaryIO", out))
        return True

    if place.is_folder and place.data is not None and _offline(offline(place.data)):
        return
    body = replace(bounds, sha256=None).as_json()
    _stream(place, out.writelines, lambda client: client.replay_bytes(within=body))


def _tell(bounds: Bounds, write: Path | None) -> None:
    """Say on standard error, or in a file, how the same bytes can be had again."""
    if write is not None:
        try:
            write.write_text(json.dumps(bounds.as_json(), indent=1) + "\n", "utf-8")
        except OSError as error:
            raise Failed(Exit.UNAVAILABLE, f"{write} cannot be written: {error.strerror}.") from None
        typer.echo(f"kommunebro: the same bytes again: kommunebro replay --bounds {shlex.quote(str(write))}", err=True)
    elif len(bounds.spans) > TOPICS_SHOWN_MAX:
        told = f"kommunebro: {len(bounds.spans)} topics; with --write-bounds FILE the same bytes can be had again."
        typer.echo(told, err=True)
    else:
        text = json.dumps(bounds.as_json(), separators=(",", ":"))
        typer.echo(f"kommunebro: the same bytes again: kommunebro replay --bounds {shlex.quote(text)}", err=True)


def check(out: BinaryIO, place: Place) -> None:
    """Write what was forwarded otherwise than the rules decide now. Raises `Failed` where there is anything."""
    from exchange_gateway.replay_offline import check_folder  # noqa: PLC0415

    lines = io.BytesIO()
    verdict = _offline(check_folder(place.data)) if place.is_folder and place.data is not None else None
    if verdict is None:
        _stream(place, lines.writelines, lambda client: client.check_forwarding())
    else:
        lines.writelines(verdict.lines())
    out.write(lines.getvalue())
    found = json.loads(lines.getvalue().splitlines()[-1])["differences"]
    if found:
        out.flush()
        raise Failed(Exit.BAD_INPUT, f"{found} differences: what the log holds was not decided by these rules.")


def _offline(work: Coroutine[Any, Any, T]) -> T | None:
    """Work on a stopped instance's folder; return None where its gateway runs, so that it can be asked."""
    try:
        return asyncio.run(work)
    except LogLocked:
        return None
    except WrongParameter as error:
        raise Failed(Exit.BAD_INPUT, f"--{error.parameter}: {error.detail}") from None


def _stream(place: Place, write: Callable[[Iterable[bytes]], None], ask: Callable[[Client], Iterable[bytes]]) -> None:
    bearer = remote.bearer(place.token, place.data, AUDITOR, [Role.AUDITOR])
    with remote.gateway(place.address, bearer) as client:
        write(ask(client))
