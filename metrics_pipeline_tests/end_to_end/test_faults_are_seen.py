"""Each fault turns its check, status line, exit code, metric and alert, and recovery turns them back."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from metrics_pipeline.cache.canary import CANARY_KEY
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.monitor.limits import SLOW_AT_LEAST_SECONDS, SLOW_MEDIAN_OF_RUNS, Limits
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.services.embedded import ServiceUrls
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import load_settings
from metrics_pipeline_tests.command import run_command
from metrics_pipeline_tests.dashboard_process import running_dashboard
from metrics_pipeline_tests.end_to_end.conftest import up_on
from metrics_pipeline_tests.end_to_end.running import RunningUp, wait_until
from metrics_pipeline_tests.receiver import Receiver, receiving

pytestmark = pytest.mark.timeout(240)

# What the daemon does every minute, now.
TICK = """
mutation($sensor: SensorSelector!) {
  sensorDryRun(selectorData: $sensor, cursor: null) {
    __typename
    ... on DryRunInstigationTick { evaluationResult { skipReason error { message } } }
    ... on PythonError { message }
  }
}
"""

LEVELS = {"healthy": 0, "warning": 1, "critical": 2}
CODES = {"warning": (1, 2), "critical": (2,)}

# A single slow run is a warning, as the test of one takes away the other slow runs of a busy machine; and a single
# failed one critical, however many runs the tests before and the schedules made.
STRICT = {
    "METRICS_MONITOR_SLOW_RUNS": "0",
    "METRICS_MONITOR_FAILURES_WARNING": "0",
    "METRICS_MONITOR_FAILURES_CRITICAL": "0",
}

SPENT_IN_A_MONTH = 20_000

DELETE = "mutation($id: String!) { deletePipelineRun(runId: $id) { __typename } }"


@dataclass
class Watched:
    """An `up` whose webhook is ours, on a Redis of its own, and its dashboard's address."""

    ui: RunningUp
    redis: EmbeddedRedis
    receiver: Receiver
    dashboard: str

    def status(self) -> tuple[int, dict[str, Any]]:
        """What `metrics-pipeline status --json` ends with and prints."""
        code, printed = self.run("status", "--json")
        return code, json.loads(printed)

    def run(self, *arguments: str) -> tuple[int, str]:
        done = run_command(self.ui.process.environ() | {"COLUMNS": "200"}, *arguments)
        assert done.stdout, done.output
        return done.exit_code, done.stdout

    def metrics(self) -> dict[str, float]:
        """What Prometheus would read of each check."""
        with urllib.request.urlopen(f"{self.dashboard}/metrics", timeout=30) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        return {each.labels["check"]: each.value for each in samples if each.name == "metrics_pipeline_check_level"}

    def tick(self) -> str:
        answer = self.ui.ask(
            TICK,
            sensor={
                "repositoryLocationName": "metrics_pipeline",
                "repositoryName": "__repository__",
                "sensorName": "alerts",
            },
        )
        assert answer["__typename"] == "DryRunInstigationTick", answer
        result = answer["evaluationResult"]
        assert result["error"] is None, result["error"]
        return str(result["skipReason"])

    def tells(self, check: str, level: str) -> bool:
        """Whether the metric and the last that the webhook heard of the check are that."""
        self.tick()
        said = [each for each in self.receiver.bodies if each["kind"] == "health"]
        told = {each["name"]: each["level"] for each in said[-1]["checks"]} if said else {}
        return told.get(check, "healthy") == level and self.metrics().get(check) == LEVELS[level]


@contextmanager
def watching(servers: ServiceUrls, template: str, home: Path, **variables: str) -> Iterator[Watched]:
    redis = EmbeddedRedis(home)
    with receiving() as receiver:
        try:
            variables["METRICS_ALERT_WEBHOOK_URL"] = receiver.url
            with up_on(servers, template, redis.ensure(), **variables) as ui:
                given = ui.process.environ()
                settings = load_settings(
                    home=Path(given["METRICS_HOME"]),
                    database_url=given["METRICS_DATABASE_URL"],
                    redis_url=given["METRICS_REDIS_URL"],
                )
                wait_until(lambda: not ui.has_runs_under_way() and ui.redis.exists(CANARY_KEY), "the first tick")
                with running_dashboard(settings, **variables) as dashboard:
                    yield Watched(ui, redis, receiver, dashboard)
        finally:
            redis.stop()


@pytest.fixture(scope="module")
def watched(servers: ServiceUrls, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watching(servers, template, tmp_path_factory.mktemp("faults"), **STRICT) as watched:
        yield watched


def turns(watched: Watched, check: str, level: str, seconds: float = 30) -> None:
    wait_until(lambda: watched.tells(check, level), f"metric and alert of {check} to be {level}", seconds)
    code, found = watched.status()
    seen = {each["name"]: each for each in found["health"]["checks"]}
    assert seen[check]["level"] == level, found["health"]
    if level != "healthy":
        assert code in CODES[level]
        assert seen[check]["said"] in " ".join(watched.run("status")[1].split())


def test_a_slow_run_on_a_large_account(watched: Watched) -> None:
    """Slow against its job's usual run; that it read much more than that one stands beside it."""
    ui = watched.ui
    usual = [ui.launch("monthly_metrics", partition=f"2026-0{n + 1}-01") for n in range(SLOW_MEDIAN_OF_RUNS)]
    assert {ui.wait_for(run) for run in usual} == {"SUCCESS"}
    with ui.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (id, email) VALUES (1000, 'large')"))
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT 1000, 1, 'USD', TIMESTAMPTZ '2025-06-01Z' + n * INTERVAL '10 s' "
                "FROM generate_series(1, :many) n"
            ),
            {"many": SPENT_IN_A_MONTH},
        )
    wait_until(ui.at_rest, "the large account to be published")
    forget_slow_runs(watched)
    turns(watched, "slow_runs", "healthy")
    usually = watched.status()[1]["calculation"]["p95_s"]
    with ui.store_locked():  # a machine for which so many expenses are many
        run = ui.launch("monthly_metrics", partition="2025-06-01")
        ui.wait_for(run, "STARTED")
        time.sleep(max(SLOW_AT_LEAST_SECONDS, Limits().slow_times_median * usually))
    assert ui.wait_for(run) == "SUCCESS"
    turns(watched, "slow_runs", "warning")
    slow = {each["run_id"]: each for each in slow_runs(watched)}
    assert slow[run]["rows_times_median"] > 100
    forget_slow_runs(watched)
    turns(watched, "slow_runs", "healthy")


def slow_runs(watched: Watched) -> list[dict[str, Any]]:
    return list(json.loads(watched.run("slow-runs", "--json")[1]))


def forget_slow_runs(watched: Watched) -> None:
    """Until there are none: without them the median is lower, and others are above three times that one."""
    while slow := slow_runs(watched):
        for run in slow:
            assert watched.ui.ask(DELETE, id=run["run_id"])["__typename"] == "DeletePipelineRunSuccess"


def test_a_disabled_trigger(watched: Watched) -> None:
    turns(watched, "capture", "healthy")
    with watched.ui.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DISABLE TRIGGER USER"))
    turns(watched, "capture", "warning")
    with watched.ui.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses ENABLE TRIGGER USER"))
    turns(watched, "capture", "healthy")


def test_a_stale_lock(watched: Watched) -> None:
    """One without a lease, of a run that nobody knows: those that have one are cleared every two minutes."""
    watched.ui.redis.set(lock_key(Period(Grain.DAY, date(2026, 1, 5))), b"gone")
    turns(watched, "locks", "warning")
    assert watched.run("locks", "clear-stale")[0] == 0
    turns(watched, "locks", "healthy")


def test_a_worker_that_is_gone(watched: Watched) -> None:
    worker = watched.ui.worker()
    worker.suspend()
    try:
        turns(watched, "workers", "critical")
    finally:
        worker.resume()
    turns(watched, "workers", "healthy")


def test_a_crashed_run(watched: Watched) -> None:
    ui = watched.ui
    with ui.store_locked():
        run = ui.held_run("weekly_metrics", partition="2026-01-12", max_retries="0")
        ui.process_of(run).kill()
        assert ui.wait_for(run, seconds=30) == "FAILURE"
    turns(watched, "failures", "critical")
    wait_until(lambda: watched.tick() != "" and alerted(watched, run), "the alert about the run", 20)
    ui.ask(DELETE, id=run)
    turns(watched, "failures", "healthy")


def alerted(watched: Watched, run: str) -> bool:
    return any(
        run == each["run_id"] for body in watched.receiver.bodies if body["kind"] == "failures" for each in body["runs"]
    )


def test_an_outage_of_redis(watched: Watched) -> None:
    watched.redis.stop()
    try:
        turns(watched, "redis", "critical")
    finally:
        watched.redis.ensure()
    turns(watched, "redis", "healthy")
