from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from metrics_pipeline.cli.exits import ATTENTION
from metrics_pipeline.cli.opened import opened_pipeline

if TYPE_CHECKING:
    from metrics_pipeline.services import Program
    from metrics_pipeline.settings import Settings


def up() -> None:
    """Run everything until Ctrl-C: Dagster, a worker and the dashboard.

    The hourly schedules and the sensor that follows expense changes run while
    this does. PostgreSQL and Redis are started first if needed, and stay when
    this ends. Dagster's UI is at http://127.0.0.1:3000, the dashboard at
    http://127.0.0.1:8000; METRICS_DAGSTER_PORT and METRICS_DASHBOARD_PORT
    change the ports.
    """
    from metrics_pipeline.services import up as run_until_stopped

    with opened_pipeline() as pipeline:
        pipeline.migrate()
        settings = pipeline.settings
    if run_until_stopped(settings, more=[_dashboard(settings)]):
        raise typer.Exit(ATTENTION)


def _dashboard(settings: Settings) -> Program:
    from metrics_pipeline.dashboard.server import check_exposure
    from metrics_pipeline.services import Program, answers

    check_exposure(settings)
    local = f"http://{settings.dashboard_host}:{settings.dashboard_port}/healthz"
    return Program(
        "dashboard",
        [sys.executable, "-m", "metrics_pipeline.dashboard"],
        ready=lambda: answers(local),
        when_ready=f"Dashboard: {settings.dashboard_address}",
    )
