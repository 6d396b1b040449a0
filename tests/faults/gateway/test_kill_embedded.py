"""G1, short form."""

from pathlib import Path

from tests.faults.gateway import kill_embedded


def test_an_acknowledged_event_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """Killed five times under load: none lost, none twice, no gap."""
    found = kill_embedded.run(tmp_path, times=5, seed=1)
    assert found.acknowledged > 100
    assert found.faultless, found
