"""What ends a run at once, what is tried again, and what is left when all tries were in vain."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline import refresh
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.definitions import define
from metrics_pipeline.defs import assets, retries
from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.partitions import periods_of
from metrics_pipeline.defs.run_history import job_monitor
from metrics_pipeline.errors import ConcurrentUpdate
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.world import before, between_snapshot_and_store

pytestmark = pytest.mark.usefixtures("spend")

JANUARY = "2026-01-01"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(retries, "RETRY", dg.RetryPolicy(max_retries=2, delay=0.01))


@pytest.fixture
def materialize(settings, instance):
    def run(settings=settings, **config) -> dg.ExecuteInProcessResult:
        return (
            define(settings)
            .resolve_job_def("monthly_metrics_job")
            .execute_in_process(
                partition_key=JANUARY,
                run_config=dg.RunConfig(ops={"monthly_metrics": MaterializeConfig(**config)}),
                instance=instance,
                raise_on_error=False,
            )
        )

    return run


@pytest.fixture
def in_database(database):
    def run(statement: str) -> None:
        with database.engine.begin() as connection:
            connection.execute(text(statement))

    return run


def tries(result) -> int:
    return 1 + len([event for event in result.all_events if event.is_step_up_for_retry])


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57P01", "53300", "08006"])
def test_what_passes_is_tried_again(materialize, in_database, monkeypatch, sqlstate):
    """Outside of a chunk, which has tries of its own."""

    def fail() -> None:
        in_database(f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}'; END $$")

    with before(monkeypatch, refresh, "clear_marks", fail):
        result = materialize()
    assert result.success
    assert tries(result) == 2


def test_connections_that_were_cut_are_tried_again(materialize, in_database, monkeypatch):
    def cut() -> None:
        in_database(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with between_snapshot_and_store(monkeypatch, cut):
        result = materialize()
    assert result.success
    assert tries(result) == 2


@pytest.mark.parametrize(
    "broken",
    [
        "ALTER TABLE expenses RENAME TO spendings",
        "ALTER TABLE expenses DROP COLUMN amount CASCADE",
        "ALTER TABLE metrics.period_metrics DROP COLUMN payload CASCADE",
    ],
)
def test_a_schema_that_is_broken_ends_the_run_at_once(materialize, in_database, broken):
    in_database(broken)
    result = materialize()
    assert not result.success
    assert tries(result) == 1


def test_a_program_that_is_broken_ends_the_run_at_once(materialize, monkeypatch):
    with before(monkeypatch, refresh, "clear_marks", lambda: [][1]):
        result = materialize()
    assert not result.success
    assert tries(result) == 1


def test_used_up_tries_leave_the_periods_stale_and_the_monitor_says_so(
    materialize, settings, instance, in_database, monkeypatch
):
    in_database("UPDATE expenses SET amount = 7 WHERE transaction_date < '2026-02-01'")
    with Pipeline(settings) as pipeline:
        pipeline.absorb_changes()
        stale = pipeline.backlog()

        def give_up(*_: object, **__: object) -> None:
            raise ConcurrentUpdate("other transactions were in the way")

        with monkeypatch.context() as patched:
            patched.setattr(refresh.ChunkWriter, "write", give_up)
            result = materialize(only_stale=True)
        assert not result.success
        assert tries(result) == 3
        assert pipeline.backlog() == stale != []
        status = job_monitor(pipeline, instance).status(datetime.now(timezone.utc) + timedelta(minutes=10))
    assert status.freshness.stale_periods == len(stale)
    levels = {check.name: check.level for check in status.health.checks}
    assert levels["failures"] == "critical"
    advice = next(each for each in status.recommendations if each.kind == "freshness")
    assert f"{len(stale)} stale period" in advice.message


def test_a_lock_that_stays_busy_is_tried_again(materialize, redis_client, database, monkeypatch, instance):
    monkeypatch.setattr(assets, "PATIENCE_SECONDS", 0.1)
    periods = periods_of(Grain.MONTH, [JANUARY])
    with period_locks(redis_client, database.engine, periods, holder="other", policy="skip"):
        result = materialize()
    assert not result.success
    assert tries(result) == 3
    assert materialize().success
