"""Each fault turns its check, the exit code of `status` and an alert, and recovery turns them back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.cache.canary import CANARY_KEY
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.services.embedded import ServiceUrls
from metrics_pipeline.services.redis import EmbeddedRedis
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

DELETE = "mutation($id: String!) { deletePipelineRun(runId: $id) { __typename } }"


@dataclass
class Watched:
    """An `up` whose webhook is ours, on a Redis of its own."""

    ui: RunningUp
    redis: EmbeddedRedis
    receiver: Receiver

    def status(self) -> tuple[int, dict[str, Any]]:
        """What `metrics-pipeline status --json` ends with and prints."""
        command = [sys.executable, "-c", "from metrics_pipeline.cli import app; app()", "status", "--json"]
        done = subprocess.run(command, env=self.ui.process.environ(), capture_output=True, text=True, timeout=60)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

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

    def sees(self, check: str, level: str) -> bool:
        """Whether the check, the exit code, and the last that the webhook heard are all that."""
        code, found = self.status()
        self.tick()
        said = [each for each in self.receiver.bodies if each["kind"] == "health"]
        told = {each["name"]: each["level"] for each in said[-1]["checks"]} if said else {}
        seen = {each["name"]: each["level"] for each in found["health"]["checks"]}
        as_expected = {"healthy": (0,), "warning": (1, 2), "critical": (2,)}
        if level == "healthy":
            return bool(seen[check] == "healthy" and told.get(check) is None)
        return bool(seen[check] == told.get(check) == level and code in as_expected[level])


@pytest.fixture(scope="module")
def watched(servers: ServiceUrls, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    redis = EmbeddedRedis(Path(tmp_path_factory.mktemp("faults")))
    with receiving() as receiver:
        try:
            with up_on(servers, template, redis.ensure(), METRICS_ALERT_WEBHOOK_URL=receiver.url) as ui:
                wait_until(lambda: not ui.has_runs_under_way() and ui.redis.exists(CANARY_KEY), "the first tick")
                yield Watched(ui, redis, receiver)
        finally:
            redis.stop()


def turns(watched: Watched, check: str, level: str, seconds: float = 30) -> None:
    wait_until(lambda: watched.sees(check, level), f"{check} to be {level}: {watched.status()[1]['health']}", seconds)


def test_a_disabled_trigger(watched: Watched) -> None:
    turns(watched, "capture", "healthy")
    with watched.ui.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DISABLE TRIGGER USER"))
    turns(watched, "capture", "warning")
    with watched.ui.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses ENABLE TRIGGER USER"))
    turns(watched, "capture", "healthy")


def test_a_stale_lock(watched: Watched) -> None:
    period = Period(Grain.DAY, date(2026, 1, 5))
    with period_locks(watched.ui.redis, watched.ui.engine, [period], holder="gone", policy="skip"):
        left = watched.ui.redis.get(lock_key(period))
    watched.ui.redis.set(lock_key(period), left, ex=30)  # of a minute, which whoever lives renews every ten seconds
    turns(watched, "locks", "warning", 20)
    turns(watched, "locks", "healthy", 40)


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
