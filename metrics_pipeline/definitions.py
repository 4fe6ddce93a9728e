"""What Dagster sees."""

import gc

import dagster as dg

from metrics_pipeline.defs.alerting import alert_sensors
from metrics_pipeline.defs.assets import metrics_asset
from metrics_pipeline.defs.checks import CHECKS_JOB, CHECKS_SCHEDULE, metric_checks
from metrics_pipeline.defs.external import EXPENSES, METRICS_CACHE
from metrics_pipeline.defs.jobs import METRICS_JOBS
from metrics_pipeline.defs.maintenance import clear_stale_locks
from metrics_pipeline.defs.monitoring import HEALTH_JOB, HEALTH_SCHEDULE, health_asset
from metrics_pipeline.defs.reconciling import RECONCILE_JOB, reconcile_schedule, reconciliation
from metrics_pipeline.defs.resources import pipeline_resource
from metrics_pipeline.defs.retention import retention_job, retention_schedule
from metrics_pipeline.defs.schedules import metrics_schedule
from metrics_pipeline.defs.sensors import expense_changes_sensor
from metrics_pipeline.defs.watch import expense_changes_watch
from metrics_pipeline.periods import Grain
from metrics_pipeline.planning.request import Progress
from metrics_pipeline.settings import Settings, load_settings


def define(settings: Settings, follow: Progress | None = None) -> dg.Definitions:
    """All definitions, for one set of settings. Connects to nothing. `follow` is told how far every refresh is."""
    return dg.Definitions(
        assets=[
            EXPENSES,
            *(metrics_asset(grain, settings) for grain in Grain),
            METRICS_CACHE,
            health_asset(settings),
            reconciliation,
        ],
        asset_checks=[metric_checks(settings)],
        jobs=[*METRICS_JOBS, HEALTH_JOB, CHECKS_JOB, RECONCILE_JOB, retention_job],
        schedules=[
            *(metrics_schedule(grain, settings) for grain in Grain),
            HEALTH_SCHEDULE,
            CHECKS_SCHEDULE,
            reconcile_schedule(settings),
            retention_schedule(settings),
        ],
        sensors=[expense_changes_sensor(settings), expense_changes_watch, clear_stale_locks, *alert_sensors(settings)],
        resources={"pipeline": pipeline_resource(settings, follow)},
        # A run is one step, which uses the database's and its own threads.
        executor=dg.in_process_executor,
    )


defs = define(load_settings())

# What is loaded by now lives as long as the process. Python's collector would go over all of it several times a run:
# a twentieth of a run's work.
gc.freeze()
