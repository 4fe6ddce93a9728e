"""A command's pipeline: settings read, servers started where needed, connections closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metrics_pipeline.cli.output import progress_bar

if TYPE_CHECKING:
    from metrics_pipeline.pipeline import Pipeline


@contextmanager
def opened_pipeline() -> Iterator[Pipeline]:
    """The pipeline that the environment describes. Raises as `open_pipeline`."""
    with progress_bar("Connecting to PostgreSQL and Redis"):
        from metrics_pipeline.api import open_pipeline

        pipeline = open_pipeline()
    with pipeline:
        yield pipeline
