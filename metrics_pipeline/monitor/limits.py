"""Where the monitor draws its lines. Every limit is passed when it is exceeded, not when it is met."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

STALE_ADVICE_SECONDS = 300.0
"""A refresh takes seconds: after five minutes somebody should look."""

SLOW_AT_LEAST_SECONDS = 5.0
SLOW_MEDIAN_OF_RUNS = 5
"""A run is slow against the median of its own job too, if that has so many runs and the run takes so long:
three times 50 ms is nobody's trouble."""

SNAPSHOT_SECONDS = 60.0
"""A transaction that is open for so long keeps dead rows of the queues alive, and holds back changes of its own."""

DAEMON_SILENT_SECONDS = 120.0
"""Dagster's daemon says every half minute that it is there."""

SAMPLE = 5
"""So many examples with a recommendation."""


class Limits(BaseModel):
    """What may be set. Each field is the environment variable METRICS_MONITOR_<FIELD>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: int = Field(24, gt=0, le=24, description="Runs and reads of so many hours are judged.")
    failures_warning: float = Field(0.05, ge=0, le=1, description="Warns above this share of failed runs of one kind.")
    failures_critical: float = Field(0.10, ge=0, le=1, description="Critical above this share of failed runs.")
    stale_seconds: float = Field(3600.0, gt=0, description="Critical when a change waits for longer than this.")
    run_seconds: float = Field(30.0, gt=0, description="Warns when runs take longer than this on average; slow above.")
    slow_times_median: float = Field(3.0, gt=1, description="Slow too: above so many times the median of its job.")
    slow_runs: int = Field(10, ge=0, description="Warns above so many slow runs.")
    hit_rate: float = Field(0.95, ge=0, le=1, description="Warns when a smaller share of reads hit the cache.")
    hit_rate_reads: int = Field(1000, ge=1, description="A hit rate means something from so many reads on.")

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.failures_warning > self.failures_critical:
            raise ValueError("METRICS_MONITOR_FAILURES_WARNING is above METRICS_MONITOR_FAILURES_CRITICAL; swap them")
        return self

    @property
    def window(self) -> timedelta:
        return timedelta(hours=self.window_hours)

    @property
    def nearly_slow_seconds(self) -> float:
        """Two thirds of what a run may take: above this it is on its way there."""
        return self.run_seconds * 2 / 3
