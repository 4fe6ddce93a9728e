"""Dagster's own records, kept for a while: it has no end for runs and events itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

import dagster as dg

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.retention.pruning import DeleteRuns, prune
from metrics_pipeline.settings import Settings

_SECONDS = 600.0  # the oldest go first, so a long history is worked off night by night


@contextmanager
def opened_deleting() -> Iterator[DeleteRuns]:
    """Deletes runs of the instance that DAGSTER_HOME names."""
    with dg.DagsterInstance.get() as instance:
        yield deleting_from(instance)


def deleting_from(instance: dg.DagsterInstance) -> DeleteRuns:
    """Deletes runs with their events, and the output of their steps on this machine."""

    def delete_runs(run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
            instance.delete_run(run_id)

    return delete_runs


@dg.op(description="Deletes old runs with their events, keeping each partition's latest; caps logs and counters.")
def forget_old_records(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    older_than = timedelta(days=pipeline.settings.retention_run_days)
    pruned = prune(pipeline, deleting_from(context.instance), older_than, datetime.now(timezone.utc), seconds=_SECONDS)
    found = asdict(pruned)
    context.log.info(", ".join(f"{name}: {value}" for name, value in found.items()))
    context.add_output_metadata({name: value for name, value in found.items() if type(value) is int})


@dg.job(
    name="retention_job",
    description="Deletes runs that ended more than METRICS_RETENTION_RUN_DAYS ago, with their events, but not the "
    "ones that hold the latest materialization of a partition or the latest result of a check.",
)
def retention_job() -> None:
    forget_old_records()


def retention_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every night, between two hourly calculations."""
    return dg.ScheduleDefinition(
        name="retention_nightly",
        job=retention_job,
        cron_schedule="35 4 * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every night at 4:35: deletes records of runs that are older than {settings.retention_run_days} "
        "days and not needed. Turn it off to keep them all; Dagster's tables then grow by some 50 KB a run.",
        tags={"dagster/priority": "-2"},  # it can wait
    )
