"""The monitor on a real instance's run records, real marks and a real Redis; and the asset that shows it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import text

from metrics_pipeline.cache.counters import count_misses, count_reads
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.definitions import define
from metrics_pipeline.defs.metadata import published_metadata
from metrics_pipeline.defs.run import materialize
from metrics_pipeline.defs.run_history import job_monitor, read_history
from metrics_pipeline.monitor.health import CHECKS
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome

WINDOW = Limits().window


@pytest.fixture
def instance():
    """With a storage for switches, which one in memory has not."""
    with dg.instance_for_test() as stored:
        yield stored


@pytest.fixture
def pipeline(settings):
    with Pipeline(settings) as opened:
        yield opened


@pytest.fixture
def status(pipeline, instance):
    """The status, so many seconds from now."""

    def status(later: float = 0.0):
        return job_monitor(pipeline, instance).status(datetime.now(timezone.utc) + timedelta(seconds=later))

    return status


@pytest.fixture
def health(settings, pipeline, instance):
    """Execute the health job; returns its checks and the asset's metadata."""

    def look():
        result = define(settings).resolve_job_def("pipeline_health_job").execute_in_process(
            instance=instance, resources={"pipeline": pipeline}
        )  # fmt: skip
        assert result.success
        (event,) = result.asset_materializations_for_node("pipeline_health")
        return {each.check_name: each for each in result.get_asset_check_evaluations()}, event.metadata

    return look


@pytest.fixture
def record(settings, instance):
    """A run in the records, without computing anything."""

    def record(grain: Grain, state: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        job = define(settings).resolve_job_def(f"{grain.adverb}_metrics_job")
        partition = {"dagster/partition": settings.today().replace(month=1, day=1).isoformat()}
        tags = {name.replace("__", "/"): value for name, value in tags.items()}
        run = instance.create_run_for_job(job, tags=partition | tags)
        if state == dg.DagsterRunStatus.FAILURE:
            instance.report_run_failed(run)
        return run

    return record


def level(status, name: str) -> str:
    return next(check.level for check in status.health.checks if check.name == name)


@pytest.fixture
def daemon(instance):
    """Dagster's daemon says that it is there, so many seconds from now."""

    def beat(later: float = 0.0) -> None:
        at = datetime.now(timezone.utc).timestamp() + later
        instance.add_daemon_heartbeat(DaemonHeartbeat(at, "SENSOR", None, None))

    return beat


def test_nothing_ran_yet(status):
    found = status()
    assert found.health.status == "idle"
    assert found.health.message == "Nothing is running here: start `metrics-pipeline up`."
    assert (found.calculation.executions, found.refresh.executions) == (0, 0)


@pytest.mark.usefixtures("spend")
def test_real_runs_are_read_with_what_they_did(settings, pipeline, instance, status):
    pipeline.absorb_changes()
    today = settings.today()
    first = materialize(settings, [Period.holding(Grain.MONTH, today)], today, instance=instance)
    materialize(settings, [Period.holding(Grain.DAY, today)], today, account_ids=[2], instance=instance)
    history = read_history(instance, datetime.now(timezone.utc) - WINDOW)
    daily, monthly = history.runs
    assert (daily.job, daily.kind, daily.state, daily.accounts) == ("daily", "calculation", "succeeded", 1)
    assert (monthly.run_id, monthly.accounts) == (first[0].run_id, 3)
    assert monthly.partitions == Period.holding(Grain.MONTH, today).key
    assert monthly.rows_read > 0
    assert monthly.started_at < monthly.ended_at <= history.last_ended_at
    found = status()
    assert (found.calculation.executions, found.calculation.accounts) == (2, 4)
    assert found.calculation.success_rate == 1.0


@pytest.mark.usefixtures("spend")
def test_a_refresh_is_told_from_a_calculation_and_says_how_long_the_change_waited(settings, pipeline, instance, status):
    pipeline.absorb_changes()
    job = define(settings).resolve_job_def("yearly_metrics_job")
    done = job.execute_in_process(
        run_config={"ops": {"yearly_metrics": {"config": {"only_stale": True, "force_refresh": False}}}},
        tags={"metrics/trigger": "refresh", "dagster/partition": "2026-01-01"},
        instance=instance,
    )
    assert done.success
    found = status()
    assert (found.refresh.executions, found.calculation.executions) == (1, 0)
    assert 0 < found.freshness.published_last_s == found.freshness.published_worst_s < 60


def test_a_daemon_that_falls_silent_and_comes_back(status, daemon):
    daemon()
    assert level(status(), "daemon") == "healthy"
    found = status(121)
    assert (found.health.status, level(found, "daemon")) == ("critical", "critical")
    assert "metrics-pipeline up" in [each.command for each in found.recommendations]
    daemon(121)
    assert level(status(121), "daemon") == "healthy"


def test_no_worker_is_critical_until_one_answers(status, daemon, request):
    assert level(status(), "workers") == "healthy"  # nothing was started here: nobody is missed
    daemon()
    found = status()
    assert (found.health.status, level(found, "workers")) == ("critical", "critical")
    assert found.recommendations[0].command == "metrics-pipeline worker"
    request.getfixturevalue("worker")
    found = status()
    assert level(found, "workers") == "healthy"
    assert "metrics-pipeline worker" not in [each.command for each in found.recommendations]


@pytest.mark.usefixtures("worker")
def test_a_status_asks_a_worker_in_no_time(status, daemon):
    daemon()
    status()
    begun = time.perf_counter()
    assert level(status(), "workers") == "healthy"
    assert time.perf_counter() - begun < 0.9


def test_a_sensor_or_schedule_that_is_switched_off_and_on_again(status, daemon, instance, settings):
    daemon()
    assert level(status(), "switches") == "healthy"
    repository = define(settings).get_repository_def()
    sensor = repository.get_sensor_def("expense_changes")
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="m")), repository.name),
        sensor.name,
    )
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)
    instance.add_instigator_state(state)
    found = status()
    assert level(found, "switches") == "warning"
    assert any(each.message.startswith("sensor expense_changes: switched off") for each in found.recommendations)
    instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
    assert level(status(), "switches") == "healthy"


def test_failed_runs_turn_the_verdict_and_success_turns_it_back(record, status, settings, instance):
    failed = record(Grain.DAY, dg.DagsterRunStatus.FAILURE)
    found = status()
    assert (found.health.status, level(found, "failures")) == ("critical", "critical")
    assert found.calculation.last_run_id == failed.run_id
    assert any(failed.run_id in line for line in found.recommendations[0].sample)
    # A day later it is out of the window; nothing has run since, though.
    later = status(WINDOW.total_seconds() + 60)
    assert level(later, "failures") == "healthy"
    assert later.calculation.executions == 0


def test_after_a_first_report_silence_is_a_warning(instance, status, daemon):
    daemon()
    instance.report_runless_asset_event(
        dg.AssetMaterialization("metrics_cache", metadata=published_metadata(Outcome()))
    )
    assert level(status(), "activity") == "healthy"
    assert level(status(WINDOW.total_seconds() + 60), "activity") == "warning"


@pytest.mark.usefixtures("spend")
def test_what_waits_is_critical_after_an_hour_until_it_is_refreshed(pipeline, status, database, daemon):
    assert level(status(3700), "staleness") == "healthy"  # nothing is running here: nobody promised to refresh it
    daemon(3700)
    assert status().freshness.log_changes > 0
    assert level(status(3700), "staleness") == "critical"
    pipeline.absorb_changes()
    found = status(3700)
    assert (found.freshness.log_changes, level(found, "staleness")) == (0, "critical")
    assert found.freshness.stale_periods > 0
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM metrics.stale_periods"))
    assert level(status(3700), "staleness") == "healthy"


def test_a_trigger_that_is_disabled_and_enabled_again(status, database, pipeline):
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DISABLE TRIGGER USER"))
    found = status()
    assert (found.health.status, level(found, "capture")) == ("warning", "warning")
    assert found.recommendations[0].command == "metrics-pipeline migrate"
    pipeline.migrate()
    assert level(status(), "capture") == "healthy"


def test_counted_reads_make_the_hit_rate(status, redis_client):
    with redis_client.pipeline() as batch:
        count_reads(batch, 2000)
        batch.execute()
    count_misses(redis_client, ["cold"] * 101)
    found = status()
    assert (found.performance.reads, level(found, "hit_rate")) == (2000, "warning")
    with redis_client.pipeline() as batch:
        count_reads(batch, 100)
        batch.execute()
    assert level(status(), "hit_rate") == "healthy"


def test_without_redis_there_is_still_a_status(settings, instance):
    with Pipeline(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as pipeline:
        found = job_monitor(pipeline, instance).status(datetime.now(timezone.utc))
    assert (found.health.status, level(found, "redis")) == ("critical", "critical")
    assert found.recommendations[0].command == "metrics-pipeline check"


def test_a_lock_is_stale_when_over_age_and_without_its_run(status, redis_client, settings, instance, database):
    job = define(settings).resolve_job_def("daily_metrics_job")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "2026-03-01"}, status=dg.DagsterRunStatus.STARTED)
    period = Period.holding(Grain.DAY, settings.today())
    with period_locks(redis_client, database.engine, [period], holder=run.run_id, policy="skip"):
        assert [lock.stale for lock in status().locks] == [False]
        redis_client.expire(lock_key(period), 20)  # of a lease of 60 s that is renewed every 20 s
        assert level(status(), "locks") == "healthy"
        instance.report_run_failed(run)
        found = status()
        assert [(lock.holder, lock.stale) for lock in found.locks] == [(run.run_id, True)]
        assert level(found, "locks") == "warning"
        assert "metrics-pipeline locks clear-stale" in [each.command for each in found.recommendations]
    assert (status().locks, level(status(), "locks")) == ([], "healthy")


def test_a_history_that_is_cut_says_where_it_begins(record, instance):
    for _ in range(3):
        record(Grain.DAY, dg.DagsterRunStatus.FAILURE)
    day_ago = datetime.now(timezone.utc) - WINDOW
    cut = read_history(instance, day_ago, most=2)
    assert len(cut.runs) == 2
    assert cut.since == min(run.created_at for run in cut.runs)
    assert read_history(instance, day_ago).since == day_ago


def test_the_asset_has_a_check_for_each_rule_and_numbers_that_plot(health, record):
    checks, metadata = health()
    assert tuple(checks) == CHECKS
    assert all(check.passed for check in checks.values())
    assert metadata["health"].value == "idle"
    assert (metadata["log_changes"].value, metadata["stale_locks"].value) == (0, 0)
    assert "calculation_success_rate" not in metadata
    failed = record(Grain.DAY, dg.DagsterRunStatus.FAILURE)
    checks, metadata = health()
    assert (checks["failures"].passed, checks["failures"].severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert checks["failures"].description == "1 of 1 calculation failed (100%)"
    assert metadata["calculation_success_rate"].value == 0
    assert metadata["last_failed_run"].value == failed.run_id
    assert metadata["recommendations"].records[0].data["command"] == "metrics-pipeline check"


def test_a_warning_is_told_from_a_failure(health, database):
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DISABLE TRIGGER USER"))
    checks, _ = health()
    assert (checks["capture"].passed, checks["capture"].severity) == (False, dg.AssetCheckSeverity.WARN)
