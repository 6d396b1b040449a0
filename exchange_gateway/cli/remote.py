"""Talk to a running gateway from the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange_gateway.cli.options import settings_from
from exchange_gateway.cli.outcome import Exit, Failed
from exchange_gateway.cli.running import make_token
from exchange_gateway.core.access import Role
from kommunebro import BadAddress, Client, GatewayUnavailable, Problem

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
def gateway(url: str, token: str) -> Iterator[Client]:
    """Return a client for one gateway; what goes wrong ends the verb, at once: a person can ask again."""
    try:
        with Client(url, token, patience_s=0) as client:
            yield client
    except BadAddress:
        raise Failed(Exit.USAGE, f"--to {url!r} is not an address such as http://127.0.0.1:8080.") from None
    except Problem as problem:
        raise failed(problem) from None
    except GatewayUnavailable as error:
        if error.problem is not None:
            raise failed(error.problem) from None
        raise Failed(Exit.UNAVAILABLE, str(error)) from None


def failed(problem: Problem) -> Failed:
    """Return what a problem means for the verb."""
    status = Exit.BAD_INPUT if problem.status in _STATUSES_OF_INPUT else Exit.UNAVAILABLE
    lines = [f"{problem.title}: {problem.detail}" if problem.name else f"The gateway answered {problem.status}."]
    lines += [f"  {pointer or '/'}: {detail}" for pointer, detail in problem.errors]
    return Failed(status, "\n".join(lines))
