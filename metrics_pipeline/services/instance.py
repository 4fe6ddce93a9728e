"""The Dagster instance of this home, for processes that are none of Dagster's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metrics_pipeline.services.dagster_home import dagster_home
from metrics_pipeline.services.embedded import ensure_services

if TYPE_CHECKING:
    from metrics_pipeline.monitor.monitor import MetricsJobMonitor
    from metrics_pipeline.pipeline import Pipeline
    from metrics_pipeline.settings import Settings


def enter_dagster_home(settings: Settings) -> None:
    """Make it the instance that Dagster opens in this process. Raises as `dagster_home`."""
    os.environ.update(dagster_home(settings, ensure_services(settings)))


@contextmanager
def instance_monitor(pipeline: Pipeline) -> Iterator[MetricsJobMonitor]:
    """Its runs, with the pipeline's servers. Raises as `dagster_home`."""
    from metrics_pipeline.defs.run_history import opened_monitor  # imports Dagster

    enter_dagster_home(pipeline.settings)
    with opened_monitor(pipeline) as monitor:
        yield monitor
