"""The runs behind `metrics-pipeline run`: recorded in the instance, answered with their outcome."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import date

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.defs.run import RunFailed, materialize, materialize_window
from metrics_pipeline.periods import Grain, Period, warm_window

pytestmark = pytest.mark.usefixtures("spend")

TODAY = date(2026, 2, 20)


def stored(database) -> dict[str, int]:
    """Payloads in the store, by grain."""
    count = text("SELECT grain, count(*) AS payloads FROM metrics.period_metrics GROUP BY grain")
    with database.engine.connect() as connection:
        return {row.grain: row.payloads for row in connection.execute(count)}


def test_the_window_of_every_grain_is_one_named_run(settings, instance, database):
    started = []
    runs = materialize_window(settings, TODAY, instance=instance, on_start=started.append)
    assert list(runs) == list(Grain)
    assert started == [warm_window(grain, TODAY) for grain in Grain] == [run.periods for run in runs.values()]
    assert {record.run_id: record.job_name for record in instance.get_runs()} == {
        run.run_id: f"{grain.adverb}_metrics_job" for grain, run in runs.items()
    }
    assert {grain.value: run.outcome.payloads for grain, run in runs.items()} == stored(database)


def test_the_outcome_says_what_the_run_did(settings, instance):
    outcome = materialize_window(settings, TODAY, instance=instance)[Grain.DAY].outcome
    assert (outcome.accounts, outcome.payloads, outcome.rewritten, outcome.published) == (3, 24, 24, 24)
    assert outcome.payloads_by_period == dict.fromkeys(warm_window(Grain.DAY, TODAY), 3)
    assert outcome.rows_read > 0
    assert outcome.total_seconds > 0


def test_whoever_called_is_told_how_far_each_run_is(settings, instance):
    shares = []
    materialize_window(settings, TODAY, instance=instance, follow=lambda outcome: shares.append(outcome.share_done))
    assert shares.count(1.0) == len(Grain)


def test_a_second_time_nothing_is_rewritten_and_everything_published(settings, instance):
    materialize_window(settings, TODAY, instance=instance)
    again = [run.outcome for run in materialize_window(settings, TODAY, instance=instance).values()]
    assert [outcome.rewritten for outcome in again] == [0, 0, 0, 0]
    assert all(outcome.published == outcome.payloads > 0 for outcome in again)


def test_scattered_periods_and_chosen_accounts(settings, instance, database):
    days = [Period(Grain.DAY, date(2026, 1, day)) for day in (3, 4, 9)]
    runs = materialize(settings, days, TODAY, account_ids=[2], force=True, instance=instance)
    assert [run.periods for run in runs] == [days[:2], days[2:]]
    assert [run.outcome.accounts for run in runs] == [1, 1]
    assert stored(database) == {"day": 3}


def test_a_failed_run_is_an_error_with_the_runs_own_message(settings, instance):
    late = [Period(Grain.MONTH, date(2026, 3, 1))]
    with pytest.raises(RunFailed, match=r"monthly_metrics from 2026-03-01 .* has not begun: today is 2026-02-20") as it:
        materialize(settings, late, TODAY, instance=instance)
    (record,) = instance.get_runs()
    assert record.status is dg.DagsterRunStatus.FAILURE
    assert record.run_id in str(it.value)


def test_settings_without_servers_are_an_error_that_says_what_to_set(settings, instance):
    homeless = settings.model_copy(update={"redis_url": None})
    with pytest.raises(RunFailed, match="METRICS_DATABASE_URL and METRICS_REDIS_URL must both be set"):
        materialize_window(homeless, TODAY, instance=instance)


def test_an_interrupt_ends_the_run_for_good(settings, instance, database):
    blocker = database.connect()
    blocker.execute(text("LOCK TABLE metrics.period_metrics"))

    def interrupt_the_waiting_run() -> None:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND database = :own")
        with database.engine.connect() as observer:
            own = observer.execute(text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar()
            while not observer.execute(waiting, {"own": own}).scalar():
                time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        blocker.rollback()  # the writer's thread ends once it has what it waits for

    interrupter = threading.Thread(target=interrupt_the_waiting_run)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        materialize_window(settings, TODAY, instance=instance)
    interrupter.join()
    (record,) = instance.get_runs()  # the runs of the other grains were not started
    assert record.status is dg.DagsterRunStatus.FAILURE
    assert record.tags["dagster/max_retries"] == "0"
