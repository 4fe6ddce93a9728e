"""The monitor: facts in, a status out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.database import domain_errors
from metrics_pipeline.monitor.advice import recommend
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import Machinery, RunHistory
from metrics_pipeline.monitor.health import check_all, judge
from metrics_pipeline.monitor.reading import ReadLocks, read_cache, read_waiting
from metrics_pipeline.monitor.slow import slow_runs
from metrics_pipeline.monitor.status import SlowRun, Status

if TYPE_CHECKING:
    from metrics_pipeline.settings import Settings


@dataclass(frozen=True)
class Orchestrator:
    """How to ask whoever runs the jobs, so that the monitor knows no Dagster."""

    read_history: Callable[[datetime], RunHistory]
    """Reads the runs created since a moment."""
    read_locks: ReadLocks
    read_machinery: Callable[[], Machinery]


class MetricsJobMonitor:
    """Judges the jobs, the data's age, the cache and the locks. Keeps no books of its own: all is read when asked."""

    def __init__(self, engine: Engine, redis: Redis, orchestrator: Orchestrator, settings: Settings) -> None:
        self._engine, self._redis = engine, redis
        self._orchestrator, self._settings, self._limits = orchestrator, settings, settings.monitor

    def status(self, now: datetime) -> Status:
        """Everything at `now` (aware). Raises DatabaseUnavailable; a Redis that is away is a finding."""
        return assess(self.gather(now))

    def gather(self, now: datetime) -> Evidence:
        """What a status is made of. Raises as `status`."""
        ask, limits = self._orchestrator, self._limits
        with domain_errors("Reading what waits for a refresh"), self._engine.connect() as connection:
            waiting = read_waiting(connection, self._settings, now)
        cache = read_cache(self._redis, now, limits.window_hours, ask.read_locks)
        return Evidence(ask.read_history(now - limits.window), waiting, cache, ask.read_machinery(), limits, now)

    def recent_slow_runs(self, now: datetime, limit: int) -> list[SlowRun]:
        """The latest slow runs of the window, newest first."""
        history = self._orchestrator.read_history(now - self._limits.window)
        slow = slow_runs(history.runs, self._limits, now)
        return sorted(slow, key=lambda run: run.started_at, reverse=True)[:limit]


def assess(evidence: Evidence) -> Status:
    """The status that this evidence makes. Pure."""
    return Status(
        at=evidence.now,
        window_from_at=evidence.history.since,
        health=judge(check_all(evidence), evidence),
        calculation=evidence.jobs["calculation"],
        refresh=evidence.jobs["refresh"],
        performance=evidence.performance,
        freshness=evidence.freshness,
        locks=evidence.cache.locks,
        slow_runs=evidence.slow,
        recommendations=recommend(evidence),
    )
