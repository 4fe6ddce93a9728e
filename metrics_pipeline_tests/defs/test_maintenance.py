"""The sensor that clears the locks of dead runs."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.lock_keys import lock_key, new_token
from metrics_pipeline.definitions import define
from metrics_pipeline.defs.maintenance import clear_stale_locks
from metrics_pipeline.defs.partitions import periods_of
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline

JANUARY, FEBRUARY, MARCH, APRIL = periods_of(Grain.MONTH, [f"2026-0{month}-01" for month in range(1, 5)])


@pytest.fixture
def tick(settings, instance):
    def evaluate() -> dg.SensorResult:
        repository = define(settings).get_repository_def()
        with Pipeline(settings) as pipeline:
            return clear_stale_locks(
                dg.build_sensor_context(instance=instance, repository_def=repository, resources={"pipeline": pipeline})
            )

    return evaluate


def test_only_locks_of_dead_runs_are_cleared_and_each_is_told(tick, redis_client, instance):
    instance.add_run(dg.DagsterRun("a_job", run_id="alive", status=dg.DagsterRunStatus.STARTED))
    instance.add_run(dg.DagsterRun("a_job", run_id="dead", status=dg.DagsterRunStatus.FAILURE))
    for period, holder, left in ((JANUARY, "alive", 20), (FEBRUARY, "dead", 20), (MARCH, "dead", 55)):
        redis_client.set(lock_key(period), new_token(holder, 60), ex=left)
    redis_client.set(lock_key(APRIL), "maintenance")
    result = tick()
    assert [lock.period for lock in list_locks(redis_client)] == [JANUARY, MARCH, APRIL]
    (event,) = result.asset_events
    assert event.metadata["locks_cleared"].value == 1
    assert event.metadata["cleared"].value == [f"{lock_key(FEBRUARY)} of run dead"]
    assert "Cleared 1 locks" in result.skip_reason.skip_message
    assert not result.run_requests


def test_nothing_to_clear_is_no_event(tick, redis_client):
    redis_client.set("metrics:lock:month:2026-01-01", json.dumps({"holder": "x"}), ex=20)
    result = tick()
    assert not result.asset_events
    assert result.skip_reason.skip_message == "1 locks are held, none of them stale."
