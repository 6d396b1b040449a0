"""The native door under kills and an outage, short form."""

from pathlib import Path

from tests.faults.gateway import native_door


def test_nothing_is_lost_and_nothing_is_set_aside_twice(tmp_path: Path) -> None:
    """The gateway is killed twice, then the broker is away for five seconds, while messages come all the time."""
    found = native_door.campaign(tmp_path, kills=2, outage_s=5.0)
    assert found.good > 300
    assert found.bad > 5
    assert found.faultless, found
