"""A command's monitor: the pipeline's servers, and the runs of the instance that `run` and `up` use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.output import progress_bar

if TYPE_CHECKING:
    from metrics_pipeline.monitor.monitor import MetricsJobMonitor


@contextmanager
def monitored() -> Iterator[MetricsJobMonitor]:
    """The monitor of what the environment describes. Raises as `open_pipeline`."""
    with opened_pipeline() as pipeline:
        with progress_bar("Opening Dagster's records"):
            from metrics_pipeline.defs.run_history import opened_monitor
            from metrics_pipeline.services import enter_dagster_home

            enter_dagster_home(pipeline.settings)
        with opened_monitor(pipeline) as monitor:
            yield monitor
