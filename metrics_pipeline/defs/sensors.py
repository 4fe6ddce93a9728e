"""The sensor that follows the log of expense changes and asks for the refreshes that these need."""

import time
from datetime import datetime, timedelta, timezone

import dagster as dg

from metrics_pipeline.changes.absorb import Absorbed
from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.backfills import failed_since, has_open_backfill, request_backfill
from metrics_pipeline.defs.failing import COUNTED_FOR, pauses, pausing
from metrics_pipeline.defs.jobs import METRICS_JOBS, job_name
from metrics_pipeline.defs.partitions import covered, range_tags
from metrics_pipeline.defs.triggers import ONLY_STALE_TAG, TRIGGER_TAG
from metrics_pipeline.defs.watch import AT_EVERY_TURN_SECONDS, absorbed_metadata, told
from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.refreshing import Debounce, RefreshPlan, plan_refresh
from metrics_pipeline.settings import Settings

NAME = "expense_changes"

_WATCH_SECONDS = 4.2  # the daemon asks every five seconds: a tick that takes longer misses the next turn
_LOOK_EVERY_SECONDS = 0.2
_ABSORB_SECONDS = 1.5  # of a long log at a time: what it concerns first is refreshed while the rest is absorbed
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_REFRESH = {TRIGGER_TAG: "refresh"}
_BACKFILL_TAGS = {
    **_REFRESH,
    ONLY_STALE_TAG: "true",
    "dagster/sensor_name": NAME,
    "dagster/priority": "-10",  # behind refreshes and the hourly runs: somebody waits for those
}


def expense_changes_sensor(settings: Settings) -> dg.SensorDefinition:
    """Watches inside its tick, so that a change is refreshed when it comes and not when the next tick does."""

    @dg.sensor(
        name=NAME,
        jobs=METRICS_JOBS,
        minimum_interval_seconds=AT_EVERY_TURN_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Follows the log of expense changes: marks the periods that they make stale, drops their cache "
        "entries, waits for a burst to pause, and asks for one run a grain and stretch of periods, limited to the "
        "accounts concerned. Wide changes become a backfill. Turned off, the hourly schedules still renew the "
        "latest periods, and reads of anything that changed are computed when asked.",
    )
    def expense_changes(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
        deadline = time.monotonic() + _WATCH_SECONDS
        absorbed = Absorbed()
        if pipeline.tend_cache():
            context.log.warning("Redis or PostgreSQL went back in time: the cache was emptied and warmed again.")
        while True:
            absorbed += pipeline.absorb_changes(seconds=_ABSORB_SECONDS)
            plan = _plan(context.instance, pipeline, settings, draining=absorbed.more)
            if plan or time.monotonic() > deadline:
                break
            if not absorbed.more:
                time.sleep(_LOOK_EVERY_SECONDS)
        if plan.backfill:
            request_backfill(
                context.instance,
                settings,
                plan.backfill,
                title=f"{len(plan.backfill)} periods that changed",
                tags=_BACKFILL_TAGS,
            )
        said = f"{told(absorbed)}; {plan.why}." if absorbed.changes or absorbed.missed else f"{plan.why}."
        if absorbed.changes or absorbed.missed or plan:
            context.log.info(said)
        return dg.SensorResult(
            run_requests=[_run_request(periods) for periods in plan.runs],
            skip_reason=None if plan.runs else said,
            asset_events=[_observation(absorbed, plan)] if absorbed.changes or absorbed.missed else [],
        )

    return expense_changes


def _plan(instance: dg.DagsterInstance, pipeline: Pipeline, settings: Settings, *, draining: bool) -> RefreshPlan:
    backlog, now = pipeline.backlog(), datetime.now(timezone.utc)
    if not backlog:
        return RefreshPlan([], [], "nothing is stale")
    today, patience = settings.today(now), settings.refresh_patience_seconds
    return plan_refresh(
        backlog,
        now=now,
        debounce=Debounce(settings.debounce_quiet_seconds, settings.debounce_longest_seconds),
        warm=set(warm_periods(today)),
        busy=_busy(instance, now - timedelta(seconds=patience)) | pausing(instance, _REFRESH, now, patience),
        backfilling=has_open_backfill(instance, _BACKFILL_TAGS)
        or pauses(failed_since(instance, _BACKFILL_TAGS, now - COUNTED_FOR), now, patience),
        draining=draining,
    )


def _busy(instance: dg.DagsterInstance, since: datetime) -> set[Period]:
    """Periods with a refresh under way; one that was requested before `since` is not waited for any longer."""
    under_way = dg.RunsFilter(tags=_REFRESH, statuses=_UNDER_WAY, created_after=since)
    runs = [run for run in instance.get_runs(under_way) if "dagster/backfill" not in run.tags]
    return {
        period
        for grain in Grain
        for run in runs
        if run.job_name == job_name(grain)
        for period in covered(grain, run.tags)
    }


def _run_request(periods: list[Period]) -> dg.RunRequest:
    grain = periods[0].grain
    config = MaterializeConfig(force_refresh=False, only_stale=True)
    return dg.RunRequest(
        job_name=job_name(grain),
        run_config=dg.RunConfig(ops={f"{grain.adverb}_metrics": config}),
        tags={**range_tags(periods), **_REFRESH, "dagster/priority": "-1"},
    )


def _observation(absorbed: Absorbed, plan: RefreshPlan) -> dg.AssetObservation:
    return dg.AssetObservation(
        "expenses",
        metadata={
            **absorbed_metadata(absorbed),
            "runs_requested": len(plan.runs),
            "backfilled_periods": len(plan.backfill),
            "plan": plan.why,
        },
    )
