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
from municipality_connectors.connecting import look, run_once
from municipality_connectors.connector_file.loading import load_connector
from municipality_connectors.connector_file.opening import opening
from municipality_connectors.report import PublishReport
from municipality_connectors.running.publishing import publish_files
from municipality_connectors.running.reading import now_us
from municipality_connectors.running.taking import Habits
from municipality_connectors.sources import rest
from schemas.registry import Registry
from tests.connectors import databases
from tests.connectors.case_system import CaseSystem, case_system
from tests.connectors.databases import PostgreSql
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSql]:
    """A PostgreSQL server, on which each test has a database of its own."""
    with databases.postgresql() as server:
        yield server


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


@dataclass
class Desk:
    """Struer's IT desk: a folder with a connector file, run as often as a test likes."""

    served: Served
    token: str
    folder: Path
    system: str = field(default_factory=lambda: f"opera-{next(_numbers)}")
    clock_us: Callable[[], int] = now_us
    url: str = ""

    def write(self, source: str, publish: str = "", *, name: str = "ordrer", more: str = "") -> Path:
        """Write a connector file and return its path. source, publish: the TOML of the two tables; more: of the top."""
        path = self.folder / f"{name}.toml"
        head = f'name = "{name}"\nparticipant = "0671"\nsystem = "{self.system}"\nstate = "husket"\n{more}\n'
        gateway = f'[gateway]\nurl = "{self.url or self.served.url}"\n'
        path.write_text(f"{head}{gateway}[source]\n{source}\n[[publish]]\n{publish or ORDER_FIELDS}", "utf-8")
        return path

    def run(self, name: str = "ordrer", **habits: bool) -> PublishReport:
        """Run once."""
        connector = load_connector(self.folder / f"{name}.toml")
        return run_once(
            connector, self.token, habits=Habits(**habits), registry=REGISTRY, clock_us=self.clock_us, patience_s=0.0
        )

    def look(self, name: str = "ordrer") -> PublishReport:
        """Look what a run would do."""
        return look(load_connector(self.folder / f"{name}.toml"), registry=REGISTRY, clock_us=self.clock_us)

    def events(self) -> list[dict[str, Any]]:
        """Return what the log holds from this system, in its order."""
        return Publisher(self.served, self.token, self.folder, self.system).events()

    def told(self) -> dict[str, Any]:
        """Return what the gateway was told of this desk's connector."""
        with Client(self.served.url, self.token) as client:
            [told] = [told for told in client.connectors() if told["system"] == self.system]
        return told

    def states(self, key: str = "status") -> list[tuple[str, Any]]:
        """Return each event's thing, and one property of its data."""
        return [(event["subject"], event["data"].get(key)) for event in self.events()]


ORDER_FIELDS = """
type = "job-order"
[publish.fields]
jobOrderId = "Sagsnr"
status = { from = "Status", codes = { A = "open", B = "filled", T = "withdrawn" } }
company.name = { value = "Vestjysk Staldinventar A/S" }
company.cvr = { value = "93100018" }
title = "Overskrift"
occupation.label = "Fag"
positions = "Antal"
employmentTypes = { value = "Ordinært job" }
workplace.municipality = { value = "Struer" }
applyVia = { value = "Gennem jobcentret" }
consultant.name = { value = "Jens Ove Ramskov" }
consultant.unit = { value = "Jobcenter Struer" }
consultant.phone = { value = "+45 00 00 11 04" }
employerAgreed = { value = "Med navn" }
sharing.scope = { value = "Vores alliancer" }
registeredAt = { value = "20-11-2026 08:05" }
"""
"""A mapping of a table that has just what tests change."""

ORDER_HEADER = ("Sagsnr", "Status", "Overskrift", "Fag", "Antal")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read as soon as they are written, and services are tried again at once."""
    monkeypatch.setattr(opening, "SETTLED_AFTER_S", 0.0)
    monkeypatch.setattr(rest, "WAIT_FIRST_S", 0.01)


@pytest.fixture
def system() -> Iterator[CaseSystem]:
    """A case system with a REST service."""
    with case_system() as running:
        yield running


@pytest.fixture
def desk(served: Served, token: str, tmp_path: Path) -> Desk:
    """A desk with an empty folder."""
    return Desk(served, token, tmp_path)


@pytest.fixture
def struer(served: Served, token: str, tmp_path: Path) -> Publisher:
    """A publisher with an empty memory."""
    return Publisher(served, token, tmp_path / "husket")
