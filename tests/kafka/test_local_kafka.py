"""The broker that development and tests run on."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_adapters import local_kafka
from broker_adapters.kafka import KafkaLog, KafkaSettings
from broker_adapters.local_kafka_jars import KafkaNotFetched, class_path
from broker_adapters.local_kafka_process import explain, is_running
from broker_adapters.log import NewRecord


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a broker that is up."""
    folder = tmp_path_factory.mktemp("local") / "kafka"
    local_kafka.up(folder)
    yield folder
    local_kafka.kill(folder)


async def test_down_keeps_the_data_and_up_resumes_them(data: Path, tmp_path: Path) -> None:
    """A broker that was stopped has its records and its address when it is started again."""
    settings = KafkaSettings(local_kafka.status(data).bootstrap, tmp_path)
    log = KafkaLog(settings)
    await log.open()
    await log.create_topics(["t"])
    await log.append("t", [NewRecord(b"kept")])
    await log.close()
    assert not local_kafka.down(data).running
    resumed = local_kafka.up(data)
    assert resumed.running
    assert resumed.bootstrap == settings.bootstrap
    log = KafkaLog(settings)
    await log.open()
    async with log.reader({"t": 0}) as reader:
        assert [record.value for record in await reader.poll(timeout_s=5)] == [b"kept"]
    await log.close()


def test_up_twice_changes_nothing(data: Path) -> None:
    """Starting what runs leaves it alone."""
    before = local_kafka.status(data)
    assert local_kafka.up(data) == before
    assert before.running


def test_it_is_found_by_a_relative_path_too(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From within the folder beside it, the same broker is seen to run."""
    monkeypatch.chdir(data.parent)
    assert local_kafka.status(Path(data.name)) == local_kafka.status(data)


def test_status_is_json_with_the_address(data: Path) -> None:
    """What the command prints is plain JSON, with the address first."""
    printed = json.loads(json.dumps(local_kafka.status(data).as_json()))
    assert next(iter(printed)) == "bootstrap"
    assert printed["bootstrap"].startswith("127.0.0.1:")
    assert printed["running"] is True
    assert printed["brokers"][0]["port"] < 32768


def test_a_cluster_keeps_its_size(data: Path) -> None:
    """Another number of brokers on the same folder is refused, with what to do."""
    with pytest.raises(local_kafka.NotACluster, match="Give --brokers 1, or another --data"):
        local_kafka.up(data, 3)


def test_two_brokers_are_no_cluster(tmp_path: Path) -> None:
    """One broker or three."""
    with pytest.raises(local_kafka.LocalKafkaError, match="1 broker or 3, not 2"):
        local_kafka.up(tmp_path / "kafka", 2)


@pytest.mark.parametrize("verb", [local_kafka.status, local_kafka.down])
def test_a_folder_without_a_cluster_is_told(tmp_path: Path, verb: object) -> None:
    """Asking for what was never made says how to make it."""
    with pytest.raises(local_kafka.NotACluster, match="kommunebro kafka up --data"):
        verb(tmp_path)  # type: ignore[operator]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Where another program holds the port, the message names it, and nothing is left behind that runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(local_kafka.PortTaken, match=f"Port {port}, .* is taken by another program"):
            local_kafka.up(tmp_path / "kafka", port=port)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where the folder's place is a file, the message says so."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(local_kafka.LocalKafkaError, match="cannot be written"):
        local_kafka.up(tmp_path / "file" / "kafka")


def test_a_process_id_of_another_program_is_not_ours(data: Path) -> None:
    """After a restart of the machine an old process id may be anybody's."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not is_running(other.pid, str(data))
        other.communicate(b"\n")
    assert not is_running(other.pid, str(data))


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("java.net.BindException: Address already in use", "port"),
        ("java.io.IOException: No space left on device", "disk is full"),
        ("KafkaException: Failed to acquire lock on file .lock", "another Kafka uses its folder"),
        ("12:00 [main] ERROR kafka.Kafka - Exiting for a reason", "Exiting for a reason"),
    ],
)
def test_why_a_broker_ended_is_said(tmp_path: Path, printed: str, said: str) -> None:
    """What a broker printed last is put in words."""
    (tmp_path / "output.log").write_text(f"first line\n{printed}\nlast line\n")
    assert said in (explain(tmp_path / "output.log") or "")


def test_a_broker_that_was_stopped_has_no_problem(tmp_path: Path) -> None:
    """A broker that shut down in order is not said to have failed."""
    (tmp_path / "output.log").write_text("12:00 ERROR something\n12:01 INFO shut down completed\n")
    assert explain(tmp_path / "output.log") is None
    assert explain(tmp_path / "never-started.log") is None


def test_jars_that_cannot_be_fetched_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the message says what was wanted, and how else to get it."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(KafkaNotFetched, match="could not be fetched from Maven Central"):
        class_path(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
