"""The dashboard and the alerts ask for metrics that a gateway has, and each alert is explained."""

import json
import re
from pathlib import Path

import yaml

from exchange_gateway.telemetry import Metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "kommunebro.json"
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"
_NAME = re.compile(r"\b(?:kommunebro|process)_[a-z_]+\b")
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "unknown": ("",)}


def there() -> set[str]:
    """Every name under which a gateway's metrics can be asked for."""
    return {family.name + suffix for family in Metrics().registry.collect() for suffix in _SUFFIXES[family.type]}


def asked(expressions: list[str]) -> set[str]:
    return {name for expression in expressions for name in _NAME.findall(expression)}


def rules() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def test_the_dashboard_shows_what_there_is() -> None:
    """Nothing that no gateway tells, and of our own metrics everything but the request's own series."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert asked(expressions) <= there()
    shown = {re.sub(r"_(total|bucket)$", "", name) for name in asked(expressions)}
    assert {family.name for family in Metrics().registry.collect() if family.name.startswith("kommunebro")} <= shown


def test_panels_do_not_overlap() -> None:
    """Each has its own place in the grid, and its own number."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels) == len({panel["id"] for panel in panels})


def test_alerts_ask_for_what_there_is() -> None:
    """`up` is Prometheus' own; its job is the one of the example."""
    assert asked([rule["expr"] for rule in rules()]) <= there()
    (job,) = yaml.safe_load(PROMETHEUS.read_text("utf-8"))["scrape_configs"]
    jobs = {name for rule in rules() for name in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert jobs == {job["job_name"]}


def test_each_alert_is_explained() -> None:
    """In docs/operations.md, each with what to do, and no other."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    explained = re.findall(r"^\| `(Kommunebro\w+)` \|", text, re.MULTILINE)
    assert sorted(explained) == sorted(rule["alert"] for rule in rules())
