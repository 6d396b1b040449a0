"""G3 and G7 at the log, in short: the campaigns beside this file are the same at length."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_adapters import local_kafka
from tests.faults.kafka import broker_kills, kills, outage, overlaps, zombies


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Path]:
    """Return the data folder of a broker that only this test has, so that it may be killed."""
    data = tmp_path / "kafka"
    local_kafka.up(data)
    yield data
    local_kafka.kill(data)


async def test_kills_lose_and_repeat_nothing(kafka_data: Path) -> None:
    """A processor that is killed at any instant copies each record once."""
    outcome = await kills.run(kafka_data, 3, random.Random())
    assert outcome.faultless, outcome


async def test_a_zombie_writes_nothing(kafka_data: Path) -> None:
    """A processor that was stopped and replaced is fenced when it wakes up."""
    outcome = await zombies.run(kafka_data, 2, random.Random())
    assert outcome.faultless, outcome


async def test_overlapping_starts_repeat_nothing(kafka_data: Path) -> None:
    """A rolling restart copies each record once."""
    outcome = await overlaps.run(kafka_data, 6, random.Random())
    assert outcome.faultless, outcome


async def test_with_the_starting_steps_swapped_records_are_repeated(kafka_data: Path) -> None:
    """The control: a processor that reads before it fences repeats records, and the test above would see it."""
    outcome = await overlaps.run(kafka_data, 6, random.Random(), overlaps.swapped)
    assert outcome.duplicates > 0


async def test_a_killed_broker_loses_and_repeats_nothing(kafka_cluster: Path) -> None:
    """Two of three brokers go on, and the third comes back, while everything is copied once."""
    outcome = await broker_kills.run(kafka_cluster, 1, random.Random())
    assert outcome.faultless, outcome


@pytest.mark.parametrize("kind", ["stopped", "killed"])
async def test_an_outage_loses_nothing_and_is_told_in_time(own_kafka: Path, kind: outage.Kind) -> None:
    """While no broker answers, callers are told within their deadline; afterwards all is there, once."""
    found = await outage.run(own_kafka, 5, kind)
    assert found.faultless, found
    assert found.undecided > 0
