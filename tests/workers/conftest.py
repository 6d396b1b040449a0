"""The forwarder's tests run once on each log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.stores import EmbeddedStore, KafkaStore, Store


@pytest.fixture(params=["embedded", "kafka"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Return the place of a log of each adapter in turn."""
    made: Store
    if request.param == "embedded":
        made = EmbeddedStore(tmp_path)
    else:
        made = KafkaStore(tmp_path, request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("kafka_prefix"))
    yield made
    await made.close()
