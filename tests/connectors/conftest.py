"""A real gateway for the tests of publishing, and publishers that each have a system of their own."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from kommunebro import Client
from municipality_connectors.publishing import publish_files
from municipality_connectors.reading import now_us
from municipality_connectors.report import PublishReport
from schemas.registry import Registry
from tests.processes import Served, bearer, serving

_numbers = itertools.count(1)
REGISTRY = Registry.load("warn")


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway's process on an embedded log."""
    with serving(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture(scope="package")
def token(served: Served) -> str:
    """A token that may do nothing but publish as Struer."""
    return bearer(served.data, "0671", "publisher")["Authorization"].removeprefix("Bearer ")


@cache
def _auditor(data: Path) -> dict[str, str]:
    return bearer(data, "auditor", "auditor")


@dataclass
class Publisher:
    """Struer, publishing from one system of its own, as often as a test likes."""

    served: Served
    token: str
    state: Path
    system: str = field(default_factory=lambda: f"regneark-{next(_numbers)}")
    clock_us: Callable[[], int] = now_us

    def publish(self, *paths: Path, client: Client | None = None) -> PublishReport:
        """Publish files and return the report."""
        with client or Client(self.served.url, self.token, patience_s=10.0) as used:
            return publish_files(
                paths, client=used, participant="0671", system=self.system, state_folder=self.state,
                registry=REGISTRY, clock_us=self.clock_us,
            )  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        """Return what the log holds from this system, in its order."""
        filters = {"participant": "0671", "topic": "pub.*"}
        url = f"{self.served.url}/v1/audit/records"
        answer = httpx.get(url, params=filters, headers=_auditor(self.served.data), timeout=60)
        events = [orjson.loads(line)["event"] for line in answer.content.splitlines()]
        return [event for event in events if event["source"].endswith(f":{self.system}")]


@pytest.fixture
def struer(served: Served, token: str, tmp_path: Path) -> Publisher:
    """A publisher with an empty memory."""
    return Publisher(served, token, tmp_path / "husket")
