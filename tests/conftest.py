"""What tests of every part share: a real Apache Kafka, started once."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from hypothesis import settings

from broker_adapters import local_kafka
from tests.instances import lasting, mortal

__all__ = ["lasting", "mortal"]

_numbers = itertools.count(1)

# The machines that tests run on are shared: how long one example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

LONGEST_FIRST = (
    "tests/bench/", "tests/faults/", "tests/kafka/", "tests/journeys/", "tests/workers/", "tests/native_door/",
    "tests/test_readme.py", "tests/other_clients/", "tests/clients/", "tests/connectors/",
)  # fmt: skip
"""Where single files take minutes: begun last, one of them would leave the other process with nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file, and among the others, the order stays."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(item.config.rootpath).as_posix()
        return next((at for at, part in enumerate(LONGEST_FIRST) if path.startswith(part)), len(LONGEST_FIRST))

    items.sort(key=place)


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
def kafka_prefix(kafka_bootstrap: str) -> Iterator[str]:
    """Return a prefix for topics that no other test has, so that tests share a broker but nothing on it.

    The topics are deleted afterwards: with the thousands of a whole run each later test would take four times as long.
    """
    prefix = f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}."
    yield prefix
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap, "log_level": 0})
    # A broker that a test has stopped is the next test's concern; what is left there only costs time.
    with suppress(KafkaException, TimeoutError):
        topics = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        for deleted in (admin.delete_topics(topics) if topics else {}).values():
            deleted.result(timeout=10)


@pytest.fixture(scope="module")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start three brokers for a module's tests of faults, and return the cluster's data folder."""
    data = tmp_path_factory.mktemp("cluster")
    local_kafka.up(data, 3)
    yield data
    local_kafka.kill(data)
