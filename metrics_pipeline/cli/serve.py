from __future__ import annotations

from metrics_pipeline.cli.opened import opened_pipeline


def serve() -> None:
    """Run the dashboard alone until Ctrl-C.

    [bold]metrics-pipeline up[/bold] runs it too. METRICS_DASHBOARD_PORT (8000) and METRICS_DASHBOARD_HOST
    (127.0.0.1) say where; anywhere but on loopback it needs METRICS_DASHBOARD_SECRET, and visitors need a
    token.
    """
    from metrics_pipeline.dashboard.server import check_exposure
    from metrics_pipeline.dashboard.server import serve as run_until_stopped
    from metrics_pipeline.services.instance import instance_monitor

    with opened_pipeline() as pipeline:
        check_exposure(pipeline.settings)
        pipeline.migrate()
        settings = pipeline.settings
    run_until_stopped(settings, instance_monitor)
