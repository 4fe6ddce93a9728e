"""Checks on the metric assets: one job an hour, and whenever a person materializes one by hand.

The jobs that compute leave them out: they would be one more step of every refresh, before the next
one gets its worker.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timezone

import dagster as dg

from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.changes.keys import Key
from metrics_pipeline.defs.partitions import first_period, warm_partitions
from metrics_pipeline.periods import Grain, periods_between
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.settings import Settings

ACCOUNTS = 20
CLOSED_PERIODS = 4
"""What is looked at, beside the warm window: so many accounts and older periods, others each time."""

_CHECKS = {
    "matches_source": "A sample of stored payloads, computed again from the expenses, comes out the same.",
    "cache_matches_store": "The cache's entries of a sample of accounts are what the store has.",
    "nothing_stale_left": "No partition waits for a refresh for longer than METRICS_REFRESH_PATIENCE_SECONDS.",
}


def asset_name(grain: Grain) -> str:
    return f"{grain.adverb}_metrics"


def metric_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """All checks of the four assets, as one step; of those assets that a run has."""

    @dg.multi_asset_check(
        name="metrics_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=asset_name(grain), description=said, blocking=False)
            for grain in Grain
            for name, said in _CHECKS.items()
        ],
        can_subset=True,
    )
    def metrics_checks(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.AssetCheckResult]:
        now = datetime.now(timezone.utc)
        backlog = pipeline.backlog()
        chance = random.Random(context.run.run_id)
        for grain in Grain:
            asset = dg.AssetKey(asset_name(grain))
            if wanted := {key.name for key in context.selected_asset_check_keys if key.asset_key == asset}:
                of_grain = [each for each in backlog if each.period.grain is grain]
                found = [*_of_sample(pipeline, settings, grain, chance), _of_backlog(settings, of_grain, grain, now)]
                yield from (result for result in found if result.check_name in wanted)

    return metrics_checks


def _of_sample(
    pipeline: Pipeline, settings: Settings, grain: Grain, chance: random.Random
) -> Iterator[dg.AssetCheckResult]:
    today = settings.today()
    warm = warm_partitions(grain, settings, today)
    older = [
        period for period in periods_between(grain, first_period(grain, settings).start, today) if period not in warm
    ]
    periods = sorted({*warm, *chance.sample(older, min(CLOSED_PERIODS, len(older)))})
    found = pipeline.spot_check(periods, ACCOUNTS, chance.random(), today)
    yield _result(grain, "matches_source", found.recomputed, found.different)
    yield _result(grain, "cache_matches_store", found.cache.compared, sorted(found.cache.different))


def _result(grain: Grain, name: str, compared: int, wrong: list[Key]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_name(grain),
        check_name=name,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,  # somebody is shown a wrong number
        description=f"{len(wrong)} of {compared} differ. Run `metrics-pipeline reconcile`." if wrong else "",
        metadata={
            "compared": compared,
            "differing": len(wrong),
            "partitions": sorted({period.key for _, period in wrong}),
            "payloads": [cache_key(*key) for key in wrong[:20]],
        },
    )


def _of_backlog(settings: Settings, backlog: list[StalePeriod], grain: Grain, now: datetime) -> dg.AssetCheckResult:
    late = [
        each for each in backlog if (now - each.first_changed_at).total_seconds() > settings.refresh_patience_seconds
    ]
    return dg.AssetCheckResult(
        asset_key=asset_name(grain),
        check_name="nothing_stale_left",
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,  # readers are answered from the expenses meanwhile
        description=f"{len(late)} partitions wait for a refresh. Run `metrics-pipeline refresh`, and look whether the "
        "sensor expense_changes is on."
        if late
        else "",
        metadata={"waiting": len(backlog), "late": len(late), "partitions": [each.period.key for each in late[:100]]},
    )


def _all_checks() -> dg.AssetSelection:
    return dg.AssetSelection.checks(
        *(dg.AssetCheckKey(dg.AssetKey(asset_name(grain)), name) for grain in Grain for name in _CHECKS)
    )


CHECKS_JOB = dg.define_asset_job(
    "metrics_checks_job",
    selection=_all_checks(),
    description="Compares a sample of payloads with the expenses and with the cache.",
)

CHECKS_SCHEDULE = dg.ScheduleDefinition(
    name="metrics_checks_hourly",
    job=CHECKS_JOB,
    cron_schedule="25 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="25 minutes past every hour: evaluates the checks of the metric assets. Turn it off to lose these "
    "checks' history, nothing else.",
    tags={"dagster/priority": "-5"},  # behind whatever somebody waits for
)
