"""`kommunebro doctor`: each check finds what is really wrong, says what to do, and leaves everything as it was."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from broker_adapters.embedded import EmbeddedLog
from broker_adapters.kafka.inspection import Survey
from broker_adapters.log import NewRecord
from exchange_gateway.cli import app
from exchange_gateway.clock import HandTurnedClock
from exchange_gateway.doctor import Examination, State, examine
from exchange_gateway.doctor.folder import examine_disk
from exchange_gateway.doctor.logs import _examine_survey
from exchange_gateway.main import Gateway
from exchange_gateway.settings import load_settings
from tests.faults.embedded import full_disk
from tests.processes import ENVIRONMENT, KOMMUNEBRO, free_port, run, serving


def doctor(*arguments: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Run it; return its exit status and its findings by check."""
    answer = CliRunner().invoke(app, ["doctor", "--json", "--port", str(free_port()), *map(str, arguments)])
    return answer.exit_code, {row["check"]: row for row in json.loads(answer.stdout)["findings"]}


def states(findings: dict[str, dict[str, str]]) -> dict[str, str]:
    return {check: row["state"] for check, row in findings.items()}


def made(folder: Path, **settings: Any) -> None:
    """Start an instance once, and stop it."""

    async def started() -> None:
        async with Gateway(load_settings(None, data=folder, forwarder=False, **settings)):
            pass

    asyncio.run(started())
    folder.chmod(0o700)


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_a_sound_instance_is_ok_and_left_as_it_was(tmp_path: Path) -> None:
    """Everything is ok, exit 0; no file in the folder is made, changed or locked."""
    made(tmp_path)
    before = contents(tmp_path)
    status, findings = doctor("--data", tmp_path)
    assert status == 0, findings
    assert {state for check, state in states(findings).items() if check != "disk"} == {"ok"}
    assert findings.keys() >= {"settings", "data folder", "in use", "log", "clock", "disk", "keys", "instance", "port"}
    assert contents(tmp_path) == before


def test_a_first_start_is_no_failure_and_makes_nothing(tmp_path: Path) -> None:
    """Without a data folder there are warnings, exit 0, and there is none afterwards either."""
    status, findings = doctor("--data", tmp_path / "new")
    assert status == 0
    assert states(findings)["data folder"] == states(findings)["keys"] == "warn"
    assert not (tmp_path / "new").exists()


def test_keys_that_others_can_read_or_that_are_others_fail(tmp_path: Path) -> None:
    """Wrong permissions, another instance's keys, damaged keys and none are each told, exit 1."""
    made(tmp_path / "one")
    made(tmp_path / "two")
    keys = tmp_path / "one" / "instance.keys"
    keys.chmod(0o644)
    status, findings = doctor("--data", tmp_path / "one")
    assert (status, states(findings)["keys"]) == (1, "fail")
    assert "chmod 600" in findings["keys"]["advice"]
    status, findings = doctor("--data", tmp_path / "one", "--keys", tmp_path / "two" / "instance.keys")
    assert (status, states(findings)["instance"], states(findings)["keys"]) == (1, "fail", "ok")
    keys.write_text("{}")
    assert doctor("--data", tmp_path / "one")[1]["keys"]["state"] == "fail"
    keys.unlink()
    assert doctor("--data", tmp_path / "one")[1]["keys"]["state"] == "fail"


def test_a_log_from_the_future_fails(tmp_path: Path) -> None:
    """A clock that was set back is told, with by how much."""

    async def write() -> None:
        log = EmbeddedLog(tmp_path, clock_ms=lambda: 2_000_000_000_000)
        await log.open()
        await log.create_topics(["control.agreements"])
        await log.append("control.agreements", [NewRecord(b"{}")])
        await log.close()

    made(tmp_path)
    asyncio.run(write())
    status, findings = doctor("--data", tmp_path)
    assert (status, states(findings)["clock"]) == (1, "fail")


def test_a_damaged_log_fails(tmp_path: Path) -> None:
    """A file that is no database is told as damaged, exit 1."""
    (tmp_path / "log.sqlite3").write_bytes(b"nothing" * 1000)
    status, findings = doctor("--data", tmp_path)
    assert (status, states(findings)["log"]) == (1, "fail")


@pytest.mark.parametrize("content", ["host = 7", "not toml", "unknown = 1"])
def test_a_wrong_setting_fails(tmp_path: Path, content: str) -> None:
    """A file that cannot be read, or a setting that there is not, is 1 and named."""
    config = tmp_path / "settings.toml"
    config.write_text(content)
    status, findings = doctor("--data", tmp_path, "--config", config)
    assert (status, states(findings)) == (1, {"settings": "fail"})


def test_a_misspelt_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no setting is passed over by everything else, and told here."""
    monkeypatch.setenv("KOMMUNEBRO_LIMITS_RATE_PER_S", "7")
    monkeypatch.setenv("KOMMUNEBRO_LIMITS__RATE_PER_S", "7")
    finding = doctor("--data", tmp_path)[1]["settings"]
    assert finding["state"] == "warn"
    assert "KOMMUNEBRO_LIMITS_RATE_PER_S names" in finding["found"]


def test_what_runs_is_asked_and_what_does_not_is_3(tmp_path: Path) -> None:
    """The gateway that uses the folder is named and asked; one that does not answer, or a taken port, is exit 3."""
    with serving(tmp_path / "data") as served:
        port = served.url.rpartition(":")[2]
        status, findings = doctor("--data", tmp_path / "data", "--port", port)
        assert status == 0, findings
        assert str(served.process.pid) in findings["in use"]["found"]
        assert states(findings)["gateway"] == states(findings)["version"] == states(findings)["gateway's clock"] == "ok"
        (tmp_path / "other").mkdir(mode=0o700)
        assert doctor("--data", tmp_path / "other", "--to", served.url)[0] == 0
        status, findings = doctor("--data", tmp_path / "other", "--port", port)
        assert (status, states(findings)["port"]) == (3, "fail")
    status, findings = doctor("--data", tmp_path / "data", "--to", served.url)
    assert (status, states(findings)["gateway"]) == (3, "fail")


def test_a_clock_that_is_not_the_gateways_fails(tmp_path: Path) -> None:
    """The gateway's `Date` is compared with our time."""
    with serving(tmp_path) as served:
        seen = examine(load_settings(None, data=tmp_path), served.url, HandTurnedClock())
    assert {one.check: one.state for one in seen.findings}["gateway's clock"] is State.FAIL


def test_kafka_is_looked_at(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> None:
    """A broker that answers is told of, and keys are compared with its log's; no topic is made by looking."""
    config = tmp_path / "settings.toml"
    config.write_text(f'kafka = {{prefix = "{kafka_prefix}"}}')
    empty = doctor("--data", tmp_path / "none", "--kafka", kafka_bootstrap, "--config", config)
    assert empty[1]["instance"]["found"] == "the log is not begun yet"
    made(tmp_path / "one", kafka_bootstrap=kafka_bootstrap, kafka={"prefix": kafka_prefix})
    status, findings = doctor("--data", tmp_path / "one", "--kafka", kafka_bootstrap, "--config", config)
    assert status == 0, findings
    assert states(findings)["brokers"] == "warn"
    told = ("kafka", "kafka version", "transactions", "log", "instance", "clock")
    assert {check: states(findings)[check] for check in told} == dict.fromkeys(told, "ok")
    made(tmp_path / "two")
    keys = tmp_path / "two" / "instance.keys"
    given = ("--data", tmp_path / "one", "--kafka", kafka_bootstrap, "--config", config)
    status, findings = doctor(*given, "--keys", keys)
    assert (status, states(findings)["instance"]) == (1, "fail")


def test_a_broker_that_is_away_is_3(tmp_path: Path) -> None:
    """It is told within seconds, by its address."""
    address = f"127.0.0.1:{free_port()}"
    status, findings = doctor("--data", tmp_path, "--kafka", address)
    assert (status, states(findings)["kafka"]) == (3, "fail")
    assert address in findings["kafka"]["found"]


def test_tls_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    """What the connection would be made with is looked at before any broker is asked; exit 1."""
    config = tmp_path / "settings.toml"
    config.write_text('kafka = {security_protocol = "SSL", ca_file = "/nowhere.pem"}')
    status, findings = doctor("--data", tmp_path, "--config", config, "--kafka", "127.0.0.1:1")
    assert (status, states(findings)["kafka settings"]) == (1, "fail")
    assert "/nowhere.pem" in findings["kafka settings"]["found"]


def test_brokers_that_are_set_otherwise_are_told(tmp_path: Path) -> None:
    """What is advised and is not so is named; transactions that cannot be had fail."""
    told = {
        "auto.create.topics.enable": "true", "min.insync.replicas": "1", "default.replication.factor": "1",
        "message.max.bytes": "1000", "transaction.state.log.replication.factor": "5",
    }  # fmt: skip
    seen = Examination()
    _examine_survey(seen, Survey(3, old=True, settings=told, transactions=None))
    found = {one.check: one for one in seen.findings}
    assert all(name in found["broker settings"].found for name in list(told)[:4])
    assert [found[check].state for check in ("kafka version", "transactions")] == [State.FAIL, State.FAIL]


def test_a_disk_that_fills_is_told(tmp_path: Path) -> None:
    """By the room that is left, and by the days that it lasts at the pace so far."""
    filling = Examination()
    examine_disk(filling, tmp_path, grown_bytes=10**15, grown_s=10 * 86400)
    assert filling.findings[0].state is not State.OK


@pytest.mark.parametrize("way", ["tmpfs"] if full_disk.can_mount() else [])
def test_a_full_disk_is_3(tmp_path: Path, way: str) -> None:
    """A real file system without room fails, and says so with its place."""
    script = f"mount -t {way} -o size=4m {way} {tmp_path} && {KOMMUNEBRO} doctor --json --data {tmp_path}"
    answer = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    findings = {row["check"]: row for row in json.loads(answer.stdout)["findings"]}
    assert (answer.returncode, states(findings)["disk"]) == (3, "fail")
    assert str(tmp_path) in findings["disk"]["found"]


def test_a_folder_that_is_open_to_others_is_warned_of(tmp_path: Path) -> None:
    """So is one that belongs to somebody else; a file in its place fails."""
    tmp_path.chmod(0o755)
    assert doctor("--data", tmp_path)[1]["data folder"]["state"] == "warn"
    (tmp_path / "file").write_text("")
    status, findings = doctor("--data", tmp_path / "file")
    assert (status, states(findings)["data folder"]) == (3, "fail")


def test_the_table_says_the_same(tmp_path: Path) -> None:
    """People get a table, with the same states and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = run("doctor", "--data", tmp_path, "--port", str(taken.getsockname()[1]))
    assert answer.returncode == 3
    assert "fail" in answer.stdout
    assert "what to do" in answer.stdout
