"""One job for each metric asset: a name for its runs in the UI, for schedules and for the command line.

One for all four is not possible: the assets of a job share one kind of partition. Their checks have a
job of their own: here they would be one more step of every refresh, before the next one gets its worker.
"""

import dagster as dg

from metrics_pipeline.periods import Grain


def job_name(grain: Grain) -> str:
    return f"{grain.adverb}_metrics_job"


METRICS_JOBS = [
    dg.define_asset_job(
        job_name(grain),
        selection=dg.AssetSelection.assets(f"{grain.adverb}_metrics").without_checks(),
        description=f"Computes {grain.adverb} metrics of the chosen {grain.value}s and publishes them to Redis.",
        tags={"metrics/grain": grain.value},
    )
    for grain in Grain
]
