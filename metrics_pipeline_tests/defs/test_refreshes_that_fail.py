"""What the sensor does not ask for: what is outside the partitions, and at once what has just failed."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from sqlalchemy import text

from metrics_pipeline.changes.absorb import mark
from metrics_pipeline.definitions import define
from metrics_pipeline.defs.failing import pausing
from metrics_pipeline.defs.run_history import job_monitor
from metrics_pipeline.periods import Grain, Period

pytestmark = pytest.mark.usefixtures("spend", "impatient")

REFRESH = {"metrics/trigger": "refresh"}


@pytest.fixture
def settings(settings):
    """They debounce nothing."""
    return settings.model_copy(update={"debounce_quiet_seconds": 0.0})


@pytest.fixture
def run_all(settled, instance):
    """Do what was requested; returns which runs succeeded."""

    def run(requests: list[dg.RunRequest]) -> list[bool]:
        definitions = define(settled.settings)
        return [
            definitions.resolve_job_def(request.job_name)
            .execute_in_process(
                run_config=request.run_config, tags=request.tags, instance=instance, raise_on_error=False
            )
            .success
            for request in requests
        ]

    return run


def change(database, statement: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(statement))


def test_what_was_marked_before_a_later_start_date_is_not_asked_for(tick, run_all, settled, database, instance):
    change(database, "UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    settled.absorb_changes()
    settled.settings = settled.settings.model_copy(update={"start_date": date(2026, 1, 5)})
    assert run_all(tick(settled.settings).run_requests) == [True] * 4
    assert settled.backlog() == []
    waiting = job_monitor(settled, instance).gather(datetime.now(timezone.utc)).waiting
    assert waiting.stale == []


def test_everybodys_marks_from_before_it_make_no_backfill(tick, settled, database, instance):
    change(database, "INSERT INTO categories (name) VALUES ('a')")
    change(database, "UPDATE categories SET name = 'b'")
    settled.absorb_changes()
    settled.settings = settled.settings.model_copy(update={"start_date": settled.settings.today()})
    assert len(tick(settled.settings).run_requests) == 4
    assert instance.get_backfills() == []


def test_what_was_marked_where_it_is_tomorrow_is_asked_for_tomorrow(tick, settled, database):
    today, at = settled.settings.today(), datetime.now(timezone.utc) - timedelta(seconds=60)
    with database.engine.begin() as connection:
        mark(connection, {(1, Period(Grain.DAY, today + timedelta(days=ahead))): (at, at) for ahead in (0, 1)})
    (request,) = tick().run_requests
    assert request.tags["dagster/asset_partition_range_end"] == today.isoformat()


def test_a_refresh_that_fails_is_not_asked_for_at_the_next_tick(tick, run_all, settled, database):
    change(database, "UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    settled.absorb_changes()
    change(database, "ALTER TABLE expenses RENAME COLUMN merchant_name TO merchant")
    assert run_all(tick().run_requests) == [False] * 4
    result = tick()
    assert result.run_requests == []
    assert "or a while after it failed" in result.skip_reason.skip_message
    change(database, "UPDATE expenses SET amount = 12 WHERE email_account_id = 1 AND transaction_date > '2026-02-20'")
    assert "daily_metrics_job" in {request.job_name for request in tick().run_requests}  # of other days


def test_nor_is_a_backfill_that_failed(tick, settled, database, instance):
    change(database, "INSERT INTO categories (name) VALUES ('a')")
    change(database, "UPDATE expenses SET category_id = 1")
    change(database, "UPDATE categories SET name = 'b'")
    for _ in range(3):
        tick()
        (backfill,) = instance.get_backfills()
        instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_FAILED))
    impatient = settled.settings.model_copy(update={"refresh_patience_seconds": 1e-3})
    tick(impatient)
    assert len(instance.get_backfills()) == 2


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (12, 300)], ids=lambda n: str(n)
)
def test_each_failure_doubles_the_pause(settled, instance, failures, pause):
    job, days = define(settled.settings).resolve_job_def("daily_metrics_job"), {"dagster/partition": "2026-01-03"}
    for _ in range(failures):
        instance.create_run_for_job(job, tags={**REFRESH, **days}, status=dg.DagsterRunStatus.FAILURE)
    instance.create_run_for_job(job, tags=days, status=dg.DagsterRunStatus.FAILURE)  # no refresh
    tried_again = {**REFRESH, **days, "dagster/auto_retry_run_id": "another"}
    instance.create_run_for_job(job, tags=tried_again, status=dg.DagsterRunStatus.FAILURE)
    now, day = datetime.now(timezone.utc), {Period(Grain.DAY, date(2026, 1, 3))}
    assert pausing(instance, REFRESH, now + timedelta(seconds=pause - 5), 300) == day
    assert pausing(instance, REFRESH, now + timedelta(seconds=pause + 1), 300) == set()
