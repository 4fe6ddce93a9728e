"""Which runs were slow, and whether much data explains it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from metrics_pipeline.monitor.facts import RunFact
from metrics_pipeline.monitor.limits import SLOW_AT_LEAST_SECONDS, SLOW_MEDIAN_OF_RUNS, Limits
from metrics_pipeline.monitor.status import SlowRun


def slow_runs(runs: Sequence[RunFact], limits: Limits, now: datetime) -> list[SlowRun]:
    """Runs over the target, or over some times the median of their job and kind; slowest first.

    A run that has not ended counts with the time it has taken so far, against the target only.
    """
    medians = _medians(runs, now)
    found = []
    for run in runs:
        taken = run.seconds(now)
        if taken is None or run.started_at is None or run.state == "canceled":
            continue
        usual_seconds, usual_rows = medians.get((run.job, run.kind), (None, None))
        times = taken / usual_seconds if usual_seconds else None
        relative = (
            run.ended_at is not None
            and times is not None
            and times > limits.slow_times_median
            and taken > SLOW_AT_LEAST_SECONDS
        )
        if taken > limits.run_seconds or relative:
            rows_times = run.rows_read / usual_rows if run.rows_read is not None and usual_rows else None
            found.append(
                SlowRun(
                    run.run_id,
                    run.job,
                    run.kind,
                    run.state,
                    run.started_at,
                    taken,
                    run.accounts,
                    run.rows_read,
                    run.partitions,
                    times,
                    rows_times,
                    _why(times, rows_times, limits),
                )
            )
    return sorted(found, key=lambda run: -run.seconds)


def _medians(runs: Sequence[RunFact], now: datetime) -> dict[tuple[str, str], tuple[float, float]]:
    """Median seconds and rows of each job and kind that has enough runs which succeeded."""
    done: dict[tuple[str, str], list[RunFact]] = {}
    for run in runs:
        if run.state == "succeeded" and run.started_at:
            done.setdefault((run.job, run.kind), []).append(run)
    return {
        job: (median(run.seconds(now) or 0.0 for run in of_job), median(run.rows_read or 0 for run in of_job))
        for job, of_job in done.items()
        if len(of_job) >= SLOW_MEDIAN_OF_RUNS
    }


def _why(times: float | None, rows_times: float | None, limits: Limits) -> str:
    if times is None:
        return f"over {limits.run_seconds:.0f} s"
    return f"{times:.1f}× its job's median" + ("" if rows_times is None else f", on {rows_times:.1f}× its rows")
