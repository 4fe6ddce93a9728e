"""The pipeline as a Dagster resource: opened for a run, closed after it."""

from collections.abc import Iterator

import dagster as dg

from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Progress
from metrics_pipeline.settings import Settings


def pipeline_resource(settings: Settings, follow: Progress | None = None) -> dg.ResourceDefinition:
    """A `Pipeline` on the servers that the settings name. Loading definitions connects to nothing."""

    @dg.resource(
        description="PostgreSQL and Redis, as METRICS_DATABASE_URL and METRICS_REDIS_URL name them, "
        "and the computing between the two."
    )
    def pipeline(_: dg.InitResourceContext) -> Iterator[Pipeline]:
        with Pipeline(settings, follow) as opened:
            yield opened

    return pipeline
