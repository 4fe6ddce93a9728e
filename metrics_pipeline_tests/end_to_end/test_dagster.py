"""Code server, web server, daemon and worker for real: what a person does in the Dagster UI, over its GraphQL."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from metrics_pipeline.periods import Grain, days_between
from metrics_pipeline_tests.end_to_end.conftest import FIRST_DAY
from metrics_pipeline_tests.end_to_end.running import OVER, RunningUp, wait_until

pytestmark = pytest.mark.timeout(240)

BACKFILL = """
mutation($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""

BACKFILL_STATE = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status, runs(limit: 10) { status } } }
}
"""

SCHEDULES = """
{ schedulesOrError(repositorySelector: {
    repositoryLocationName: "metrics_pipeline", repositoryName: "__repository__" }) {
  ... on Schedules { results { name, scheduleState { status } } } } }
"""


def test_a_person_materializes_and_backfills_in_the_ui(ui: RunningUp):
    assert {s["name"]: s["scheduleState"]["status"] for s in ui.ask(SCHEDULES)["results"]} == {
        **{f"{grain.adverb}_metrics_hourly": "RUNNING" for grain in Grain},
        "metrics_checks_hourly": "RUNNING",
        "pipeline_health_quarter_hourly": "RUNNING",
        "reconcile_nightly": "RUNNING",
        "retention_nightly": "RUNNING",
    }

    # What other tests began is over before a person comes.
    wait_until(ui.at_rest, "what other tests began", seconds=180)

    # One partition, some accounts, a range, and a config that cannot work; then a backfill of 40 days.
    february = date(2026, 2, 1)
    one = ui.launch("monthly_metrics", {"account_ids": [1, 2]}, partition="2026-02-01")
    several = ui.launch(
        "weekly_metrics", {}, asset_partition_range_start="2026-01-05", asset_partition_range_end="2026-01-26"
    )
    wrong = ui.launch("yearly_metrics", {"today": "tomorrow"}, partition="2026-01-01")
    days = [day.isoformat() for day in days_between(FIRST_DAY, FIRST_DAY + timedelta(days=40))]
    backfill = ui.ask(BACKFILL, backfill={"assetSelection": [{"path": ["daily_metrics"]}], "partitionNames": days})
    assert backfill["__typename"] == "LaunchBackfillSuccess", backfill

    wait_until(lambda: {ui.status(run) for run in (one, several, wrong)} <= OVER, "three runs")
    assert [ui.status(run) for run in (one, several, wrong)] == ["SUCCESS", "SUCCESS", "FAILURE"]
    payload = ui.cached(2, Grain.MONTH, february)
    assert payload is not None
    assert payload.currencies["USD"].total == Decimal("560.00")
    assert payload.computed_by == "manual"
    left_alone = ui.cached(3, Grain.MONTH, february)
    assert left_alone is None or left_alone.computed_by == "refresh"
    weeks = [ui.cached(3, Grain.WEEK, date(2026, 1, day)) for day in (5, 12, 19, 26)]
    assert [week.currencies["USD"].total for week in weeks if week] == [Decimal("210.00")] * 4

    def state() -> Any:
        return ui.ask(BACKFILL_STATE, id=backfill["backfillId"])

    wait_until(lambda: state()["status"] not in {"REQUESTED", "COMPLETING"}, "the backfill", seconds=120)
    assert state()["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in state()["runs"]] == ["SUCCESS", "SUCCESS"]  # 31 days a run
    computed = [ui.cached(1, Grain.DAY, date.fromisoformat(day)) for day in days]
    assert [(day.computed_by, day.currencies["USD"].total) for day in computed if day] == [("backfill", 10)] * 40
