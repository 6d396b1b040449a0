"""G7, short form."""

from pathlib import Path

from tests.faults.gateway import outage


def test_an_outage_of_the_broker_loses_nothing(tmp_path: Path) -> None:
    """Eight seconds without the broker: 503 within the deadline, nothing lost or twice, drained in time."""
    found = outage.campaign(tmp_path, outage_s=8.0)
    seen = found.seen
    assert seen.refused > 0
    assert seen.without_retry_after == 0
    assert seen.longest_wait_s < outage.ANSWER_WITHIN_S
    assert len(seen.acknowledged) > 50
    missing_or_twice = (found.lost, found.twice, found.not_forwarded, found.forwarded_twice)
    assert missing_or_twice == (0, 0, 0, 0), "\n".join(found.evidence)
    assert found.drained_s <= 16.0
