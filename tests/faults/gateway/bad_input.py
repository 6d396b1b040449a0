"""G9: whatever comes, no answer is a 5xx, none is without an explanation, and the gateway goes on.

Requests are made from good ones by damage: values swapped for hostile ones, keys doubled, bytes flipped,
headers altered, parameters that no reader sends.

    python -m tests.faults.gateway.bad_input --requests 100000
"""

import argparse
import asyncio
import copy
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from exchange_gateway.core.access import Role
from exchange_gateway.main import Gateway
from tests.support import a_clock, a_gateway, an_event, token

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**53, 2**53 + 2, 2**70, 1e308, 0.1, "", " ", "\x00", "æøå", "x" * 6000, "\u202e", "010190-1234",
    "99999999", "0000", "9999", "2026-13-45", "2026-11-22T25:00:00Z", "-1", "$ne", "' OR 1=1 --", "../../etc/passwd",
    "{{7*7}}", "a" * 65, [], [[]], {}, {"": ""}, [None] * 50, {"__proto__": 1}, "0671\n", "urn:kommunebro:0671:opera ",
)  # fmt: skip
NAMES = ("job-order", "company-contact", "visit", "company-cooperation", "job-order-response")
KINDS = (
    "application/cloudevents+json", "application/x-ndjson", "application/cloudevents-batch+json", "application/json",
    "application/cloudevents+json; charset=utf-8", "text/plain", "",
    "application/cloudevents+json;charset=utf-16", "*/*",
)  # fmt: skip
READS = (
    "/v1/job-orders", "/v1/job-orders/thing-1", "/v1/alliances", "/v1/alliances/vestalliancen", "/v1/schemas",
    "/v1/schemas/job-order/1.0", "/v1/audit/records", "/problems/conflict", "/v1/nothing",
)  # fmt: skip
PARAMETERS = (
    "owner", "alliance", "municipality", "occupation", "industry", "status", "since", "q", "limit", "after", "topic",
    "from", "to", "participant", "type", "subject", "cvr", "as-of", "unknown",
)  # fmt: skip
VALUES = (
    "",
    "x",
    "-1",
    "0",
    "1001",
    "1e9",
    "æ",
    "%00",
    "*",
    "pub.*",
    "2026-11-22T12:00:00Z",
    "2026",
    "9" * 40,
    "0671",
    "[",
    "\\",
    "open",
)


def damaged_event(chance: random.Random) -> Any:
    """Return an event with up to three things wrong, or none."""
    event = an_event(name=chance.choice(NAMES))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        _damage(event, chance)
    return event


def _damage(value: Any, chance: random.Random) -> None:
    """Walk down at random, and change, add or take away something there."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.7:
            value = value[key]
            continue
        what = chance.random()
        if what < 0.2:
            del value[key]
        elif what < 0.3 and isinstance(value, dict):
            value[chance.choice(("extra", "", "a/b", "é", "recordedtime"))] = _hostile(chance)
        else:
            value[key] = _hostile(chance)
        return


def _hostile(chance: random.Random) -> Any:
    """Return a value of the event's own: the next damage may walk into it, and must not change the list."""
    return copy.deepcopy(chance.choice(HOSTILE))


def damaged_bytes(body: bytes, chance: random.Random) -> bytes:
    """Return a body with bytes flipped, cut off, doubled or put in."""
    if not body or chance.random() < 0.6:
        return body
    place = chance.randrange(len(body))
    return chance.choice(
        (
            body[:place],
            body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :],
            body[:place] + body[max(0, place - 40) :],
            b"\xef\xbb\xbf" + body,
            body.replace(b'"id":', b'"id":"twice","id":', 1),
            body[:place] + b'\\ud800"' + body[place:],
            body + b"\x00",
        )
    )


def publish_request(chance: random.Random) -> dict[str, Any]:
    """Return the arguments of one request that publishes, or tries to."""
    kind = chance.choice(KINDS[:4] if chance.random() < 0.9 else KINDS)
    if "ndjson" in kind:
        body = b"\n".join(json.dumps(damaged_event(chance)).encode() for _ in range(chance.randrange(4)))
    elif "batch" in kind:
        body = json.dumps([damaged_event(chance) for _ in range(chance.randrange(4))]).encode()
    else:
        body = json.dumps(damaged_event(chance)).encode()
    headers = {"Content-Type": kind}
    if kind == "application/json" and chance.random() < 0.7:
        event = damaged_event(chance)
        headers |= {f"ce-{_ascii(str(name))}": _ascii(str(value)) for name, value in event.items() if name != "data"}
        body = json.dumps(event.get("data")).encode()
    if chance.random() < 0.03:
        headers["Content-Encoding"] = chance.choice(("gzip", "identity", "x"))
    path = "/v1/events" if chance.random() < 0.8 else "/v1/events:validate"
    return {"method": "POST", "url": path, "content": damaged_bytes(body, chance), "headers": headers}


def _ascii(text: str) -> str:
    kept = "".join(character for character in text if 32 < ord(character) < 127)
    return kept[:2000] or "x"


def read_request(chance: random.Random) -> dict[str, Any]:
    """Return the arguments of one request that reads, with parameters that no reader sends."""
    names = chance.sample(PARAMETERS, chance.randrange(4))
    method = chance.choice(("GET", "GET", "GET", "GET", "PUT", "DELETE", "POST"))
    content = json.dumps(chance.choice(HOSTILE)).encode() if method in ("PUT", "POST") else None
    return {
        "method": method,
        "url": chance.choice(READS),
        "params": {name: chance.choice(VALUES) for name in names},
        "content": content,
        "headers": {"If-Match": chance.choice(("*", '"1"', "x"))} if method == "PUT" else {},
    }


async def run(gateway: Gateway, client: httpx.AsyncClient, requests: int, seed: int) -> Counter[int]:
    """Send damaged requests; return how often each status came. Raises `AssertionError` for a bad answer."""
    chance, statuses = random.Random(seed), Counter[int]()
    roles = (Role.PUBLISHER, Role.READER, Role.AUDITOR, Role.OPERATOR)
    headers = token(gateway, "0671", *roles)
    for _ in range(requests):
        request = publish_request(chance) if chance.random() < 0.8 else read_request(chance)
        request["headers"] = {**headers, **request["headers"]}
        answer = await client.request(**request)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (request, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (request, answer.text)
            assert {"type", "title", "status", "detail", "retryable"} <= answer.json().keys(), answer.text
    answer = await client.post(
        "/v1/events", json=an_event(), headers={**headers, "Content-Type": "application/cloudevents+json"}
    )
    assert answer.status_code == 201, answer.text
    return statuses


async def campaign(requests: int, seed: int) -> Counter[int]:
    """Run on an embedded gateway of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_gateway(Path(folder), a_clock()) as (gateway, client):
            return await run(gateway, client, requests, seed)


def main() -> None:
    """Run the campaign and print the statuses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    statuses = asyncio.run(campaign(options.requests, options.seed))
    print(f"{sum(statuses.values())} requests, no 5xx: {dict(sorted(statuses.items()))}")  # noqa: T201


if __name__ == "__main__":
    main()
