"""The asset `pipeline_health`: the monitor's status, with numbers that plot and a check for each rule."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg

from metrics_pipeline.defs.run_history import job_monitor
from metrics_pipeline.monitor.status import Check, Status
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings

_CHECKS = {
    "redis": "Fails when Redis is away.",
    "daemon": "Fails when Dagster's daemon was not heard of for two minutes.",
    "workers": "Fails when no worker is reachable: runs would wait until they are given up.",
    "switches": "Warns when a sensor or a schedule is switched off.",
    "capture": "Warns when a trigger on the expense tables is missing or disabled: changes would go unnoticed.",
    "failures": "Runs that failed, calculations and refreshes apart: warns above {failures_warning:.0%}, fails above "
    "{failures_critical:.0%}.",
    "staleness": "The oldest change that is not published yet: fails above {stale_seconds:.0f} s.",
    "activity": "Warns when nothing was calculated for {window_hours} hours.",
    "duration": "Warns when runs take more than {run_seconds:g} s on average.",
    "slow_runs": "Warns above {slow_runs} runs that took over {run_seconds:g} s, or {slow_times_median:g} times the "
    "median of their job.",
    "locks": "Warns when a lock outlived its run.",
    "hit_rate": "Warns when less than {hit_rate:.0%} of at least {hit_rate_reads:,} reads were answered from the "
    "cache.",
}


def health_asset(settings: Settings) -> dg.AssetsDefinition:
    """`pipeline_health`, judging by the limits that are set."""

    @dg.asset(
        deps=["metrics_cache"],
        check_specs=[
            dg.AssetCheckSpec(
                name, asset="pipeline_health", description=said.format(**dict(settings.monitor)), blocking=False
            )
            for name, said in _CHECKS.items()
        ],
        freshness_policy=dg.FreshnessPolicy.time_window(
            warn_window=timedelta(minutes=40), fail_window=timedelta(hours=2)
        ),
        group_name="monitoring",
        kinds={"postgres", "redis", "dagster"},
        owners=["team:metrics"],
        description=f"""Whether the jobs are healthy and the numbers fresh: looked at every 15 minutes, over the last
{settings.monitor.window_hours} hours.

- **Plots**, beside the metadata's table, shows how success rates, durations, hit rate, backlog and stale locks went.
- **Checks** has one for each rule: a warning wants a look, a failure wants it now.
- **Tables** `recommendations`, `slow_runs` and `locks` say what to do and about what.
- The same at a terminal, for this moment: `metrics-pipeline status`.
""",
    )
    def pipeline_health(
        context: dg.AssetExecutionContext,
        pipeline: dg.ResourceParam[Pipeline],
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # with checks, Dagster takes it for a tuple otherwise
        status = job_monitor(pipeline, context.instance).status(datetime.now(timezone.utc))
        context.log.info(f"{status.health.status}: {status.health.message}")
        return dg.MaterializeResult(
            metadata=dict(_metadata(status)), check_results=[_result(check) for check in status.health.checks]
        )

    return pipeline_health


HEALTH_JOB = dg.define_asset_job(
    "pipeline_health_job",
    selection=["pipeline_health"],
    description="Looks whether the jobs are healthy and the numbers fresh.",
)

HEALTH_SCHEDULE = dg.ScheduleDefinition(
    name="pipeline_health_quarter_hourly",
    job=HEALTH_JOB,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every 15 minutes: judges how things are. Turn it off to lose the history of health, nothing else.",
    tags={"dagster/priority": "2"},  # a long queue is what it has to tell of
)


def _result(check: Check) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=check.name,
        passed=check.level == "healthy",
        severity=dg.AssetCheckSeverity.ERROR if check.level == "critical" else dg.AssetCheckSeverity.WARN,
        description=check.said,
    )


def _metadata(status: Status) -> Iterator[tuple[str, Any]]:
    """What there was to measure; a number that is absent leaves a gap in its plot."""
    yield "health", status.health.status
    yield "message", status.health.message
    yield from _tables(status)
    for name, number in _numbers(status).items():
        if number is not None:
            yield name, round(number, 4)
    if failed := next((job for job in (status.calculation, status.refresh) if job.last_state == "failed"), None):
        yield "last_failed_run", dg.MetadataValue.dagster_run(str(failed.last_run_id))
    if status.slow_runs:
        yield "slowest_run", dg.MetadataValue.dagster_run(status.slow_runs[0].run_id)


def _tables(status: Status) -> Iterator[tuple[str, Any]]:
    """Those that have rows."""
    found = status.as_dict()
    columns = {
        "recommendations": ("priority", "kind", "message", "command"),
        "slow_runs": ("job", "kind", "partitions", "seconds", "accounts", "rows_read", "why", "run_id"),
        "locks": ("key", "holder", "age_s", "stale"),
    }
    yield from ((name, _table(found[name], of)) for name, of in columns.items() if found[name])


def _numbers(status: Status) -> Mapping[str, float | None]:
    return {
        "calculation_success_rate": status.calculation.success_rate,
        "refresh_success_rate": status.refresh.success_rate,
        "calculation_p95_s": status.calculation.p95_s,
        "refresh_p95_s": status.refresh.p95_s,
        "change_to_publish_p95_s": status.freshness.published_p95_s,
        "hit_rate": status.performance.hit_rate,
        "log_changes": status.freshness.log_changes,
        "stale_periods": status.freshness.stale_periods,
        "oldest_change_s": status.freshness.oldest_s or 0.0,
        "stale_locks": sum(lock.stale for lock in status.locks),
        "slow_run_count": len(status.slow_runs),
    }


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """Cells as text, as Dagster's tables hold no None."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: "" if row[name] is None else str(row[name]) for name in columns}) for row in rows
        ],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in columns]),
    )
