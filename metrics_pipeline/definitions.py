"""What Dagster sees."""

import dagster as dg

from metrics_pipeline.defs.assets import metrics_asset
from metrics_pipeline.defs.external import EXPENSES, METRICS_CACHE
from metrics_pipeline.defs.jobs import METRICS_JOBS
from metrics_pipeline.defs.monitoring import HEALTH_JOB, HEALTH_SCHEDULE, pipeline_health
from metrics_pipeline.defs.resources import pipeline_resource
from metrics_pipeline.defs.schedules import metrics_schedule
from metrics_pipeline.defs.sensors import expense_changes_sensor
from metrics_pipeline.periods import Grain
from metrics_pipeline.settings import Settings, load_settings


def define(settings: Settings) -> dg.Definitions:
    """All definitions, for one set of settings. Connects to nothing."""
    return dg.Definitions(
        assets=[EXPENSES, *(metrics_asset(grain, settings) for grain in Grain), METRICS_CACHE, pipeline_health],
        jobs=[*METRICS_JOBS, HEALTH_JOB],
        schedules=[*(metrics_schedule(grain, settings) for grain in Grain), HEALTH_SCHEDULE],
        sensors=[expense_changes_sensor(settings)],
        resources={"pipeline": pipeline_resource(settings)},
        # A run is one step, which uses the database's and its own threads.
        executor=dg.in_process_executor,
    )


defs = define(load_settings())
