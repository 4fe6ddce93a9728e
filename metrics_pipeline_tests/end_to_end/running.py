"""A running `up`, as the browser talks to it, and its processes, as an unlucky machine treats them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psutil
import redis
from sqlalchemy import Engine, text

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period

WORKER = """
from metrics_pipeline.services import worker
from metrics_pipeline.settings import load_settings
raise SystemExit(worker(load_settings(), concurrency=1))
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

MESSAGES = """
query($id: ID!) {
  logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } }
}
"""

UNDER_WAY = """
{ runsOrError(filter: { statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING] }) {
  ... on Runs { results { runId } } } }
"""

BACKFILLS = """
{ partitionBackfillsOrError(filters: { statuses: [REQUESTED, CANCELING, FAILING] }) {
  ... on PartitionBackfills { results { id } } } }
"""

DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType, required, healthy } } } }
"""

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass('metrics.period_metrics')"

OVER = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass
class RunningUp:
    """The processes of `up` on a free port, their database and their Redis."""

    port: int
    process: psutil.Popen
    engine: Engine
    redis: redis.Redis

    def ask(self, query: str, **variables: Any) -> Any:
        """The first field of GraphQL's answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = json.load(answer)
        assert "errors" not in data, data
        return next(iter(data["data"].values()))

    def launch(self, asset: str, config: dict[str, Any] | None = None, **tags: str) -> str:
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
                "runConfigData": {"ops": {asset: {"config": config or {}}}},
                "executionMetadata": {"tags": [{"key": f"dagster/{key}", "value": tags[key]} for key in tags]},
            },
        )
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def status(self, run_id: str) -> str:
        return str(self.ask(RUN, id=run_id)["status"])

    def wait_for(self, run_id: str, *statuses: str, seconds: float = 60) -> str:
        """Wait until the run has one of these (default: a final) statuses, and return which."""
        wanted = set(statuses) or OVER
        wait_until(lambda: self.status(run_id) in wanted, f"run {run_id} to be one of {sorted(wanted)}", seconds)
        return self.status(run_id)

    def terminate(self, run_id: str) -> str:
        """As the button in the UI does; returns the kind of answer."""
        return str(self.ask(TERMINATE, id=run_id)["__typename"])

    def retry_of(self, run_id: str) -> str:
        """The id of the run that the daemon starts in its place."""

        def tag() -> str | None:
            tags = {tag["key"]: tag["value"] for tag in self.ask(RUN, id=run_id)["tags"]}
            return tags.get("dagster/auto_retry_run_id")

        wait_until(lambda: tag() is not None, f"a retry of {run_id}", 30)
        return str(tag())

    def was_retried(self, run_id: str) -> bool:
        return any(tag["key"] == "dagster/auto_retry_run_id" for tag in self.ask(RUN, id=run_id)["tags"])

    def log_of(self, run_id: str) -> str:
        """The messages of the run's events, one a line."""
        return "\n".join(event.get("message", "") for event in self.ask(MESSAGES, id=run_id)["events"])

    def process_of(self, run_id: str) -> psutil.Process:
        """The process in which the run is."""
        found = re.search(r"Started process for run \(pid: (\d+)\)", self.log_of(run_id))
        assert found, self.log_of(run_id)
        return psutil.Process(int(found[1]))

    def worker(self) -> psutil.Process:
        """The Celery worker that `up` started, above the processes that do the runs."""
        return next(child for child in self.process.children() if "celery" in child.cmdline())

    @contextmanager
    def one_more_worker(self) -> Iterator[psutil.Process]:
        """What `metrics-pipeline worker` runs, with the environment of `up`."""
        command = [sys.executable, "-c", WORKER]
        process = psutil.Popen(command, env=self.process.environ(), stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            code = process.wait(30)
        assert code == 0

    @contextmanager
    def store_locked(self) -> Iterator[Callable[[], None]]:
        """No run can write payloads within the block, or until the given function is called."""
        with self.engine.connect() as blocker:
            blocker.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            blocker.execute(text("LOCK TABLE metrics.period_metrics"))
            yield blocker.rollback

    def held_run(self, asset: str, **tags: str) -> str:
        """A run that waits in the middle of its work, with `store_locked`."""
        run = self.launch(asset, **tags)
        self.wait_in_the_middle(run)
        return run

    def wait_in_the_middle(self, run_id: str) -> None:
        """Wait until the run waits for the table, with `store_locked`."""
        self.wait_for(run_id, "STARTED")  # others may wait for the table already: the monitor, a refresh
        wait_until(self._waits, "the run to reach the table")

    def _waits(self) -> bool:
        with self.engine.connect() as observer:
            return bool(observer.execute(text(WAITING)).scalar())

    def has_runs_under_way(self) -> bool:
        """Whether any run, of the sensor or a schedule for example, is queued or running."""
        return bool(self.ask(UNDER_WAY)["results"])

    def has_backfills_under_way(self) -> bool:
        """Whether the daemon may still make runs for a backfill, however far their periods are computed by others."""
        return bool(self.ask(BACKFILLS)["results"])

    def at_rest(self) -> bool:
        """Whether nothing waits for a refresh, and nothing runs or is about to."""
        waiting = "SELECT EXISTS (TABLE metrics.expense_changes) OR EXISTS (TABLE metrics.stale_periods)"
        with self.engine.connect() as observer:
            if observer.execute(text(waiting)).scalar():
                return False
        return not self.has_backfills_under_way() and not self.has_runs_under_way()

    def healthy(self) -> bool:
        try:
            daemons = self.ask(DAEMONS)["daemonHealth"]["allDaemonStatuses"]
        except OSError:
            return False
        return all(daemon["healthy"] for daemon in daemons if daemon["required"])

    def cached(self, account_id: int, grain: Grain, start: date) -> PeriodMetrics | None:
        value = self.redis.get(cache_key(account_id, Period(grain, start)))
        return PeriodMetrics.model_validate_json(Entry.decode(value).payload) if value else None


def wait_until(reached: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.25)
