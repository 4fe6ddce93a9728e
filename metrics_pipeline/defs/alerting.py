"""The sensor that tells the webhook and the dead man's switch."""

from datetime import datetime, timezone

import dagster as dg

from metrics_pipeline.alerts.alerter import tell
from metrics_pipeline.alerts.delivery import NotDelivered
from metrics_pipeline.defs.run_history import job_monitor
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """None where no receiver is set."""
    if not (settings.alert_webhook_url or settings.heartbeat_url):
        return []

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Every minute: tells the webhook when health changed or runs failed for good, and the dead "
        "man's switch that an hourly calculation went well. Looks at the state, so that a hundred failures are one "
        "alert. A tick fails when a receiver did not answer; the next one tries again. Turned off, nobody is told.",
    )
    def alerts(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        evidence = job_monitor(pipeline, context.instance).gather(datetime.now(timezone.utc))
        told = tell(pipeline.engine, settings, evidence)
        if told.errors:
            raise NotDelivered(" ".join(told.errors))
        return dg.SkipReason(f"Delivered: {', '.join(told.delivered)}." if told.delivered else "Nothing is new.")

    return [alerts]
