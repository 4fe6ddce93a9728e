"""The Grafana dashboard and the alert rules in `deploy/` ask for what /metrics has, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from metrics_pipeline.cli import app
from metrics_pipeline.services.instance import instance_monitor
from metrics_pipeline_tests.integration.dashboard.test_metrics_page import scraping  # noqa: F401 - a fixture

DEPLOY = Path(__file__).parents[3] / "deploy"
SELECTOR = re.compile(r"\b(metrics_pipeline_\w+)(?:\{([^}]*)\})?")
ADDED_BY_PROMETHEUS = {"instance", "job"}


def grafana() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana" / "metrics-pipeline.json").read_text())


def rules() -> list[dict[str, Any]]:
    return yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]


def expressions() -> Iterator[str]:
    for panel in grafana()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (variable["query"]["query"] for variable in grafana()["templating"]["list"][1:])
    yield from (rule["expr"] for rule in rules())


@pytest.fixture
def exported(scraping) -> dict[str, set[str]]:  # noqa: F811
    """The names of series that a scrape has, each with the labels of one that has any."""
    client = scraping(instance_monitor)
    client.get("/metrics")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        found.setdefault(family.name, set())  # of which there may be nothing to measure yet
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_and_label_that_is_asked_for_is_exported(exported):
    asked = [found for expression in expressions() for found in SELECTOR.findall(expression)]
    assert len(asked) > 40
    for name, selector in asked:
        assert name in exported
        labels = set(re.findall(r"(\w+)\s*=", selector)) - ADDED_BY_PROMETHEUS
        assert labels <= exported[name] or not exported[name], name


def test_no_metric_has_a_label_that_prometheus_puts_its_own_over(exported):
    assert not any(labels & ADDED_BY_PROMETHEUS for labels in exported.values())


def test_every_metric_of_the_pipeline_is_shown_or_alerted_on(exported):
    asked = {name for expression in expressions() for name, _ in SELECTOR.findall(expression)}
    series = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in exported}
    shown = {re.sub(r"_(bucket|total)$", "", name) for name in asked}
    assert {name for name in series - shown if "dashboard_process" not in name} == set()


def test_the_dashboard_can_be_imported_anywhere():
    document = grafana()
    assert document["id"] is None
    assert document["templating"]["list"][0]["type"] == "datasource"
    panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    used = [panel["datasource"] for panel in panels] + [
        target["datasource"] for panel in panels for target in panel["targets"]
    ]
    assert {source["uid"] for source in used} == {"${datasource}"}
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    taken = [
        (x, y)
        for panel in document["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))


def test_every_alert_says_what_to_do_with_a_command_that_exists():
    commands = get_command(app).commands
    for rule in rules():
        words = rule["annotations"]["command"].split()
        assert words[0] == "metrics-pipeline"
        assert words[1] in commands
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]


def test_the_example_scrapes_what_is_served():
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert (job["metrics_path"], job["job_name"]) == ("/metrics", "metrics_pipeline")
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
