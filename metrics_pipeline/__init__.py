"""Expense metrics per day, week, month and year: pre-computed, exact and fresh.

    from metrics_pipeline import Grain, open_pipeline, read_metrics

    with open_pipeline() as pipeline:
        pipeline.calculate(grains=[Grain.MONTH])
        print(pipeline.reader.get(17, Grain.MONTH).payload.currencies)

    frame = read_metrics(grains=["month"], account_ids=[17])

Names are loaded when they are first used: importing this package is cheap, and never loads Dagster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics_pipeline.api import open_pipeline, read_metrics
    from metrics_pipeline.cache.reader import MetricsReader, Reading
    from metrics_pipeline.errors import (
        BadRequest,
        CacheUnavailable,
        ConcurrentUpdate,
        ConfigurationError,
        DatabaseUnavailable,
        MetricsPipelineError,
        PermanentError,
        SchemaError,
        TransientError,
    )
    from metrics_pipeline.metrics.payload import PeriodMetrics
    from metrics_pipeline.periods import Grain, Period
    from metrics_pipeline.pipeline import Pipeline
    from metrics_pipeline.planning.request import Outcome, RefreshRequest
    from metrics_pipeline.settings import Settings, load_settings
    from metrics_pipeline.source.load import load_directory
    from metrics_pipeline.source.sample import write_sample

__all__ = [
    "BadRequest",
    "CacheUnavailable",
    "ConcurrentUpdate",
    "ConfigurationError",
    "DatabaseUnavailable",
    "Grain",
    "MetricsPipelineError",
    "MetricsReader",
    "Outcome",
    "Period",
    "PeriodMetrics",
    "PermanentError",
    "Pipeline",
    "Reading",
    "RefreshRequest",
    "SchemaError",
    "Settings",
    "TransientError",
    "load_directory",
    "load_settings",
    "open_pipeline",
    "read_metrics",
    "write_sample",
]

_HOMES = {
    "api": ("open_pipeline", "read_metrics"),
    "cache.reader": ("MetricsReader", "Reading"),
    "metrics.payload": ("PeriodMetrics",),
    "periods": ("Grain", "Period"),
    "pipeline": ("Pipeline",),
    "planning.request": ("Outcome", "RefreshRequest"),
    "settings": ("Settings", "load_settings"),
    "source.load": ("load_directory",),
    "source.sample": ("write_sample",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
