"""A connector is killed, and its gateway away for a fortnight: short forms, and the control."""

from pathlib import Path

from tests.faults.connectors import fortnight
from tests.faults.connectors.killed_connector import campaign


def test_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    """Over twenty-five kills, at whatever instant."""
    findings = campaign(tmp_path, 25, seed=7)
    assert findings.faults == []
    assert findings.changes > 300


def test_the_control_is_found(tmp_path: Path) -> None:
    """A connector that strikes rows out before it keeps them loses some."""
    assert campaign(tmp_path, 25, seed=7, broken=True).faults


def test_a_fortnight_is_drained_in_order(tmp_path: Path) -> None:
    """With every state of every thing, though only the last is what it is now."""
    findings = fortnight.campaign(tmp_path, 5_600, runs_a_day=4)
    assert (findings.waiting, findings.arrived) == (5_600, 5_600)
    assert (findings.in_order, findings.times_grow) == (True, True)
