"""Gateways for the tests of clients: one that stays, and one that is killed and started again, on both logs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.cli.running import make_token
from exchange_gateway.core.access import Role
from kommunebro import Client, Filter
from tests.processes import Served, free_port, start
from tests.support import an_event

STRUER, HERNING = "0671", "0657"
BOTH_LOGS = ["embedded", "kafka"]


def event(subject: str, **changes: Any) -> dict[str, Any]:
    """Return a new order of Struer's, which Herning may see."""
    return an_event(STRUER, subject=subject, id=f"e-{subject}", **changes)


def of_one(test: str, subject: str, **changes: Any) -> dict[str, Any]:
    """Return an order that `wanted` finds among those of other tests on the same log."""
    return event(subject, **changes, data__occupation={"label": f"Smed {test},"})


def wanted(test: str) -> Filter:
    """Return a subscription's filter for one test's own orders."""
    return {"occupation": [f"Smed {test},"]}


@dataclass
class Instance:
    """A gateway at an address that stays, with the agreements loaded. prefix: of its topics on Kafka."""

    served: Served
    arguments: tuple[str, ...]
    prefix: str = ""

    @property
    def url(self) -> str:
        return self.served.url

    def token(self, participant: str, role: str) -> str:
        keys = self.served.data / "instance.keys"
        return make_token(keys, participant=participant, roles=[Role(role)], ttl_s=86_400)

    def restart(self) -> None:
        """Start it again, where it was."""
        self.served = start(self.served.data, *self.arguments, port=int(self.url.rpartition(":")[2]))


def instance(log: str, folder: Path, request: pytest.FixtureRequest) -> Instance:
    """Start a gateway on a log of its own."""
    arguments: tuple[str, ...] = ()
    prefix, settings = "", ""
    if log == "kafka":
        prefix, arguments = f"{folder.name}.", ("--kafka", str(request.getfixturevalue("kafka_bootstrap")))
        settings = f'kafka = {{prefix = "{prefix}"}}\n'
    config = folder / "config.toml"
    config.write_text(settings)
    arguments = (*arguments, "--config", str(config))
    running = Instance(start(folder / "data", *arguments, port=free_port()), arguments, prefix)
    with Client(running.url, running.token("drift", "operator")) as operator:
        for agreement in packaged_agreements():
            operator.put_alliance(agreement)
    return running


@pytest.fixture(scope="session", params=BOTH_LOGS)
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A gateway that stays, for tests that only use it; each has subjects of its own."""
    running = instance(request.param, tmp_path_factory.mktemp("lasting"), request)
    yield running
    running.served.stop()


@pytest.fixture(params=BOTH_LOGS)
def mortal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A gateway that the test may kill and start again."""
    running = instance(request.param, tmp_path_factory.mktemp("mortal"), request)
    yield running
    if running.served.process.poll() is None:
        running.served.stop()
