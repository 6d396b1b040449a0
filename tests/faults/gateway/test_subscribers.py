"""What goes wrong around subscribers, short forms; on both logs where they differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.gateway import killed_streams, killed_subscriber, left_connections, outage_with_streams, slow_readers


@pytest.fixture(params=["embedded", "kafka"])
def kafka(request: pytest.FixtureRequest) -> Iterator[tuple[str, str] | None]:
    """The address of the common broker, and a prefix on it; None for the embedded log."""
    if request.param == "embedded":
        yield None
    else:
        yield request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("kafka_prefix")


def test_a_killed_subscriber_gets_what_it_had_not_committed(tmp_path: Path, kafka: tuple[str, str] | None) -> None:
    """Two kills: nothing left out, in order, and nothing again that was committed."""
    arguments: list[str] = []
    if kafka is not None:
        (tmp_path / "settings.toml").write_text(f'[kafka]\nprefix = "{kafka[1]}"\n')
        arguments = ["--kafka", kafka[0], "--config", str(tmp_path / "settings.toml")]
    found = killed_subscriber.run(tmp_path, 2, 5, *arguments)
    assert found.faultless, found


def test_streams_go_on_when_their_gateway_is_killed(tmp_path: Path, kafka: tuple[str, str] | None) -> None:
    """Forty streams, two kills, on Kafka of each of two gateways: each event once and in order."""
    found = killed_streams.run(tmp_path, 40, 2, *(kafka or ()), between_s=1.0)
    assert found.wrong == []
    # The control: they did lose their connections. Of two gateways each is killed once, and takes its half along.
    assert found.connections >= 40 * 2


def test_streams_outlive_an_outage_of_the_broker(tmp_path: Path, kafka_data: Path, kafka_prefix: str) -> None:
    """Six seconds without the broker: no stream ends, nothing is lost or out of order, pulls can be tried again."""
    found = outage_with_streams.campaign(tmp_path, kafka_data, 6.0, 20, 5, kafka_prefix)
    assert (found.wrong, found.streams_lost, found.not_retryable) == ([], 0, 0)
    assert found.pulls.keys() <= {200, 503}
    assert len(told := found.told("log_unavailable")) <= 1, told
    # Sixteen shards fail and try again; a line for each attempt would be dozens.
    assert len(told := found.told("forwarder_failed")) <= 3, told


def test_connections_that_are_left_keep_nobody_out(tmp_path: Path) -> None:
    """Eight hundred where three hundred are taken and a hundred streams: others are served, and it is told once."""
    limits = "connections_max = 300\nopen_max = 100\nidle_s_max = 3.0"
    for found in left_connections.campaign(tmp_path, 800, 1.0, limits):
        assert found.served > 0, found
        assert found.failed == []
        assert found.files < 300 + 100
        assert 1 <= found.told <= 2, found


def test_slow_readers_are_cut_off(tmp_path: Path) -> None:
    """Twenty that read a byte a second: cut off, and a listener beside them has all of it soon."""
    found = slow_readers.campaign(tmp_path, 20, 2.0)
    assert (found.streams_cut, found.pulls_cut) == (found.streams, found.pulls)
    assert found.wrong == []
    assert found.grown_mb < 100
    assert found.told == 1
