"""curl, with nothing but what the documents say: publish, pull, commit, and a stream behind its last event."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.instances import HERNING, STRUER, Instance, of_one, wanted

pytestmark = pytest.mark.outside
TIMED_OUT = 28
"""curl's exit status after --max-time, which is how a stream without an end is left."""


def curl(lasting: Instance, path: str, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", f"{lasting.url}{path}", "-H", f"Authorization: Bearer {token}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def asked(lasting: Instance, path: str, token: str, *arguments: str) -> Any:
    done = curl(lasting, path, token, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def streamed(lasting: Instance, path: str, token: str, *arguments: str) -> list[dict[str, str]]:
    """Return what a stream brings within two seconds: each event's fields."""
    done = curl(lasting, path, token, "-N", "--max-time", "2", *arguments)
    assert done.returncode == TIMED_OUT, done.stderr
    blocks = [block.splitlines() for block in done.stdout.split("\n\n") if "data: " in block]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


def test_curl_publishes_pulls_commits_and_streams(lasting: Instance, tmp_path: Path) -> None:
    """From a file, on both logs; what is pulled is what is streamed, and committed it does not come again."""
    mine = [of_one("curl", f"curl-{number}") for number in range(3)]
    (tmp_path / "events.ndjson").write_text("\n".join(json.dumps(event) for event in mine))
    struer, herning = lasting.token(STRUER, "publisher"), lasting.token(HERNING, "reader")
    json_body = ("-H", "Content-Type: application/json", "-d")
    wishes = json.dumps({"name": "curl", "filter": wanted("curl")})
    subscription = asked(lasting, "/v1/subscriptions", herning, *json_body, wishes)["id"]
    ndjson = ("-H", "Content-Type: application/x-ndjson", "--data-binary", f"@{tmp_path}/events.ndjson")
    answer = asked(lasting, "/v1/events", struer, *ndjson)
    assert (answer["accepted"], answer["refused"]) == (3, 0)
    path = f"/v1/subscriptions/{subscription}"
    events: list[dict[str, Any]] = []
    while len(events) < len(mine):
        pulled = asked(lasting, f"{path}/events?wait=20", herning)
        events = pulled["events"]
    assert [event["id"] for event in events] == [event["id"] for event in mine]
    lines = streamed(lasting, f"{path}/stream", herning)
    assert [json.loads(line["data"]) for line in lines] == events
    assert {line["event"] for line in lines} == {"dk.kommunebro.job-order"}
    rest = streamed(lasting, f"{path}/stream", herning, "-H", f"Last-Event-ID: {lines[1]['id']}")
    assert [line["id"] for line in rest] == [lines[2]["id"]]
    asked(lasting, f"{path}/cursor", herning, *json_body, json.dumps({"cursor": pulled["cursor"]}))
    assert asked(lasting, f"{path}/events", herning)["events"] == []


def test_a_token_that_does_not_count_ends_curl_with_an_error(lasting: Instance) -> None:
    """`--fail-with-body` gives the exit status that a script looks at, and the problem."""
    done = curl(lasting, "/v1/subscriptions", "nonsense", "--fail-with-body")
    assert done.returncode != 0
    assert json.loads(done.stdout)["type"] == "/problems/unauthorized"
