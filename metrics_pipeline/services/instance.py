"""The monitor on the Dagster instance of this home, for processes that are none of Dagster's."""

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


@contextmanager
def instance_monitor(pipeline: Pipeline) -> Iterator[MetricsJobMonitor]:
    """Prepares DAGSTER_HOME and this process's environment first. Raises as `dagster_home`."""
    from metrics_pipeline.defs.run_history import opened_monitor  # imports Dagster

    os.environ.update(dagster_home(pipeline.settings, ensure_services(pipeline.settings)))
    with opened_monitor(pipeline) as monitor:
        yield monitor
