"""Hourly schedules: the latest periods of each grain are kept computed and in the cache."""

import dagster as dg

from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.jobs import job_name
from metrics_pipeline.defs.partitions import range_tags, warm_partitions
from metrics_pipeline.defs.triggers import SHARD_TAG, TRIGGER_TAG
from metrics_pipeline.periods import WARM_PERIODS, Grain
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline.settings import Settings


def metrics_schedule(grain: Grain, settings: Settings) -> dg.ScheduleDefinition:
    """One ranged run an hour over the warm window; METRICS_SHARDS of them, which divide the accounts.

    A schedule that was down catches up with its latest tick only: that tick's window, and whatever
    changed since, is all there is to catch up with.
    """

    @dg.schedule(
        name=f"{grain.adverb}_metrics_hourly",
        job_name=job_name(grain),
        cron_schedule="5 * * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Five minutes past every hour: computes the current {grain.value} of all active accounts, of the "
        f"{WARM_PERIODS[grain.value] - 1} before it what is missing, stale or computed by older rules, and renews the "
        "cache entries of all of them. Turn it off to stop background computing of this grain; entries then expire "
        "after four hours and reads are answered from the database.",
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        today = settings.today(context.scheduled_execution_time)
        return [
            dg.RunRequest(
                run_key=shard,  # two runs of one tick without a key count as one
                run_config=dg.RunConfig(
                    ops={
                        f"{grain.adverb}_metrics": MaterializeConfig(
                            force_refresh=False, only_outdated=True, shard=shard
                        )
                    }
                ),
                tags={
                    **range_tags(warm_partitions(grain, settings, today)),
                    **({SHARD_TAG: shard} if shard else {}),
                    TRIGGER_TAG: "schedule",
                    "dagster/priority": "1",  # ahead of what a long backfill has put in the queue
                },
            )
            for shard in _shards(settings.shards)
        ]

    return hourly


def _shards(count: int) -> list[str | None]:
    return [str(Shard(index, count)) for index in range(1, count + 1)] if count > 1 else [None]
