"""Dagster's records of the metric assets' runs, as the monitor's facts. Two queries, whatever the history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, SCHEDULED_EXECUTION_TIME_TAG, WILL_RETRY_TAG
from redis import Redis

from metrics_pipeline.cache.held_locks import list_locks, stale_locks
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.liveness import run_liveness
from metrics_pipeline.defs.machinery import read_machinery
from metrics_pipeline.defs.run_rows import RunRow, moment_of, read_reports, read_runs
from metrics_pipeline.defs.triggers import TRIGGER_TAG
from metrics_pipeline.monitor.facts import LockFact, RunFact, RunHistory, State
from metrics_pipeline.monitor.monitor import MetricsJobMonitor, Orchestrator
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline

MOST_RUNS = 2000
"""Reading so many takes a tenth of a second. When there were more, the history begins later and says so."""

_JOBS = [job_name(grain) for grain in Grain]
_REPORTS = dg.AssetKey("metrics_cache")  # every run that gets to its end reports there once
_STATES: Mapping[dg.DagsterRunStatus, State] = {
    dg.DagsterRunStatus.STARTED: "running",
    dg.DagsterRunStatus.CANCELING: "running",
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
}  # the others wait


def job_monitor(pipeline: Pipeline, instance: dg.DagsterInstance) -> MetricsJobMonitor:
    """A monitor on the servers of a pipeline and the runs of an instance."""
    settings = pipeline.settings
    orchestrator = Orchestrator(
        read_history=lambda since: read_history(instance, since),
        read_locks=lambda now: _read_locks(pipeline.redis, instance, now),
        read_machinery=lambda: read_machinery(instance, settings),
    )
    return MetricsJobMonitor(pipeline.engine, pipeline.redis, orchestrator, settings)


@contextmanager
def opened_monitor(pipeline: Pipeline) -> Iterator[MetricsJobMonitor]:
    """A monitor on the instance that DAGSTER_HOME names."""
    with dg.DagsterInstance.get() as instance:
        yield job_monitor(pipeline, instance)


def read_history(instance: dg.DagsterInstance, since: datetime, most: int = MOST_RUNS) -> RunHistory:
    """The metric assets' runs created since a moment, at most `most` records, newest first."""
    rows = read_runs(instance, since, most, _JOBS)
    begin = rows[-1].created_at if len(rows) == most else since
    reports = read_reports(instance, _REPORTS, [row.run_id for row in rows])
    runs = [fact for row in rows if (fact := _fact(row, reports))]
    ended = [run.ended_at for run in runs if run.ended_at]
    return RunHistory(runs, begin, max(ended) if ended else _last_report(instance))


def _read_locks(redis: Redis, instance: dg.DagsterInstance, now: datetime) -> list[LockFact]:
    held = list_locks(redis, now)
    stale = {lock.key for lock in stale_locks(held, run_liveness(instance), now)}
    return [
        LockFact(lock.key, lock.holder, (now - lock.since).total_seconds() if lock.since else None, lock.key in stale)
        for lock in held
    ]


def _fact(run: RunRow, reports: Mapping[str, Mapping[str, Any]]) -> RunFact | None:
    """None for a run of something else than a metric asset."""
    grain = next((grain for grain in Grain if _computes(run, grain)), None)
    if grain is None:
        return None
    report = reports.get(run.run_id, {})
    return RunFact(
        run_id=run.run_id,
        job=grain.adverb,
        kind="refresh" if run.tags.get(TRIGGER_TAG) == "refresh" else "calculation",
        state=_STATES.get(run.status, "queued"),
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        partitions=_partitions(run.tags),
        accounts=report.get("accounts"),
        rows_read=report.get("rows_read"),
        payloads=report.get("payloads"),
        change_to_publish_s=report.get("change_to_publish_s"),
        scheduled_for=run.tags.get(SCHEDULED_EXECUTION_TIME_TAG),
        will_retry=run.tags.get(WILL_RETRY_TAG) == "true",
        replaced=AUTO_RETRY_RUN_ID_TAG in run.tags,
    )


def _computes(run: RunRow, grain: Grain) -> bool:
    """Runs from a schedule, the sensor or a program have a job of their own; those from a backfill do not."""
    return run.job_name == job_name(grain) or f"{grain.adverb}_metrics" in run.selection


def _partitions(tags: Mapping[str, str]) -> str:
    if single := tags.get("dagster/partition"):
        return single
    first, last = tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")
    return str(first or "") if first == last else f"{first} to {last}"


def _last_report(instance: dg.DagsterInstance) -> datetime | None:
    records = instance.fetch_materializations(_REPORTS, limit=1).records
    return moment_of(records[0].timestamp) if records else None
