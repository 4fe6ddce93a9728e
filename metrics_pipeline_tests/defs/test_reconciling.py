"""The asset `reconciliation`: its job on a real instance, with drift that it mends, or cannot."""

from __future__ import annotations

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.definitions import define
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.reconciliation import reconciler


@pytest.fixture
def pipeline(settings, spend):
    """Everything that three accounts spent is in the store."""
    with Pipeline(settings) as opened:
        today = settings.today()
        opened.absorb_changes()
        days = [stale.period for stale in opened.backlog()]
        opened.refresh(RefreshRequest(days, today))
        yield opened


@pytest.fixture
def run(settings, pipeline, instance):
    def run(**config):
        return (
            define(settings)
            .resolve_job_def("reconciliation_job")
            .execute_in_process(
                instance=instance,
                resources={"pipeline": pipeline},
                run_config={"ops": {"reconciliation": {"config": config}}},
                raise_on_error=False,
            )
        )

    return run


def metadata(result) -> dict:
    (event,) = result.asset_materializations_for_node("reconciliation")
    return {name: value.value for name, value in event.metadata.items()}


def drift(database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND amount = 10 "
                                "AND transaction_date < '2026-01-02'"))  # fmt: skip


def test_a_night_without_drift(run) -> None:
    found = metadata(run())
    assert (found["differing"], found["refreshed"], found["mode"]) == (0, 0, "checksum")
    assert found["compared"] > 180
    assert found["day_coverage"] == 1.0


def test_drift_is_mended_and_told(run, database) -> None:
    drift(database)
    found = metadata(run())
    assert (found["mismatched"], found["still_differing"]) == (4, 0)
    assert found["refreshed"] > 4
    first = found["sample"].records[0].data
    assert (first["kind"], first["account_id"], first["period_start"]) == ("mismatched", "1", "2026-01-01")
    assert metadata(run(full=True))["differing"] == 0


def test_without_repair_it_only_tells(run, database) -> None:
    drift(database)
    assert metadata(run(repair=False))["differing"] == 4
    assert metadata(run(repair=False))["differing"] == 4


def test_what_a_refresh_did_not_mend_fails_the_run(run, database, monkeypatch: pytest.MonkeyPatch) -> None:
    drift(database)
    monkeypatch.setattr(reconciler, "stretches", lambda periods: [])  # refreshes nothing
    monkeypatch.setattr(reconciler, "mark", lambda *_: None)  # nor says that anything is stale
    result = run()
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert "4 payloads still differ from their expenses after they were refreshed" in said.description
    assert said.metadata["still_differing"].value == 4


def test_the_nightly_schedule_asks_for_a_repair(settings) -> None:
    schedule = define(settings).get_repository_def().get_schedule_def("reconcile_nightly")
    assert schedule.execution_timezone == settings.timezone
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    with dg.build_schedule_context() as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.tags["dagster/priority"] == "-5"
    assert request.run_config == {}  # every setting at its default: all accounts, with repair


def test_the_current_day_is_compared_too(run, database, settings) -> None:
    period = Period.holding(Grain.DAY, settings.today())
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE metrics.period_metrics SET source_checksum = 1 WHERE grain = 'day' AND period_start = :start"),
            {"start": period.start},
        )
    assert metadata(run())["mismatched"] == 3
