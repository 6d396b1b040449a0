"""A large workbook: short form."""

from pathlib import Path

from tests.connectors.large_sheet import measured


def test_a_workbook_is_published_and_then_dismissed(tmp_path: Path) -> None:
    """All of its rows the first time, none the second, in far less than the memory that is allowed."""
    first, second = measured(tmp_path, 2_000)
    assert first.said == "2000 rækker sendt, 0 afvist."
    assert second.said == "0 rækker sendt, 2000 uændret, 0 afvist."
    assert second.seconds < first.seconds
    assert first.peak_mb < 200
