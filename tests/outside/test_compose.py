"""docker-compose.yml, read by docker-compose itself: as far as it can be checked without an engine."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.outside
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    """The file with its anchors and defaults filled in, as docker-compose understands it."""
    done = subprocess.run(
        ["docker-compose", "-f", str(ROOT / "docker-compose.yml"), "config"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)  # type: ignore[no-any-return]


def test_it_has_three_brokers_two_gateways_and_two_forwarders(resolved: dict[str, Any]) -> None:
    """The services are those of a deployment that survives the loss of any one of them."""
    assert sorted(resolved["services"]) == [
        "forwarder-1", "forwarder-2", "gateway-1", "gateway-2", "kafka-1", "kafka-2", "kafka-3",
    ]  # fmt: skip


def test_each_process_has_a_folder_of_its_own(resolved: dict[str, Any]) -> None:
    """No two services share a volume."""
    volumes = [json.dumps(volume) for service in resolved["services"].values() for volume in service["volumes"]]
    assert len(set(volumes)) == len(volumes) == 7


def test_the_secrets_are_shared(resolved: dict[str, Any]) -> None:
    """All gateways and forwarders read the same instance keys, and nobody else does."""
    with_keys = {name for name, service in resolved["services"].items() if service.get("secrets")}
    assert with_keys == {"gateway-1", "gateway-2", "forwarder-1", "forwarder-2"}


def test_brokers_acknowledge_on_two_of_three(resolved: dict[str, Any]) -> None:
    """Each broker has an id of its own, and the settings that make an acknowledgement mean something."""
    brokers = [service["environment"] for name, service in resolved["services"].items() if name.startswith("kafka")]
    assert sorted(int(broker["KAFKA_NODE_ID"]) for broker in brokers) == [1, 2, 3]
    assert {str(broker["KAFKA_MIN_INSYNC_REPLICAS"]) for broker in brokers} == {"2"}
    assert {str(broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]) for broker in brokers} == {"false"}
