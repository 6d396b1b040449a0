"""Every benchmark, in its quick form: it runs end to end, and what is acknowledged, forwarded and replayed counts up.

A benchmark raises `CountsWrong` itself when an event is missing, doubled or not visible. How fast it was is not
looked at here.
"""

import json
import subprocess
from pathlib import Path

import pytest

from bench import ground as place
from bench.cli import BENCHMARKS, QUICK_PLAN, measure
from bench.ground import Ground

APART = {"batch", "publish", "stream"}
"""`batch` is run by the command's own test, `publish` is the same with one event a request, and `stream` is `open`
with one subscriber."""


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in APART])
def test_a_benchmark_runs_and_its_counts_are_right(
    name: str, tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    """Each figure has a value in each round, and a bare one where there is a comparator."""
    ground = Ground(tmp_path, kafka_bootstrap, kafka_prefix, rounds=1, plan=QUICK_PLAN, quick=True)
    rows = measure(name, ground)
    assert rows
    for row in rows:
        assert len(row.ours) == 1
        assert row.as_json()["target"] is None or row.reached is not None
        assert row.bare or row.target is None or row.target.of == "ours"


def test_the_command_prints_json(tmp_path: Path, kafka_bootstrap: str) -> None:
    """`bench batch --json` prints figures with their targets, and the machine in neutral words."""
    command = place.kommunebro("bench", "batch", "--quick", "--json", "--kafka", kafka_bootstrap)
    printed = json.loads(place.run_command([*command, "--work", str(tmp_path)]))
    figure = printed["figures"]["batch"][0]
    assert figure["ours"]["median"] > 0
    assert figure["target"] == {"value": 1.25, "of": "ratio", "atLeast": True}
    assert "cores" in printed["machine"]


def test_a_kafka_that_is_not_there_ends_the_command(tmp_path: Path) -> None:
    """Without the Kafka that was named: exit status 3 and a message, not a traceback."""
    command = place.kommunebro("bench", "forward", "--quick", "--kafka", "127.0.0.1:1", "--work", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "did not come up" in done.stderr
