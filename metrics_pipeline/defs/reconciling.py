"""The asset `reconciliation`: every night source, store and cache are compared, and what differs is mended."""

from typing import Any

import dagster as dg
from pydantic import Field

from metrics_pipeline.defs.retries import retrying_transient_errors
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.reconciliation.findings import ReconcileRequest, Reconciliation
from metrics_pipeline.settings import Settings


class ReconcileConfig(dg.Config):
    """What a reconciliation can be told in the launchpad."""

    full: bool = Field(
        default=False, description="Compute every payload again, rather than compare checksums of their expenses."
    )
    sample: int | None = Field(default=None, ge=1, description="Only so many accounts. Left out: all.")
    seed: int = Field(default=0, description="Another seed chooses other accounts.")
    repair: bool = Field(default=True, description="Refresh what differs, and compare it again.")


@dg.asset(
    deps=["metrics_cache"],
    group_name="monitoring",
    kinds={"postgres", "redis", "python"},
    owners=["team:metrics"],
    description="""Finds and mends what no trigger could see, every night: expenses changed while triggers were
disabled, a restored dump, rows and cache entries edited by hand.

- **Plots**, beside the metadata's table, shows what was found: it should stay at zero. What is known to be stale
  counts as `deferred`.
- **Table** `sample` names some of the payloads that differed.
- **A run that fails** has found something that differs even after a refresh; its error says what to do.
- In the launchpad, `full` computes every payload again. The same at a terminal: `metrics-pipeline reconcile`.
""",
)
def reconciliation(
    context: dg.AssetExecutionContext, config: ReconcileConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    request = ReconcileRequest(config.full, config.sample, config.seed, config.repair)
    with retrying_transient_errors(context):
        result = pipeline.reconcile(request)
    context.log.info(f"{result.total} of {result.compared} payloads differed; {result.marked or 0} were refreshed.")
    if request.repair and not result.verified:
        raise dg.Failure(
            f"{result.remaining} payloads still differ from their expenses after they were refreshed. Look at "
            "`metrics-pipeline check`, then run `metrics-pipeline reconcile --full`.",
            metadata=_metadata(result),
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=_metadata(result))


RECONCILE_JOB = dg.define_asset_job(
    "reconciliation_job",
    selection=["reconciliation"],
    description="Compares source, store and cache, and mends what differs.",
)


def reconcile_schedule(settings: Settings) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="reconcile_nightly",
        job=RECONCILE_JOB,
        cron_schedule="35 3 * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="At 03:35: compares source, store and cache, and mends what differs. Turn it off, and what no "
        "trigger saw stays wrong in closed periods.",
        tags={"dagster/priority": "-5"},  # behind whatever somebody waits for
    )


def _metadata(result: Reconciliation) -> dict[str, Any]:
    found: dict[str, Any] = {str(kind): count for kind, count in result.found.items()}
    return found | {
        "differing": result.total,
        "refreshed": result.marked or 0,
        "still_differing": result.remaining or 0,
        "deferred": result.deferred,
        "compared": result.compared,
        "recomputed": result.recomputed,
        "cache_entries": result.cached,
        "accounts": result.accounts,
        "without_account": result.without_account,
        "outside_partitions": result.outside,
        **{f"{grain}_coverage": share for grain, share in result.coverage.items()},
        "seconds": result.seconds,
        "mode": result.mode,
        "sample": dg.MetadataValue.table(
            records=[
                dg.TableRecord({name: "" if value is None else str(value) for name, value in drift.as_dict().items()})
                for drift in result.sample
            ],
            schema=dg.TableSchema(
                [
                    dg.TableColumn(name, "string")
                    for name in ("kind", "account_id", "grain", "period_start", "expenses", "stored")
                ]
            ),
        ),
    }
