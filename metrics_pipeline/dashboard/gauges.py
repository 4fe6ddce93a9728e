"""What is so at this moment, or over the monitor's window, as Prometheus gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.registry import Collector

from metrics_pipeline.dashboard.observer import Observation
from metrics_pipeline.dashboard.tallies import JOBS
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import Kind, State
from metrics_pipeline.monitor.status import Health, Level, Status

_LEVELS: Mapping[Level, int] = {"healthy": 0, "warning": 1, "critical": 2}
_HEALTH = ("healthy", "warning", "critical", "idle")

Labelled = Mapping[tuple[str, ...], float | None]


class Gauges(Collector):
    """The latest observation's gauges, made when asked for."""

    def __init__(self, latest: Callable[[], Observation | None]) -> None:
        self._latest = latest

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering would collect

    def collect(self) -> Iterator[Metric]:
        observation = self._latest()
        if observation is None:
            return
        yield _gauge(
            "up", "Whether the server answers.", {(name,): up for name, up in observation.up.items()}, "server"
        )
        yield _gauge("observation_age_seconds", "How old what follows is.", {(): observation.age()})
        yield _gauge("observation_duration_seconds", "How long looking took.", {(): observation.seconds})
        if observation.seen:
            yield from _seen(*observation.seen)


def _seen(evidence: Evidence, status: Status) -> Iterator[Metric]:
    yield from _health(status.health)
    yield from _runs(evidence, status)
    yield from _waiting(status)
    yield from _cache(status)
    machinery = evidence.machinery
    answers = machinery.worker_answers if machinery.ever_ran else None
    yield _gauge("worker_up", "Whether a worker answers; absent where Dagster's daemon never ran.", {(): answers})
    yield _gauge(
        "daemon_silent_seconds", "Since when Dagster's daemon was not heard of.", {(): evidence.daemon_silent_s}
    )


def _health(health: Health) -> Iterator[Metric]:
    yield StateSetMetricFamily(
        "metrics_pipeline_health", "The monitor's verdict.", {state: state == health.status for state in _HEALTH}
    )
    levels: Labelled = {(check.name,): _LEVELS[check.level] for check in health.checks}
    yield _gauge("check_level", "Each check: 0 healthy, 1 warning, 2 critical.", levels, "check")


def _runs(evidence: Evidence, status: Status) -> Iterator[Metric]:
    """Of the window, so they fall again; counters of the same are in `tallies`."""
    runs = evidence.history.runs
    counted = Counter((run.job, run.kind, run.state) for run in runs)
    every: Labelled = {
        (job, kind, state): counted[job, kind, state]
        for job in JOBS
        for kind in get_args(Kind)
        for state in get_args(State)
    }
    yield _gauge("window_runs", "Runs made in the monitor's window, by state.", every, "grain", "kind", "state")
    jobs = {"calculation": status.calculation, "refresh": status.refresh}
    seconds: Labelled = {
        (kind, name): value
        for kind, job in jobs.items()
        for name, value in (("average", job.average_s), ("p50", job.p50_s), ("p95", job.p95_s))
    }
    yield _gauge("window_run_seconds", "How long runs of the window took.", seconds, "kind", "statistic")
    rates: Labelled = {(kind,): job.success_rate for kind, job in jobs.items()}
    yield _gauge("window_success_ratio", "Share of the window's runs that succeeded.", rates, "kind")
    yield _gauge("window_slow_runs", "Slow runs of the window.", {(): len(status.slow_runs)})
    succeeded: dict[tuple[str, ...], float | None] = {(job,): 0.0 for job in JOBS}
    for run in runs:
        if run.kind == "calculation" and run.state == "succeeded" and run.ended_at:
            succeeded[run.job,] = max(succeeded[run.job,] or 0.0, run.ended_at.timestamp())
    told = "When a grain was last calculated, which a refresh of some periods is not; 0: not in the window."
    yield _gauge("last_success_timestamp_seconds", told, succeeded, "grain")


def _waiting(status: Status) -> Iterator[Metric]:
    freshness = status.freshness
    yield _gauge("log_changes", "Changes logged and not yet taken.", {(): freshness.log_changes})
    yield _gauge("stale_periods", "Periods that wait for a refresh.", {(): freshness.stale_periods})
    yield _gauge("stale_payloads", "Stale periods, once an account.", {(): freshness.stale_payloads})
    ages: Labelled = {
        ("logged",): freshness.log_oldest_s or 0.0,
        ("marked",): freshness.stale_oldest_s or 0.0,
        ("any",): freshness.oldest_s or 0.0,
    }
    yield _gauge("oldest_unpublished_seconds", "Age of the oldest unpublished change; 0: none waits.", ages, "stage")
    waited: Labelled = {
        ("p50",): freshness.published_p50_s,
        ("p95",): freshness.published_p95_s,
        ("worst",): freshness.published_worst_s,
        ("last",): freshness.published_last_s,
    }
    yield _gauge("window_commit_to_publish_seconds", "Commit to publish, over the window.", waited, "statistic")
    snapshot = freshness.snapshot
    yield _gauge(
        "oldest_snapshot_seconds", "Age of the longest open transaction.", {(): snapshot.age_s if snapshot else 0.0}
    )


def _cache(status: Status) -> Iterator[Metric]:
    yield _gauge("window_hit_ratio", "Share of the window's reads from the cache.", {(): status.performance.hit_rate})
    stale = sum(lock.stale for lock in status.locks)
    locks: Labelled = {("held",): len(status.locks) - stale, ("stale",): stale}
    yield _gauge("locks", "Locks on periods; stale: they outlived their run.", locks, "state")


def _gauge(name: str, said: str, values: Labelled, *labels: str) -> GaugeMetricFamily:
    """Values that are None are left out: there was nothing to measure."""
    family = GaugeMetricFamily(f"metrics_pipeline_{name}", said, labels=labels)
    for label_values, value in values.items():
        if value is not None:
            family.add_metric(label_values, float(value))
    return family
