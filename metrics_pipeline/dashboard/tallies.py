"""What only ever grows, as Prometheus wants its counters, from looks at what comes and goes.

Dagster forgets old runs and Redis old hours, so neither has a total. Each look adds what is new since
the one before it; counting begins at zero with the process, at its first look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from metrics_pipeline.cache.counters import Reads, Reason
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import Kind, RunFact, State
from metrics_pipeline.periods import Grain

JOBS = tuple(grain.adverb for grain in Grain)
_ENDED: tuple[State, ...] = ("succeeded", "failed", "canceled")
_RUN_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)
_FRESHNESS_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Tallies:
    """Counters of runs and of reads in a registry. `take` is called by one thread at a time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"metrics_pipeline_{name}", said, labels, registry=registry)

        self._runs = counter("runs", "Runs that ended.", "grain", "kind", "state")
        self._rows = counter("rows_read", "Expenses that runs read.", "grain", "kind")
        self._payloads = counter("payloads_published", "Payloads that runs wrote to Redis.", "grain", "kind")
        self._reads = counter("reads", "Reads of periods, by all readers.")
        self._misses = counter("read_misses", "Reads that the cache could not answer, by reason.", "reason")
        self._seconds = Histogram(
            "metrics_pipeline_run_duration_seconds",
            "From the start of a run to its end.",
            ["grain", "kind"],
            buckets=_RUN_BUCKETS,
            registry=registry,
        )
        self._waited = Histogram(
            "metrics_pipeline_commit_to_publish_seconds",
            "From the commit of the oldest change in a refresh until it was published.",
            buckets=_FRESHNESS_BUCKETS,
            registry=registry,
        )
        # A series that begins at one has no increase to see: all begin at zero.
        for job in JOBS:
            for kind in get_args(Kind):
                for metric in (self._rows, self._payloads, self._seconds):
                    metric.labels(job, kind)
                for state in _ENDED:
                    self._runs.labels(job, kind, state)
        for reason in get_args(Reason):
            self._misses.labels(reason)
        self._since: datetime | None = None
        self._seen: frozenset[str] = frozenset()
        self._hours: Mapping[datetime, Reads] | None = None

    def take(self, evidence: Evidence) -> None:
        """Add what is new since the last look."""
        ended = {run.run_id: run for run in evidence.history.runs if run.state in _ENDED}
        self._since = self._since or evidence.now
        for run_id in ended.keys() - self._seen:
            self._count_run(ended[run_id], self._since)
        self._seen = frozenset(ended)
        if evidence.cache.error is None:
            self._count_reads(evidence.cache.hours)

    def _count_run(self, run: RunFact, since: datetime) -> None:
        if (run.ended_at or run.created_at) < since:
            return  # before the first look, also where it came back into view as newer records were deleted
        self._runs.labels(run.job, run.kind, run.state).inc()
        if run.started_at and run.ended_at:
            self._seconds.labels(run.job, run.kind).observe((run.ended_at - run.started_at).total_seconds())
        self._rows.labels(run.job, run.kind).inc(run.rows_read or 0)
        self._payloads.labels(run.job, run.kind).inc(run.payloads or 0)
        if run.kind == "refresh" and run.change_to_publish_s is not None:
            self._waited.observe(run.change_to_publish_s)

    def _count_reads(self, hours: Mapping[datetime, Reads]) -> None:
        if self._hours is not None:
            for hour, now in hours.items():
                before = self._hours.get(hour, Reads(0, {}))
                self._reads.inc(_grown(now.reads, before.reads))
                for reason, count in now.misses.items():
                    self._misses.labels(reason).inc(_grown(count, before.misses.get(reason, 0)))
        self._hours = hours


def _grown(now: int, before: int) -> int:
    """By how much a count grew. One that is smaller than before was lost with its Redis, and began anew."""
    return now - before if now >= before else now
