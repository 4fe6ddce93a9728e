"""Hourly schedules: the latest periods of each grain are kept computed and in the cache."""

import dagster as dg

from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.partitions import range_tags, warm_partitions
from metrics_pipeline.defs.triggers import TRIGGER_TAG
from metrics_pipeline.periods import WARM_PERIODS, Grain
from metrics_pipeline.settings import Settings


def metrics_schedule(grain: Grain, settings: Settings) -> dg.ScheduleDefinition:
    """One ranged run an hour over the warm window.

    A schedule that was down catches up with its latest tick only: that tick's window, and whatever
    changed since, is all there is to catch up with.
    """

    @dg.schedule(
        name=f"{grain.adverb}_metrics_hourly",
        job_name=job_name(grain),
        cron_schedule="5 * * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Five minutes past every hour: computes the last {WARM_PERIODS[grain.value]} {grain.value}s of "
        "all active accounts and renews their cache entries. Turn it off to stop background computing of this "
        "grain; entries then expire after four hours and reads are answered from the database.",
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        today = settings.today(context.scheduled_execution_time)
        return dg.RunRequest(
            run_config=dg.RunConfig(ops={f"{grain.adverb}_metrics": MaterializeConfig(force_refresh=False)}),
            tags={
                **range_tags(warm_partitions(grain, settings, today)),
                TRIGGER_TAG: "schedule",
                "dagster/priority": "1",  # ahead of what a long backfill has put in the queue
            },
        )

    return hourly
