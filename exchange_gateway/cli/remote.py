"""Talk to a running gateway from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from exchange_gateway.cli.options import settings_from
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.cli.running import make_token
from exchange_gateway.core.access import Role

TIMEOUT_S = 60.0
_STATUSES_OF_INPUT = {400, 404, 409, 412, 413, 415, 422, 428}


def bearer(token: str | None, data: Path | None, participant: str | None, roles: list[Role]) -> str:
    """Return the token given, or one made from the data folder's keys. Raises `Failed`."""
    if token is not None:
        return token.strip()
    settings = settings_from(None, data=data)
    keys = settings.keys or settings.data / "instance.keys"
    if not keys.exists():
        raise Failed(
            Exit.USAGE,
            f"There is no token, and no {keys} to make one from. Give --token (or KOMMUNEBRO_TOKEN), "
            "or --data with the gateway's data folder.",
        )
    if participant is None:
        raise Failed(Exit.USAGE, "A token made from --data needs --participant: whom it speaks for, such as 0671.")
    return make_token(
        keys, participant=participant, roles=roles, ttl_s=3600,
        audience=settings.tokens.audience, external_issuer=settings.tokens.issuer,
    )  # fmt: skip


@contextmanager
def gateway(url: str, token: str) -> Iterator[httpx.Client]:
    """Return a client for one gateway; what goes wrong with the connection ends the verb."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as client:
            yield client
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Failed(Exit.USAGE, f"--to {url!r} is not an address such as http://127.0.0.1:8080.") from None
    except httpx.HTTPError as error:
        raise Failed(
            Exit.UNAVAILABLE,
            f"The gateway at {url} does not answer ({type(error).__name__}). Is it running? Is --to right?",
        ) from None


def checked(answer: httpx.Response) -> Any:
    """Return an answer's JSON. Raises `Failed` with what the gateway said."""
    if answer.is_success:
        return answer.json()
    raise failed(answer)


def failed(answer: httpx.Response) -> Failed:
    """Return what a refusing answer means for the verb."""
    status = Exit.BAD_INPUT if answer.status_code in _STATUSES_OF_INPUT else Exit.UNAVAILABLE
    try:
        problem = answer.json()
        lines = [f"{problem['title']}: {problem['detail']}"]
        lines += [f"  {row['pointer'] or '/'}: {row['detail']}" for row in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError):
        lines = [f"The gateway answered {answer.status_code}."]
    return Failed(status, "\n".join(lines))
