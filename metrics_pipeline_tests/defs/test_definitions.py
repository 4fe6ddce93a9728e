"""The code location, loaded as Dagster's servers load it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from metrics_pipeline.definitions import define
from metrics_pipeline.metrics.payload import CODE_VERSION
from metrics_pipeline.settings import load_settings

METRIC_ASSETS = {"daily_metrics", "weekly_metrics", "monthly_metrics", "yearly_metrics"}


def validate(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load the code location in a process of its own, with no servers and no instance configured."""
    return subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "metrics_pipeline.definitions"],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_code_location_loads_without_servers(tmp_path):
    done = validate(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr
    assert "BetaWarning" not in done.stdout + done.stderr


def test_a_wrong_setting_is_named_with_what_to_set(tmp_path):
    done = validate(tmp_path, METRICS_TIMEZONE="Mars/Olympus")
    assert done.returncode != 0
    assert (
        "METRICS_TIMEZONE: 'Mars/Olympus' is not a known zone; use an IANA name such as America/Costa_Rica"
        in done.stdout + done.stderr
    )


def test_the_metric_assets_link_to_the_dashboard():
    settings = load_settings(dashboard_url="https://metrics.example.org")
    graph = define(settings).get_repository_def().asset_graph
    links = {name: graph.get(dg.AssetKey(name)).metadata.get("dashboard") for name in METRIC_ASSETS}
    assert links == dict.fromkeys(METRIC_ASSETS, dg.MetadataValue.url("https://metrics.example.org"))


def test_everything_that_dagster_is_offered():
    repository = define(load_settings()).get_repository_def()
    assert {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} == {
        "expenses",
        *METRIC_ASSETS,
        "metrics_cache",
        "pipeline_health",
        "reconciliation",
    }
    jobs = {f"{name}_job" for name in METRIC_ASSETS} | {
        "pipeline_health_job",
        "metrics_checks_job",
        "reconciliation_job",
        "retention_job",
    }
    assert set(repository.job_names) - {"__ASSET_JOB"} == jobs
    assert {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs} == {
        **{f"{name}_hourly": "5 * * * *" for name in METRIC_ASSETS},
        "pipeline_health_quarter_hourly": "*/15 * * * *",
        "metrics_checks_hourly": "25 * * * *",
        "reconcile_nightly": "35 3 * * *",
        "retention_nightly": "35 4 * * *",
    }
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}


def test_the_graph_runs_from_the_expenses_over_the_metrics_to_the_cache_and_its_health():
    graph = define(load_settings()).resolve_asset_graph()
    assert graph.materializable_asset_keys == {
        dg.AssetKey(name) for name in [*METRIC_ASSETS, "pipeline_health", "reconciliation"]
    }
    for name in METRIC_ASSETS:
        node = graph.get(dg.AssetKey(name))
        assert node.parent_keys == {dg.AssetKey("expenses")}
        assert node.child_keys == {dg.AssetKey("metrics_cache")}


def test_every_asset_says_what_it_is_and_whose():
    graph = define(load_settings()).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.kinds, key
        assert node.owners == ["team:metrics"]
        assert node.group_name in {"source", "metrics", "serving", "monitoring"}
    for name in METRIC_ASSETS:
        node = graph.get(dg.AssetKey(name))
        assert node.code_version == CODE_VERSION
        assert node.freshness_policy is not None
        assert node.backfill_policy.max_partitions_per_run > 1
