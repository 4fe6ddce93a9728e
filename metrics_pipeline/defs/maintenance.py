"""The sensor that clears away what dead runs left locked."""

from datetime import datetime, timezone

import dagster as dg

from metrics_pipeline.cache.held_locks import clear_lock, list_locks, stale_locks
from metrics_pipeline.defs.liveness import run_liveness
from metrics_pipeline.pipeline import Pipeline

NAME = "clear_stale_locks"


@dg.sensor(
    name=NAME,
    # What it does is done in its tick; Dagster wants to know of a job all the same.
    asset_selection=["pipeline_health"],
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Clears the locks of runs that ended without giving them back: those that missed two renewals and "
    "whose run Dagster does not know, or knows to be finished. Says so as an observation of `pipeline_health`. "
    "Turned off, such locks end with their lease of a minute.",
)
def clear_stale_locks(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
    now = datetime.now(timezone.utc)
    held = list_locks(pipeline.redis, now)
    of_runs = [lock for lock in held if lock.lease_seconds]  # not those that a person set
    stale = stale_locks(of_runs, run_liveness(context.instance), now)
    cleared = [lock for lock in stale if clear_lock(pipeline.redis, lock)]
    if not cleared:
        return dg.SensorResult(skip_reason=f"{len(held)} locks are held, none of them stale.")
    said = f"Cleared {len(cleared)} locks: " + ", ".join(f"{lock.key} of run {lock.holder}" for lock in cleared)
    context.log.warning(said)
    return dg.SensorResult(
        skip_reason=said,
        asset_events=[
            dg.AssetObservation(
                "pipeline_health",
                description=said,
                metadata={
                    "locks_cleared": len(cleared),
                    "cleared": [f"{lock.key} of run {lock.holder}" for lock in cleared],
                },
            )
        ],
    )
