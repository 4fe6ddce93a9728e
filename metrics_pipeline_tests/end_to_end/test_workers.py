"""What becomes of a run when its process, its worker or the queue dies in the middle of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.end_to_end.running import RunningUp, wait_until

pytestmark = pytest.mark.timeout(240)

RIGHT_STATE_SECONDS = 30


@pytest.fixture
def week(ui: RunningUp) -> Iterator[str]:
    """A week whose payloads are nowhere yet, and no other run that could wait for the table instead."""
    wait_until(lambda: not ui.has_runs_under_way(), "the runs of sensor and schedules to end")
    with ui.engine.begin() as connection:
        connection.execute(text("DELETE FROM metrics.period_metrics WHERE grain = 'week'"))
    for key in ui.redis.scan_iter("metrics:*:week:*"):
        ui.redis.delete(key)
    return "2026-01-12"


def assert_right(ui: RunningUp, week: str) -> None:
    """Cache and store have what seven days of 10, 20 and 30 make, and nothing of it twice."""
    payloads = [ui.cached(account, Grain.WEEK, date.fromisoformat(week)) for account in (1, 2, 3)]
    assert [payload and payload.currencies["USD"].total for payload in payloads] == [
        Decimal("70.00"),
        Decimal("140.00"),
        Decimal("210.00"),
    ]
    with ui.engine.connect() as connection:
        of_week = "SELECT account_id FROM metrics.period_metrics WHERE grain = 'week' AND period_start = :week"
        rows = connection.execute(text(of_week), {"week": week})
        assert sorted(rows.scalars()) == [1, 2, 3]


def test_a_warm_worker_does_the_run(ui: RunningUp, week: str):
    run = ui.launch("weekly_metrics", partition=week)
    assert ui.wait_for(run) == "SUCCESS", ui.log_of(run)
    assert_right(ui, week)
    worker = ui.worker()
    assert f"pid: {worker.pid})" not in ui.log_of(run)
    assert any(f"pid: {child.pid})" in ui.log_of(run) for child in worker.children())


def test_a_run_whose_process_was_killed_is_retried(ui: RunningUp, week: str):
    with ui.store_locked() as unlock:
        run = ui.held_run("weekly_metrics", partition=week)
        worker = ui.worker()
        ui.process_of(run).kill()
        assert ui.wait_for(run, seconds=RIGHT_STATE_SECONDS) == "FAILURE"
        unlock()
    assert "was killed, most often for lack of memory" in ui.log_of(run)
    assert ui.wait_for(ui.retry_of(run)) == "SUCCESS"
    assert_right(ui, week)
    assert ui.worker() == worker


def test_a_run_whose_whole_worker_was_killed_is_retried_on_a_new_one(ui: RunningUp, week: str):
    with ui.store_locked() as unlock:
        run = ui.held_run("weekly_metrics", partition=week)
        process, worker = ui.process_of(run), ui.worker()
        wait_until(lambda: time.time() - worker.create_time() > 11, "the worker to have run well")
        worker.kill()
        wait_until(lambda: not process.is_running(), "the run's process to end with its worker", 5)
        assert ui.wait_for(run, seconds=RIGHT_STATE_SECONDS) == "FAILURE"
        unlock()
    assert "No worker holds it any more" in ui.log_of(run)  # why depends on whether the next one answers by then
    assert ui.wait_for(ui.retry_of(run)) == "SUCCESS"
    assert_right(ui, week)
    assert ui.worker() != worker


def test_a_run_that_a_person_terminates_is_not_retried(ui: RunningUp, week: str):
    with ui.store_locked() as unlock:
        run = ui.held_run("weekly_metrics", partition=week)
        assert ui.terminate(run) == "TerminateRunSuccess"
        assert ui.status(run) == "CANCELING"
        unlock()  # its writer ends once it has what it waits for
        assert ui.wait_for(run, seconds=RIGHT_STATE_SECONDS) == "CANCELED"
    time.sleep(6)  # the daemon that retries looks every five seconds
    assert not ui.was_retried(run)


def test_a_run_goes_on_when_the_queue_is_flushed_and_the_next_ones_start(ui: RunningUp, week: str):
    with ui.store_locked() as unlock:
        run = ui.held_run("weekly_metrics", partition=week)
        ui.redis.flushdb()
        time.sleep(12)  # run monitoring looks twice
        assert ui.status(run) == "STARTED", ui.log_of(run)
        unlock()
    assert ui.wait_for(run) == "SUCCESS"
    assert_right(ui, week)
    after = [ui.launch("weekly_metrics", partition=day) for day in ("2026-01-12", "2026-01-19", "2026-01-26")]
    assert [ui.wait_for(one, seconds=RIGHT_STATE_SECONDS) for one in after] == ["SUCCESS"] * 3


def test_a_run_that_no_worker_takes_fails_with_what_to_do_and_is_retried_on_the_next_worker(ui: RunningUp, week: str):
    worker = ui.worker()
    worker.suspend()
    try:
        run = ui.launch("weekly_metrics", partition=week)
        ui.wait_for(run, "STARTING")
        age_launch(ui, run, timedelta(seconds=61))
        assert ui.wait_for(run, seconds=RIGHT_STATE_SECONDS) == "FAILURE"
        assert "No worker is reachable" in ui.log_of(run)
        assert "metrics-pipeline worker" in ui.log_of(run)
        retry = ui.retry_of(run)
        with ui.one_more_worker() as other:
            assert ui.wait_for(retry) == "SUCCESS", ui.log_of(retry)
            assert ui.process_of(retry).pid in {child.pid for child in other.children(recursive=True)}
    finally:
        worker.resume()
    assert_right(ui, week)
    assert ui.status(run) == "FAILURE"  # its message, taken from the queue at last, starts nothing


def age_launch(ui: RunningUp, run_id: str, age: timedelta) -> None:
    """Let the run have been launched this long ago."""
    with ui.engine.begin() as connection:
        aged = connection.execute(
            text(
                "UPDATE dagster.event_logs SET timestamp = timestamp - :age "
                "WHERE run_id = :run_id AND dagster_event_type = 'PIPELINE_STARTING'"
            ),
            {"age": age, "run_id": run_id},
        )
        assert aged.rowcount == 1
