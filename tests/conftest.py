"""What tests of every part share: a real Apache Kafka, started once."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker_adapters import local_kafka
from tests.instances import lasting, mortal

__all__ = ["lasting", "mortal"]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start one real broker for the whole run, and return its data folder."""
    data = tmp_path_factory.mktemp("kafka")
    local_kafka.up(data)
    yield data
    local_kafka.kill(data)


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_data: Path) -> str:
    """Return the address of the broker that all tests share."""
    return local_kafka.status(kafka_data).bootstrap


@pytest.fixture
def paused_kafka(kafka_data: Path) -> Iterator[Callable[[], None]]:
    """Return what makes the common broker answer nobody; it goes on after the test at the latest."""
    yield lambda: local_kafka.pause(kafka_data)
    local_kafka.resume(kafka_data)


@pytest.fixture
def kafka_prefix() -> str:
    """Return a prefix for topics that no other test has, so that tests share a broker but nothing on it."""
    return f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start three brokers for a module's tests of faults, and return the cluster's data folder."""
    data = tmp_path_factory.mktemp("cluster")
    local_kafka.up(data, 3)
    yield data
    local_kafka.kill(data)
