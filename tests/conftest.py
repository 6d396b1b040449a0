"""What tests of every part share: a real Apache Kafka, started once."""

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_adapters import local_kafka

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one real broker for the whole run, and return its address."""
    data = tmp_path_factory.mktemp("kafka")
    yield local_kafka.up(data).bootstrap
    local_kafka.kill(data)


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
