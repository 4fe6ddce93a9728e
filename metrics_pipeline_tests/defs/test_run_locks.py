"""Runs that want the same periods: a scheduled one leaves them out, any other waits."""

from __future__ import annotations

import threading

import dagster as dg
import pytest

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.chunk import ChunkWriter
from metrics_pipeline.definitions import define
from metrics_pipeline.defs import assets, retries
from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.liveness import run_liveness
from metrics_pipeline.defs.partitions import periods_of, range_tags
from metrics_pipeline.periods import Grain

pytestmark = pytest.mark.usefixtures("spend")

JANUARY, FEBRUARY = periods_of(Grain.MONTH, ["2026-01-01", "2026-02-01"])
SCHEDULED = {"metrics/trigger": "schedule"}


@pytest.fixture
def materialize(settings, instance):
    """Run the monthly job over January and February."""

    def run(tags: dict[str, str] | None = None):
        return (
            define(settings)
            .resolve_job_def("monthly_metrics_job")
            .execute_in_process(
                tags={**range_tags([JANUARY, FEBRUARY]), **(tags or {})},
                run_config=dg.RunConfig(ops={"monthly_metrics": MaterializeConfig()}),
                instance=instance,
                raise_on_error=False,
            )
        )

    return run


def metadata_by_partition(result) -> dict[str, dict[str, object]]:
    return {
        event.partition: {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node("monthly_metrics")
        if event.partition
    }


def stored_months(database) -> list[str]:
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT DISTINCT period_start FROM metrics.period_metrics ORDER BY 1")
        return [row.period_start.isoformat() for row in rows]


def test_a_scheduled_run_computes_what_no_other_run_holds(materialize, redis_client, database):
    with period_locks(redis_client, database.engine, [JANUARY], holder="other", policy="skip"):
        result = materialize(SCHEDULED)
    assert result.success
    assert stored_months(database) == ["2026-02-01"]
    told = metadata_by_partition(result)
    assert {month: metadata["payloads"] for month, metadata in told.items()} == {"2026-01-01": 0, "2026-02-01": 3}
    assert told["2026-02-01"]["skipped_partitions"] == ["2026-01-01"]
    assert list_locks(redis_client) == []


def test_a_scheduled_run_that_finds_everything_held_succeeds_and_materializes_nothing(
    materialize, redis_client, database, instance
):
    with period_locks(redis_client, database.engine, [JANUARY, FEBRUARY], holder="other", policy="skip"):
        result = materialize(SCHEDULED)
    assert result.success
    assert stored_months(database) == []
    assert instance.get_materialized_partitions(dg.AssetKey("monthly_metrics")) == set()
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "month 2026-01-01 is already being computed by run other: left out." in said


def test_any_other_run_waits(materialize, redis_client, database):
    first = period_locks(redis_client, database.engine, [JANUARY], holder="other", policy="skip")
    first.__enter__()
    giving_back = threading.Timer(0.5, first.__exit__, (None, None, None))
    giving_back.start()
    result = materialize()
    giving_back.join()
    assert result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert stored_months(database) == ["2026-01-01", "2026-02-01"]
    assert "skipped_partitions" not in metadata_by_partition(result)["2026-01-01"]


def test_a_period_that_stays_busy_is_tried_again(materialize, redis_client, monkeypatch):
    monkeypatch.setattr(retries, "RETRY", dg.RetryPolicy(max_retries=1, delay=0.01))
    monkeypatch.setattr(assets, "PATIENCE_SECONDS", 0.2)
    redis_client.set(lock_key(FEBRUARY), "maintenance")
    result = materialize()
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 1
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description
    assert "month 2026-02-01 is being computed by run maintenance" in said


def test_a_run_holds_its_locks_under_its_own_id(materialize, redis_client, monkeypatch):
    seen, write = [], ChunkWriter.write

    def looking(*chunk):
        seen.extend(list_locks(redis_client))
        return write(*chunk)

    monkeypatch.setattr(ChunkWriter, "write", looking)
    result = materialize()
    assert {(lock.period, lock.holder) for lock in seen} == {(JANUARY, result.run_id), (FEBRUARY, result.run_id)}
    assert list_locks(redis_client) == []


@pytest.mark.parametrize(
    ("status", "alive"),
    [
        (dg.DagsterRunStatus.STARTING, True),
        (dg.DagsterRunStatus.STARTED, True),
        (dg.DagsterRunStatus.CANCELING, True),
        (dg.DagsterRunStatus.SUCCESS, False),
        (dg.DagsterRunStatus.FAILURE, False),
        (dg.DagsterRunStatus.CANCELED, False),
    ],
)
def test_a_run_is_alive_until_it_is_recorded_as_finished(instance, status, alive):
    instance.add_run(dg.DagsterRun("monthly_metrics_job", run_id="a-run", status=status))
    assert run_liveness(instance)("a-run") is alive


def test_an_unknown_run_is_not_alive(instance):
    assert run_liveness(instance)("never-heard-of") is False
