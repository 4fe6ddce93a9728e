"""How long a cached read takes, and computing the same payload."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import RefreshRequest

if TYPE_CHECKING:
    from metrics_pipeline.pipeline import Pipeline

_READS, _COMPUTATIONS = 1000, 7


@dataclass(frozen=True)
class ReadingTime:
    """Medians, in seconds."""

    cached: float
    computed: float


def measure_reading(pipeline: Pipeline, account_id: int, grain: Grain, today: date) -> ReadingTime:
    """Read a payload many times; then compute it a few times, as a read does that finds it nowhere."""
    request = RefreshRequest([Period.holding(grain, today)], today, [account_id])
    return ReadingTime(
        cached=_median(lambda: pipeline.reader.get(account_id, grain, today=today), _READS),
        computed=_median(lambda: pipeline.refresh(request), _COMPUTATIONS),
    )


def _median(action: Callable[[], object], times: int) -> float:
    action()  # the first one opens connections
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
