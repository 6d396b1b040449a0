"""The alert rules and the example, read by Prometheus' own tool."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.outside
FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.mark.parametrize(("kind", "file"), [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_prometheus_understands_it(kind: str, file: str) -> None:
    """Every expression is PromQL, every template can be filled in."""
    done = subprocess.run(
        ["promtool", "check", kind, str(FOLDER / file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
