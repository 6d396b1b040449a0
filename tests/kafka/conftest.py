"""What tests of the Kafka adapter share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker_adapters.kafka import KafkaLog, KafkaSettings


@pytest.fixture
def settings(kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path) -> KafkaSettings:
    """Return settings for a part of the common broker that no other test sees."""
    return KafkaSettings(bootstrap=kafka_bootstrap, prefix=kafka_prefix, state_folder=tmp_path / "state")


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[KafkaLog]:
    """Return an open log, closed after the test."""
    opened = KafkaLog(settings)
    await opened.open()
    yield opened
    await opened.close()
