"""What tests in several folders need: a real gateway in process, tokens for it, and events to send."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from exchange_gateway.api.app import App
from exchange_gateway.clock import Clock, HandTurnedClock
from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from exchange_gateway.settings import Settings, load_settings
from exchange_gateway.tokens import sign_token
from tests.core.agreement_samples import agreement

SCHEMAS = Path(__file__).parent.parent / "schemas"
NOW = "2026-11-22T12:00:00Z"
NOW_US = 1_795_348_800_000_000
_numbers = count(1)


def example(name: str = "job-order", index: int = 0) -> dict[str, Any]:
    """Return a copy of one of the dataset's own examples."""
    files = sorted((SCHEMAS / name / "examples" / "1.0").glob("*.json"))
    return json.loads(files[index].read_text("utf-8"))  # type: ignore[no-any-return]


def an_event(participant: str = "0671", name: str = "job-order", **changes: Any) -> dict[str, Any]:
    """Return a new event: an example with an id and a subject of its own.

    `changes` go into the envelope, but `data__x` into the property x of `data`.
    """
    event = copy.deepcopy(example(name))
    number = next(_numbers)
    id_property = next(key for key, value in event["data"].items() if value == event["subject"])
    event |= {"id": f"event-{number}", "source": f"urn:kommunebro:{participant}:opera", "subject": f"thing-{number}"}
    for key, value in changes.items():
        if key.startswith("data__"):
            event["data"][key[6:]] = value
        else:
            event[key] = value
    event["time"] = changes.get("time", NOW)
    event["data"][id_property] = event["subject"]
    return event


def a_clock() -> HandTurnedClock:
    """Return a clock that stands at `NOW`."""
    return HandTurnedClock(NOW_US)


def settings(folder: Path, **changes: Any) -> Settings:
    """Return settings for a gateway of its own in `folder`."""
    return load_settings(None, data=folder, **changes)


def token(gateway: Gateway, participant: str, *roles: Role, represents: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the headers of a client that speaks for `participant`."""
    signed = sign_token(
        gateway.keys.signing,
        participant=participant,
        roles=roles,
        represents=represents,
        audience="kommunebro",
        ttl_s=10**6,
        now_s=gateway.clock.now_us() // 1_000_000,
    )
    return {"Authorization": f"Bearer {signed}"}


@asynccontextmanager
async def a_gateway(
    folder: Path, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    """Run a whole gateway in this process, and give a client that speaks to it without a network."""
    async with Gateway(settings(folder, **changes), clock) as gateway:
        transport = httpx.ASGITransport(App(gateway), raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
            yield gateway, client


async def agree(gateway: Gateway, client: httpx.AsyncClient, *bodies: dict[str, Any]) -> None:
    """Make agreements: each that is new, and the next version of each that is there."""
    operator = token(gateway, "drift", Role.OPERATOR)
    for body in bodies:
        path = f"/v1/alliances/{body['id']}"
        there = await client.get(path, headers=operator)
        new = there.status_code == 404
        condition = {"If-None-Match": "*"} if new else {"If-Match": there.headers["ETag"]}
        answer = await client.put(path, json=body, headers={**operator, **condition})
        assert answer.status_code == (201 if new else 200), answer.text


async def two_alliances(gateway: Gateway, client: httpx.AsyncClient, **of_nord: Any) -> None:
    """Agree on vest (Herning, Struer, Lemvig) and nord (Struer, Holstebro)."""
    nord = {"id": "nord", "name": "Nord", "members": [{"participant": "0671"}, {"participant": "0661"}]}
    await agree(gateway, client, agreement(), agreement(**nord | of_nord))
