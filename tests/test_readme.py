"""The README's commands and code, and the quick starts', run as they stand: `sh` and `python` blocks in their order.

Blocks marked `console` are for a place that a test cannot be: another machine, a person's own address.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.processes import ENVIRONMENT, KOMMUNEBRO, Served, free_port, run, serving

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README_ADDRESS = "http://127.0.0.1:8080"

QUICK_STARTS = {
    "quickstart-regneark.md": ("0671", "publisher"),
    "quickstart-publisher.md": ("0671", "publisher"),
    "quickstart-reader.md": ("0657", "reader"),
    "quickstart-subscriber.md": ("0657", "reader"),
    "python-client.md": ("0657", "publisher", "reader"),
    "quickstart-coordinator.md": ("0751", "coordinator"),
    "connect.md": ("0671", "publisher"),
    "quickstart-auditor.md": ("auditor", "auditor"),
}
"""Each with the token that its reader has."""


def script_of(document: Path) -> str:
    """One script of a document's blocks, each preceded by a line that says where it begins."""
    parts = []
    for number, (language, code) in enumerate(_BLOCK.findall(document.read_text("utf-8")), 1):
        body = code if language == "sh" else f"python - <<'PYTHON_BLOCK'\n{code}PYTHON_BLOCK\n"
        parts.append(f"echo; echo '== block {number}'\n{body}")
    return "\n".join(parts)


def play(script: str, folder: Path, **environment: str) -> str:
    """Run a script in a folder that has the examples, and return what it printed."""
    (folder / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(KOMMUNEBRO).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-m", "-c", script], cwd=folder, text=True, timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=ENVIRONMENT | {"PATH": path, "HOME": str(folder)} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def blocks_of(printed: str) -> list[str]:
    return re.split(r"^== block \d+$", printed, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway in which Struer has published the example sheet, as the README leaves it."""
    folder = tmp_path_factory.mktemp("quickstarts")
    with serving(folder / "data") as served:
        common = ("--to", served.url, "--data", served.data)
        assert run("alliances", "load", *common).returncode == 0
        sheet = ROOT / "examples" / "sheets" / "jobordrer.xlsx"
        done = run("publish", sheet, *common, "--participant", "0671", "--state", folder / "state")
        assert done.returncode == 0, done.stderr
        yield served


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """Its walk from nothing to a replay works, shows Herning the orders cut, and Aalborg the national one."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    script = script_of(ROOT / "README.md").replace(README_ADDRESS, address)
    printed = play(script, tmp_path, KOMMUNEBRO_PORT=str(port), KOMMUNEBRO_TO=address)
    _, _, herning, aalborg, replay = blocks_of(printed)
    assert len(json.loads(herning)["jobOrders"]) > 1
    assert "contactPerson" not in herning
    orders = json.loads(aalborg)["jobOrders"]
    assert [order["alliances"] for order in orders] == [["national"]]
    assert '"topic":"alliance.vestalliancen.job-order"' in replay


def test_the_quick_start_of_a_native_producer(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Two of its three events are taken in; the one without a title stands in quarantine, and why."""
    with serving(tmp_path / "data", "--kafka", kafka_bootstrap) as served:
        assert run("alliances", "load", "--to", served.url, "--data", served.data).returncode == 0
        while not in_mailboxes(kafka_bootstrap, "in.0671"):
            time.sleep(0.1)
        token = run("token", "--data", served.data, "--participant", "0671", "--role", "publisher").stdout.strip()
        addresses = {"KOMMUNEBRO_TO": served.url, "KOMMUNEBRO_TOKEN": token}
        script = script_of(ROOT / "docs" / "quickstart-native.md")
        printed = play(script, tmp_path, KOMMUNEBRO_KAFKA_BOOTSTRAP=kafka_bootstrap, **addresses)
        written, answer = blocks_of(printed)
        assert written.count("written at offset") == 3
        (item,) = json.loads(answer)["quarantine"]
        assert (item["eventId"], item["problem"]["type"]) == ("9002-1", "/problems/schema-violation")


def in_mailboxes(bootstrap: str, topic: str) -> bool:
    return topic in Producer({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics


@pytest.mark.parametrize("name", list(QUICK_STARTS))
def test_a_quick_start_does_what_it_says(served: Served, name: str, tmp_path: Path) -> None:
    """Every command of a quick start works with the token that its reader has."""
    participant, *roles = QUICK_STARTS[name]
    flags = [flag for role in roles for flag in ("--role", role)]
    token = run("token", "--data", served.data, "--participant", participant, *flags).stdout.strip()
    text = script_of(ROOT / "docs" / name)
    if name == "quickstart-coordinator.md":
        # A version takes effect for all tests on this gateway, so this one has an alliance to itself.
        text = text.replace("vestalliancen", "7k").replace("0707", "0741")
    printed = play(text, tmp_path, KOMMUNEBRO_TO=served.url, KOMMUNEBRO_TOKEN=token)
    assert len(blocks_of(printed)) == len(_BLOCK.findall((ROOT / "docs" / name).read_text("utf-8")))


def test_a_duplicate_is_answered_as_the_publishers_quick_start_says(served: Served, tmp_path: Path) -> None:
    """The event is new at first; as a line, from Python and from a file it is known already."""
    token = run("token", "--data", served.data, "--participant", "0671", "--role", "publisher").stdout.strip()
    script = script_of(ROOT / "docs" / "quickstart-publisher.md").replace("kontakt-77-1", "kontakt-78-1")
    one, many, client, file = blocks_of(play(script, tmp_path, KOMMUNEBRO_TO=served.url, KOMMUNEBRO_TOKEN=token))
    assert '"duplicate":false' in one
    assert '"duplicates":1' in many
    assert "Error" not in client
    assert "afvist" in file
