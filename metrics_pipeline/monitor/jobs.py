"""Numbers over runs of one kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from statistics import fmean

from metrics_pipeline.monitor.facts import Kind, RunFact
from metrics_pipeline.monitor.status import JobStats


def job_stats(runs: Sequence[RunFact], kind: Kind, now: datetime) -> JobStats:
    """Counts and durations of the runs of one kind. Durations are of runs that ended, well or not."""
    mine = [run for run in runs if run.kind == kind]
    ended = [run for run in mine if run.state in ("succeeded", "failed")]
    failed = [run for run in ended if run.state == "failed"]
    seconds = [taken for run in ended if (taken := run.seconds(now)) is not None]
    last = max(ended, key=_ended_at, default=None)
    return JobStats(
        executions=len(ended),
        failed=len(failed),
        canceled=sum(run.state == "canceled" for run in mine),
        queued=sum(run.state == "queued" for run in mine),
        running=sum(run.state == "running" for run in mine),
        success_rate=1 - len(failed) / len(ended) if ended else None,
        average_s=fmean(seconds) if seconds else None,
        p50_s=percentile(seconds, 0.5),
        p95_s=percentile(seconds, 0.95),
        last_at=_ended_at(last) if last else None,
        last_state=last.state if last else None,
        last_run_id=last.run_id if last else None,
        accounts=sum(run.accounts or 0 for run in mine),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all values does not exceed; None of none."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)] if values else None


def _ended_at(run: RunFact) -> datetime:
    """A run that failed before it started has no other moment than its creation."""
    return run.ended_at or run.created_at
