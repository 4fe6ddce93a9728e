"""Where the monitor draws its lines. Every limit is passed when it is exceeded, not when it is met."""

from __future__ import annotations

from datetime import timedelta

WINDOW = timedelta(hours=24)
"""What runs and reads are judged by."""

FAILURES_WARNING, FAILURES_CRITICAL = 0.05, 0.10
"""Share of the runs of one kind that failed."""

STALE_CRITICAL_SECONDS = 3600.0
STALE_ADVICE_SECONDS = 300.0
"""A refresh takes seconds: after five minutes somebody should look."""

TARGET_SECONDS, WARNING_SECONDS = 30.0, 20.0
"""A run should be over by the target; above the warning it is on its way there."""

SLOW_TIMES_MEDIAN = 3.0
SLOW_AT_LEAST_SECONDS = 5.0
SLOW_MEDIAN_OF_RUNS = 5
"""A run is slow against the median of its own job too, if that has so many runs and the run takes so long:
three times 50 ms is nobody's trouble."""

SLOW_RUNS_WARNING = 10
HIT_RATE_WARNING, HIT_RATE_READS = 0.95, 1000
"""A hit rate means something from so many reads on."""

SNAPSHOT_SECONDS = 60.0
"""A transaction that is open for so long keeps dead rows of the queues alive, and holds back changes of its own."""

SAMPLE = 5
"""So many examples with a recommendation."""
