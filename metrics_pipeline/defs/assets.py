"""The four metric assets: one body, told apart by their grain."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from time import monotonic

import dagster as dg
from pydantic import Field

from metrics_pipeline.cache.locks import PATIENCE_SECONDS, Policy, period_locks
from metrics_pipeline.defs.liveness import run_liveness
from metrics_pipeline.defs.metadata import published_metadata, run_metadata
from metrics_pipeline.defs.partitions import partitions, periods_of
from metrics_pipeline.defs.retries import retrying_transient_errors
from metrics_pipeline.defs.triggers import ONLY_STALE_TAG, computed_by
from metrics_pipeline.metrics.payload import CODE_VERSION
from metrics_pipeline.periods import WARM_PERIODS, Grain, Period, parse_day
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline.planning.stretches import PERIODS_PER_RUN
from metrics_pipeline.settings import Settings

_PROGRESS_SECONDS = 5.0

# The schedules run hourly: one missed hour warns, three fail.
_FRESHNESS = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=130), fail_window=timedelta(hours=4))


class MaterializeConfig(dg.Config):
    """What a materialization can be told in the launchpad."""

    account_ids: list[int] | None = Field(
        default=None, description="Only these accounts, active or not. Left out: every active account."
    )
    force_refresh: bool = Field(
        default=True,
        description="Write and publish a new version of every payload. False writes only payloads that changed, and "
        "still renews the cache.",
    )
    only_stale: bool = Field(
        default=False,
        description="Of the chosen partitions compute just what is marked stale, for the accounts concerned. What "
        "the sensor passes.",
    )
    only_outdated: bool = Field(
        default=False,
        description="Of closed partitions compute just what is missing, stale or computed by older rules, and renew "
        "the cache entries of the rest. What the schedules pass, with force_refresh false.",
    )
    shard: str | None = Field(
        default=None,
        description='As "i/n": just the accounts of the i-th of n runs, which together compute what one would. Left '
        "out: all of them.",
    )
    today: str | None = Field(
        default=None, description="The local day that counts as today, YYYY-MM-DD. Left out: the day it is."
    )


@contextmanager
def _betas_are_settled() -> Iterator[None]:
    """Dagster is pinned to 1.13, where backfill policies are still called beta: not worth a warning a process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


@_betas_are_settled()
def metrics_asset(grain: Grain, settings: Settings) -> dg.AssetsDefinition:
    """The asset of one grain: a partition is a period, a materialization computes and publishes it."""

    @dg.asset(
        name=f"{grain.adverb}_metrics",
        deps=["expenses"],
        description=_description(grain),
        partitions_def=partitions(grain, settings),
        output_required=False,  # a scheduled run that found every period taken materializes nothing
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=PERIODS_PER_RUN[grain]),
        freshness_policy=_FRESHNESS,
        code_version=CODE_VERSION,
        group_name="metrics",
        kinds={"postgres", "redis", "python"},
        owners=["team:metrics"],
        tags={"metrics/grain": grain.value},
        metadata={"dashboard": dg.MetadataValue.url(settings.dashboard_address)},
    )
    def metrics(
        context: dg.AssetExecutionContext, config: MaterializeConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None]]:
        periods: list[Period]
        with retrying_transient_errors(context):
            request = RefreshRequest(
                periods_of(grain, context.partition_keys),
                today=parse_day(config.today, "today") if config.today else settings.today(),
                account_ids=config.account_ids,
                computed_by=computed_by(context.run.tags),
                force=config.force_refresh,
                only_stale=config.only_stale or ONLY_STALE_TAG in context.run.tags,
                only_outdated=config.only_outdated,
                shard=Shard.parse(config.shard) if config.shard else None,
            )
            # The next hour comes anyway; whoever else asks wants it done.
            policy: Policy = "skip" if request.computed_by == "schedule" else "wait"
            with period_locks(
                pipeline.redis,
                pipeline.engine,
                request.periods,
                holder=context.run.run_id,
                policy=policy,
                shard=request.shard,
                is_alive=run_liveness(context.instance),
                patience_seconds=PATIENCE_SECONDS,
            ) as locks:
                for period, holder in locks.skipped.items():
                    context.log.info(f"{period} is already being computed by run {holder}: left out.")
                periods, skipped = locks.held, locks.skipped
                if periods:
                    request = replace(request, periods=periods)
                    outcome = pipeline.refresh(request, _log_progress(context), locks.check)
        if not periods:
            return
        for period in [*periods, *skipped]:
            context.add_asset_metadata(
                {"payloads": outcome.payloads_by_period.get(period, 0)}, partition_key=period.key
            )
        context.log_event(dg.AssetMaterialization("metrics_cache", metadata=published_metadata(outcome)))
        yield dg.MaterializeResult(metadata={**run_metadata(outcome, periods), **_skipped_metadata(skipped)})

    return metrics


def _skipped_metadata(skipped: Mapping[Period, str]) -> dict[str, list[str]]:
    """Partitions of the run that others were computing; Dagster marks the whole range as materialized."""
    return {"skipped_partitions": [period.key for period in skipped]} if skipped else {}


def _log_progress(context: dg.AssetExecutionContext) -> Progress:
    """A callback that logs how far the run is, at most every few seconds."""
    started = logged = monotonic()

    def log(outcome: Outcome) -> None:
        nonlocal logged
        now = monotonic()
        if now - logged >= _PROGRESS_SECONDS:
            logged = now
            context.log.info(
                f"{outcome.accounts_done:,} of {outcome.accounts_to_do:,} accounts done: {outcome.payloads:,} payloads "
                f"stored, {outcome.publishing}; {outcome.rows_read:,} rows read, "
                f"{outcome.rows_read / (now - started):,.0f} a second"
            )

    return log


def _description(grain: Grain) -> str:
    return f"""The expense metrics of every account for one **{grain.value}**: totals, averages, medians, trends,
categories, series, sparkline and budgets, per currency. Each partition is one {grain.value}, named after its
first day.

- **How it stays fresh**: the sensor `expense_changes` refreshes what changed within seconds;
  `{grain.adverb}_metrics_hourly` computes the current {grain.value} every hour, and of the
  {WARM_PERIODS[grain.value] - 1} before it what is missing, stale or of an older code version; all stay in Redis.
- **To compute a {grain.value} again**: *Materialize*, choose the partitions. In the launchpad, `account_ids` limits
  the run to some accounts, which still marks the whole partition as materialized.
- **Many at once** become a backfill of {PERIODS_PER_RUN[grain]} partitions a run.
- **Where the results are**: table `metrics.period_metrics` for good, `metrics_cache` for four hours. Nothing is
  lost by materializing twice: versions only grow, and an older one never replaces a newer one.
- **When it fails**: a server that was away is tried again three times by itself. A setting, a schema or an argument
  that is wrong ends the run at once; its error says what to change.
"""
