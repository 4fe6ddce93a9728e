"""Dagster's records of the metric assets' runs, as the monitor's facts. Two queries, whatever the history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import dagster as dg
from redis import Redis

from metrics_pipeline.cache.held_locks import list_locks, stale_locks
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.liveness import run_liveness
from metrics_pipeline.defs.triggers import TRIGGER_TAG
from metrics_pipeline.monitor.facts import LockFact, RunFact, RunHistory, State
from metrics_pipeline.monitor.monitor import MetricsJobMonitor
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline

MOST_RUNS = 2000
"""Reading a run takes about a millisecond. When there were more, the history begins later and says so."""

_PAGE = 1000
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
    return MetricsJobMonitor(
        pipeline.engine,
        pipeline.redis,
        lambda since: read_history(instance, since),
        lambda now: _read_locks(pipeline.redis, instance, now),
    )


@contextmanager
def opened_monitor(pipeline: Pipeline) -> Iterator[MetricsJobMonitor]:
    """A monitor on the instance that DAGSTER_HOME names."""
    with dg.DagsterInstance.get() as instance:
        yield job_monitor(pipeline, instance)


def read_history(instance: dg.DagsterInstance, since: datetime, most: int = MOST_RUNS) -> RunHistory:
    """The metric assets' runs created since a moment, at most `most` records, newest first."""
    records = instance.get_run_records(dg.RunsFilter(created_after=since), limit=most)
    begin = _utc(records[-1].create_timestamp) if len(records) == most else since
    reports = _reports(instance, begin)
    runs = [fact for record in records if (fact := _fact(record, reports))]
    ended = [run.ended_at for run in runs if run.ended_at]
    return RunHistory(runs, begin, max(ended) if ended else _last_report(instance))


def _read_locks(redis: Redis, instance: dg.DagsterInstance, now: datetime) -> list[LockFact]:
    held = list_locks(redis, now)
    stale = {lock.key for lock in stale_locks(held, run_liveness(instance), now)}
    return [
        LockFact(lock.key, lock.holder, (now - lock.since).total_seconds() if lock.since else None, lock.key in stale)
        for lock in held
    ]


def _fact(record: Any, reports: Mapping[str, Mapping[str, Any]]) -> RunFact | None:
    """None for a run of something else than a metric asset."""
    run: dg.DagsterRun = record.dagster_run
    grain = next((grain for grain in Grain if _computes(run, grain)), None)
    if grain is None:
        return None
    report = reports.get(run.run_id, {})
    return RunFact(
        run_id=run.run_id,
        job=grain.adverb,
        kind="refresh" if run.tags.get(TRIGGER_TAG) == "refresh" else "calculation",
        state=_STATES.get(run.status, "queued"),
        created_at=_utc(record.create_timestamp),
        started_at=_moment(record.start_time),
        ended_at=_moment(record.end_time),
        partitions=_partitions(run.tags),
        accounts=report.get("accounts"),
        rows_read=report.get("rows_read"),
        change_to_publish_s=report.get("change_to_publish_s"),
    )


def _computes(run: dg.DagsterRun, grain: Grain) -> bool:
    """Runs from a schedule, the sensor or a program have a job of their own; those from a backfill do not."""
    return run.job_name == job_name(grain) or dg.AssetKey(f"{grain.adverb}_metrics") in (run.asset_selection or ())


def _partitions(tags: Mapping[str, str]) -> str:
    if single := tags.get("dagster/partition"):
        return single
    first, last = tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")
    return str(first or "") if first == last else f"{first} to {last}"


def _reports(instance: dg.DagsterInstance, since: datetime) -> dict[str, dict[str, Any]]:
    """What the runs reported, by run."""
    wanted = dg.AssetRecordsFilter(_REPORTS, after_timestamp=since.timestamp())
    found: dict[str, dict[str, Any]] = {}
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        for record in page.records:
            if materialization := record.asset_materialization:
                found[record.run_id] = {name: value.value for name, value in materialization.metadata.items()}
        cursor, more = page.cursor, page.has_more
    return found


def _last_report(instance: dg.DagsterInstance) -> datetime | None:
    records = instance.fetch_materializations(_REPORTS, limit=1).records
    return _moment(records[0].timestamp) if records else None


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, timezone.utc)


def _utc(moment: datetime) -> datetime:
    """Storages return UTC, some without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
