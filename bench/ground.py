"""Where benchmarks take place: a scratch folder, a Kafka, the gateway and the comparators as processes."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.events import PUBLISHER
from bench.load import Plan
from bench.processes import Server, ServerFailed, free_port
from broker_adapters import local_kafka
from exchange_gateway.agreements import packaged_agreements
from exchange_gateway.cli.agreements import put
from exchange_gateway.cli.running import make_token
from exchange_gateway.core.access import Role
from kommunebro import Client

LogKind = Literal["kafka", "embedded"]
LOGS: tuple[LogKind, ...] = ("embedded", "kafka")


@dataclass(frozen=True, slots=True)
class Ground:
    """What every benchmark is given. quick: a few seconds, to see that all works; its figures mean nothing.

    records: how many events fill a log that is to be full; None for the figure's own number.
    bootstrap: the Kafka to use. prefix: before each of its topics, so that benchmarks share nothing on it.
    """

    work: Path
    bootstrap: str
    prefix: str = ""
    rounds: int = 5
    plan: Plan = field(default_factory=Plan)
    quick: bool = False
    records: int | None = None

    def kafka_for(self, log: LogKind) -> str | None:
        """Return the bootstrap address that a gateway on `log` is started with."""
        return self.bootstrap if log == "kafka" else None

    def topic(self, name: str) -> str:
        """Return the name that a topic has on Kafka."""
        return self.prefix + name

    def config(self) -> list[str]:
        """Return the flags by which a gateway or forwarder knows the prefix."""
        file = self.work / "kommunebro.toml"
        file.write_text(f'[kafka]\nprefix = "{self.prefix}"\n')
        return ["--config", str(file)]


@contextmanager
def kafka(work: Path, bootstrap: str | None) -> Iterator[str]:
    """Give a Kafka: the one at `bootstrap`, or a local one of one broker that is stopped afterwards."""
    if bootstrap:
        yield bootstrap
        return
    folder = work / "kafka"
    started = local_kafka.up(folder, brokers=1)
    try:
        yield started.bootstrap
    finally:
        local_kafka.down(folder)


def logs_for(ground: Ground) -> tuple[LogKind, ...]:
    """Return the logs to measure on; one is enough to see that all works."""
    return LOGS[:1] if ground.quick else LOGS


def new_run() -> str:
    """Return eight hexadecimal digits that tell one load's events from every other's."""
    return secrets.token_hex(4)


def kommunebro(*arguments: str) -> list[str]:
    """Return the command line of the program that is installed beside this Python."""
    beside = Path(sys.executable).with_name("kommunebro")
    program = str(beside) if beside.exists() else shutil.which("kommunebro")
    if program is None:
        raise ServerFailed("kommunebro", "The command is not installed; run make setup.")
    return [program, *arguments]


def run_command(command: Sequence[str]) -> str:
    """Run a command to its end and return what it printed. Raises `ServerFailed` with its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(" ".join(command[:3]), done.stdout[-1000:] + done.stderr[-2000:])
    return done.stdout


def gateway(ground: Ground, data: Path, log: LogKind, *, forwarder: bool = False) -> Server:
    """Return a gateway, not started yet, on `data` and the log."""
    port = free_port()
    data.mkdir(parents=True, exist_ok=True)
    command = kommunebro("serve", "--data", str(data), "--port", str(port))
    bootstrap = ground.kafka_for(log)
    command += ["--kafka", bootstrap, *ground.config()] if bootstrap else []
    command += [] if forwarder else ["--no-forwarder"]
    return Server(f"The gateway ({log})", command, ground.work / f"{data.name}.log", port)


def forwarder(ground: Ground, data: Path) -> Server:
    """Return a forwarder alone, not started yet, on Kafka and the gateway's data folder."""
    command = kommunebro("forward", "--kafka", ground.bootstrap, "--data", str(data), *ground.config())
    return Server("The forwarder", command, ground.work / f"{data.name}-forwarder.log")


def bare_app(ground: Ground, topic: str) -> Server:
    """Return the bare FastAPI and aiokafka app, not started yet."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bench.comparators.app",
        "--kafka",
        ground.bootstrap,
        "--topic",
        ground.topic(topic),
    ]
    return Server("The bare app", [*command, "--port", str(port)], ground.work / "bare-app.log", port)


def token(data: Path, role: str, *, participant: str = PUBLISHER, represents: Sequence[str] = ()) -> str:
    """Return a bearer token of the instance whose data folder is `data`."""
    return make_token(data / "instance.keys", participant=participant, roles=[Role(role)], represents=tuple(represents))


def load_alliances(server: Server, data: Path, agreements: Sequence[dict[str, object]] = ()) -> None:
    """Load `agreements`, or those that come with the product, into a running gateway."""
    with Client(f"http://127.0.0.1:{server.port}", token(data, "operator", participant="drift")) as client:
        for agreement in agreements or packaged_agreements():
            put(client, agreement)


def bench_agreement(number: int, members: Sequence[str]) -> dict[str, object]:
    """Return an agreement of an alliance in which all of `members` share job orders."""
    return {
        "id": f"bench-{number}",
        "name": f"Bench {number}",
        "kind": "alliance",
        "purpose": "Measuring",
        "legalBasis": "None: no real data",
        "validFrom": "2020-01-01T00:00:00Z",
        "validUntil": None,
        "coordinators": [members[0]],
        "members": [{"participant": member, "name": member} for member in members],
        "shares": {"job-order": {}},
    }
