"""Code server, web server and daemon for real: what a person does in the Dagster UI, over its GraphQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from sqlalchemy import text

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period, days_between

pytestmark = pytest.mark.timeout(240)

UP = """
from metrics_pipeline.services.supervisor import up
from metrics_pipeline.settings import load_settings
raise SystemExit(up(load_settings()))
"""

LAUNCH = """
mutation($run: ExecutionParams!) {
  launchPipelineExecution(executionParams: $run) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""

RUN = """
query($id: ID!) {
  runOrError(runId: $id) { ... on Run { status, tags { key, value } } }
}
"""

TERMINATE = """
mutation($id: String!) { terminateRun(runId: $id) { __typename } }
"""

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

DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType, required, healthy } } } }
"""

SCHEDULES = """
{ schedulesOrError(repositorySelector: {
    repositoryLocationName: "metrics_pipeline", repositoryName: "__repository__" }) {
  ... on Schedules { results { name, scheduleState { status } } } } }
"""

OVER = {"SUCCESS", "FAILURE", "CANCELED"}
FIRST_DAY = date(2026, 1, 1)


class DagsterUI:
    """A running `up`, as the browser talks to it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        """The first field of the answer's data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = json.load(answer)
        assert "errors" not in data, data
        return next(iter(data["data"].values()))

    def launch(self, asset: str, config: dict[str, Any], **tags: str) -> str:
        """Launch a run of one asset as its launchpad does; returns the run's id."""
        answer = self.ask(
            LAUNCH,
            run={
                "selector": {
                    "repositoryLocationName": "metrics_pipeline",
                    "repositoryName": "__repository__",
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": [asset]}],
                },
                "mode": "default",
                "runConfigData": {"ops": {asset: {"config": config}}},
                "executionMetadata": {"tags": [{"key": f"dagster/{key}", "value": tags[key]} for key in tags]},
            },
        )
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def status(self, run_id: str) -> str:
        return str(self.ask(RUN, id=run_id)["status"])


def wait_until(reached: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.5)


@pytest.fixture
def ui(settings, database) -> Iterator[DagsterUI]:
    """The processes of `up` on a free port; three accounts spend 10, 20 and 30 a day for sixty days."""
    days = days_between(FIRST_DAY, FIRST_DAY + timedelta(days=60))
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (email) SELECT 'a' || n FROM generate_series(1, 3) n"))
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT n, 10 * n, 'USD', at FROM generate_series(1, 3) n, unnest(CAST(:days AS timestamptz[])) at"
            ),
            {"days": [f"{day}T12:00Z" for day in days]},
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = settings.home / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-c", UP],
            env=os.environ
            | {
                "METRICS_DATABASE_URL": settings.database_url,
                "METRICS_REDIS_URL": settings.redis_url,
                "METRICS_HOME": str(settings.home),
                "METRICS_DAGSTER_PORT": str(port),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    dagster = DagsterUI(port)
    try:
        wait_until(lambda: up.poll() is not None or healthy(dagster), "Dagster's processes")
        assert up.poll() is None, log.read_text()
        yield dagster
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(60)
        print(log.read_text())  # pytest shows it when the test fails
    assert code == 0


def healthy(dagster: DagsterUI) -> bool:
    try:
        daemons = dagster.ask(DAEMONS)["daemonHealth"]["allDaemonStatuses"]
    except OSError:
        return False
    return all(daemon["healthy"] for daemon in daemons if daemon["required"])


def cached(client: redis.Redis, account_id: int, grain: Grain, start: date) -> PeriodMetrics | None:
    value = client.get(cache_key(account_id, Period(grain, start)))
    return PeriodMetrics.model_validate_json(Entry.decode(value).payload) if value else None


def test_a_person_materializes_and_backfills_in_the_ui(ui: DagsterUI, redis_client):
    assert {s["name"]: s["scheduleState"]["status"] for s in ui.ask(SCHEDULES)["results"]} == {
        f"{grain.adverb}_metrics_hourly": "RUNNING" for grain in Grain
    }

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
    payload = cached(redis_client, 2, Grain.MONTH, february)
    assert payload is not None
    assert payload.currencies["USD"].total == Decimal("560.00")
    assert payload.computed_by == "manual"
    assert cached(redis_client, 3, Grain.MONTH, february) is None
    weeks = [cached(redis_client, 3, Grain.WEEK, date(2026, 1, day)) for day in (5, 12, 19, 26)]
    assert [week.currencies["USD"].total for week in weeks if week] == [Decimal("210.00")] * 4

    def state() -> Any:
        return ui.ask(BACKFILL_STATE, id=backfill["backfillId"])

    wait_until(lambda: state()["status"] not in {"REQUESTED", "COMPLETING"}, "the backfill", seconds=120)
    assert state()["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in state()["runs"]] == ["SUCCESS", "SUCCESS"]  # 31 days a run
    computed = [cached(redis_client, 1, Grain.DAY, date.fromisoformat(day)) for day in days]
    assert [(day.computed_by, day.currencies["USD"].total) for day in computed if day] == [("backfill", 10)] * 40


def test_a_run_that_a_person_terminates_stops(ui: DagsterUI, database):
    blocker = database.connect()
    blocker.execute(text("LOCK TABLE metrics.period_metrics"))
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass('metrics.period_metrics')"
    )

    def waits() -> bool:
        with database.engine.connect() as observer:
            return bool(observer.execute(waiting).scalar())

    run = ui.launch("monthly_metrics", {}, partition="2026-02-01")
    wait_until(waits, "the run to reach the table")
    assert ui.ask(TERMINATE, id=run)["__typename"] == "TerminateRunSuccess"
    wait_until(lambda: ui.status(run) == "CANCELING", "the run to hear of it")
    blocker.rollback()  # its writer ends once it has what it waits for
    wait_until(lambda: ui.status(run) in OVER, "the run to end")
    assert ui.status(run) == "CANCELED"
