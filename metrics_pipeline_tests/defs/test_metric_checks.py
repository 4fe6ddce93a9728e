"""The checks of the metric assets: what turns each one red, and green again."""

from __future__ import annotations

import json

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.definitions import define
from metrics_pipeline.defs.checks import metric_checks
from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest

CHECKS = {
    (f"{grain.adverb}_metrics", name)
    for grain in Grain
    for name in ("matches_source", "cache_matches_store", "nothing_stale_left")
}


@pytest.fixture
def pipeline(settings, spend):
    """The warm window of three accounts is computed and published."""
    with Pipeline(settings) as opened:
        today = settings.today()
        opened.tend_cache()
        opened.absorb_changes()
        opened.refresh(RefreshRequest([stale.period for stale in opened.backlog()], today))
        opened.refresh(RefreshRequest(warm_periods(today), today))
        yield opened


@pytest.fixture
def checks(settings, pipeline, instance):
    """Run the job; returns each check's result."""

    def run() -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        result = (
            define(settings)
            .resolve_job_def("metrics_checks_job")
            .execute_in_process(instance=instance, resources={"pipeline": pipeline})
        )
        assert result.success
        return {
            (found.asset_key.to_user_string(), found.check_name): found
            for found in result.get_asset_check_evaluations()
        }

    return run


def failing(found) -> set[tuple[str, str]]:
    return {key for key, result in found.items() if not result.passed}


def test_all_are_green_over_payloads_that_are_right(checks) -> None:
    found = checks()
    assert set(found) == CHECKS
    assert failing(found) == set()
    compared = {key: found[key].metadata["compared"].value for key in CHECKS if key[1] != "nothing_stale_left"}
    assert compared["daily_metrics", "matches_source"] >= 3  # the current day of each account, at least
    assert all(count >= 3 for count in compared.values())


def test_an_unseen_change_turns_the_sample_red(checks, pipeline, settings) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE expenses SET amount = amount + 1"))
    found = checks()
    assert failing(found) == {key for key in CHECKS if key[1] == "matches_source"}
    year = found["yearly_metrics", "matches_source"]
    assert year.severity is dg.AssetCheckSeverity.ERROR
    assert f"{settings.today().year}-01-01" in year.metadata["partitions"].value
    assert "metrics-pipeline reconcile" in year.description
    pipeline.reconcile()
    assert failing(checks()) == set()


def test_a_forged_entry_turns_the_cache_red(checks, pipeline, settings) -> None:
    key = cache_key(2, Period.holding(Grain.MONTH, settings.today()))
    entry = Entry.decode(pipeline.redis.get(key))
    payload = json.loads(entry.payload) | {"transaction_count": 77}
    pipeline.redis.set(key, entry._replace(payload=json.dumps(payload).encode()).encode())
    found = checks()
    assert failing(found) == {("monthly_metrics", "cache_matches_store")}
    assert found["monthly_metrics", "cache_matches_store"].metadata["payloads"].value == [key]


def test_a_materialization_by_hand_evaluates_the_checks_of_its_asset(settings, pipeline, instance) -> None:
    definitions = define(settings)
    key = settings.today().isoformat()
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey("daily_metrics")}, asset_check_selection=None
    )
    result = job.execute_in_process(instance=instance, resources={"pipeline": pipeline}, partition_key=key)
    assert result.success
    assert {(found.asset_key.to_user_string(), found.check_name) for found in result.get_asset_check_evaluations()} == {
        key for key in CHECKS if key[0] == "daily_metrics"
    }


def test_what_waits_for_too_long_is_a_warning(checks, pipeline, settings) -> None:
    with pipeline.engine.begin() as connection:
        connection.execute(text("UPDATE expenses SET amount = amount + 1 WHERE id = (SELECT max(id) FROM expenses)"))
    pipeline.absorb_changes()
    assert failing(checks()) == set()  # just now: a refresh is on its way
    with pipeline.engine.begin() as connection:
        connection.execute(text("UPDATE metrics.stale_periods SET first_changed_at = now() - interval '10 minutes'"))
    found = checks()
    assert failing(found) == {key for key in CHECKS if key[1] == "nothing_stale_left"}
    day = found["daily_metrics", "nothing_stale_left"]
    assert day.severity is dg.AssetCheckSeverity.WARN
    assert day.metadata["partitions"].value == [settings.today().isoformat()]


def test_the_jobs_that_compute_leave_the_checks_out(settings) -> None:
    repository = define(settings).get_repository_def()
    for grain in Grain:
        assert not repository.get_job(f"{grain.adverb}_metrics_job").asset_layer.asset_graph.asset_check_keys
    assert len(list(metric_checks(settings).check_specs)) == len(CHECKS)
