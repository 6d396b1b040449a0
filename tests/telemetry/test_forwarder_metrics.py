"""A forwarder alone tells of its own work: what it shared, what it kept back, and what waits for it."""

import re
import socket
import subprocess
import time
from pathlib import Path

import httpx

from tests.processes import ENVIRONMENT, KOMMUNEBRO, bearer, load_alliances, run, serving
from tests.support import an_event

WITHIN_S = 40.0


def value(metrics: str, name: str) -> float:
    """Return the sum of a metric's series; 0 where there is none."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(name))


def test_a_forwarder_alone_has_metrics(tmp_path: Path, kafka_bootstrap: str, kafka_prefix: str) -> None:
    """Beside a gateway that forwards nothing; at a port that the forwarder names when it is given 0."""
    config = tmp_path / "settings.toml"
    config.write_text(f'[kafka]\nprefix = "{kafka_prefix}"\n')
    shared = ["--kafka", kafka_bootstrap, "--config", str(config)]
    data = tmp_path / "gateway"
    with serving(data, *shared, "--no-forwarder") as served:
        load_alliances(served)
        headers = bearer(data, "0671", "publisher") | {"Content-Type": "application/cloudevents+json"}
        assert httpx.post(f"{served.url}/v1/events", json=an_event("0671"), headers=headers).status_code == 201
        command = [KOMMUNEBRO, "forward", *shared, "--data", str(tmp_path / "forwarder")]
        command += ["--keys", str(data / "instance.keys"), "--metrics-port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True) as forwarder:
            try:
                assert forwarder.stdout is not None
                said = re.search(r"http://127\.0\.0\.1:\d+/metrics", forwarder.stdout.readline())
                assert said is not None
                metrics = _once_forwarded(said[0])
                assert httpx.get(said[0].removesuffix("/metrics") + "/v1/events").status_code == 404
            finally:
                forwarder.terminate()
            assert forwarder.wait(30) == 0
        here = httpx.get(f"{served.url}/metrics").text
    assert len(re.findall(r'^kommunebro_shard_lag_events\{.*work="forwarder"', metrics, re.MULTILINE)) == 16
    assert value(here, "kommunebro_forwarded_total") == 0


def _once_forwarded(url: str) -> str:
    deadline = time.monotonic() + WITHIN_S
    while True:
        metrics = httpx.get(url).text
        lags = metrics.count("kommunebro_shard_lag_events{")
        if value(metrics, 'kommunebro_forwarded_total{alliance="vestalliancen"') == 1 and lags == 16:
            return metrics
        assert time.monotonic() < deadline, metrics
        time.sleep(0.2)


def test_a_port_that_is_taken_ends_the_forwarder(tmp_path: Path, kafka_bootstrap: str) -> None:
    """Before anything else, and it says which option to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run("forward", "--kafka", kafka_bootstrap, "--data", tmp_path, "--metrics-port", port)
    assert ended.returncode == 3
    assert f"port {port}" in ended.stderr
    assert "--metrics-port" in ended.stderr
