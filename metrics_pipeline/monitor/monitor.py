"""The monitor: facts in, a status out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.database import domain_errors
from metrics_pipeline.monitor.advice import recommend
from metrics_pipeline.monitor.facts import CacheFacts, RunHistory, Waiting
from metrics_pipeline.monitor.health import check_all, judge
from metrics_pipeline.monitor.jobs import job_stats, percentile
from metrics_pipeline.monitor.limits import TARGET_SECONDS, WARNING_SECONDS, WINDOW
from metrics_pipeline.monitor.reading import ReadLocks, read_cache, read_waiting
from metrics_pipeline.monitor.slow import slow_runs
from metrics_pipeline.monitor.status import Freshness, Peak, Performance, SlowRun, Status

ReadHistory = Callable[[datetime], RunHistory]
"""Reads the runs created since a moment."""


class MetricsJobMonitor:
    """Judges the jobs, the data's age, the cache and the locks. Keeps no books of its own: all is read when asked."""

    def __init__(
        self, engine: Engine, redis: Redis, read_history: ReadHistory, read_locks: ReadLocks = lambda _: ()
    ) -> None:
        self._engine, self._redis = engine, redis
        self._read_history, self._read_locks = read_history, read_locks

    def status(self, now: datetime) -> Status:
        """Everything at `now` (aware). Raises DatabaseUnavailable; a Redis that is away is a finding."""
        with domain_errors("Reading what waits for a refresh"), self._engine.connect() as connection:
            waiting = read_waiting(connection, now)
        cache = read_cache(self._redis, now, self._read_locks)
        return assess(self._read_history(now - WINDOW), waiting, cache, now)

    def recent_slow_runs(self, now: datetime, limit: int) -> list[SlowRun]:
        """The latest slow runs of the window, newest first."""
        slow = slow_runs(self._read_history(now - WINDOW).runs, now)
        return sorted(slow, key=lambda run: run.started_at, reverse=True)[:limit]


def assess(history: RunHistory, waiting: Waiting, cache: CacheFacts, now: datetime) -> Status:
    """The status that these facts make. Pure."""
    jobs = {
        "calculation": job_stats(history.runs, "calculation", now),
        "refresh": job_stats(history.runs, "refresh", now),
    }
    performance, freshness = _performance(history, cache, now), _freshness(history, waiting, now)
    slow = slow_runs(history.runs, now)
    facts = (history, jobs, waiting, cache, freshness, performance, slow, now)
    return Status(
        at=now,
        window_from_at=history.since,
        health=judge(check_all(*facts), ran=history.last_ended_at is not None),
        calculation=jobs["calculation"],
        refresh=jobs["refresh"],
        performance=performance,
        freshness=freshness,
        locks=cache.locks,
        slow_runs=slow,
        recommendations=recommend(*facts),
    )


def _performance(history: RunHistory, cache: CacheFacts, now: datetime) -> Performance:
    taken = [seconds for run in history.runs if (seconds := run.seconds(now)) is not None]
    reads = sum(hour.reads for hour in cache.hours.values())
    misses: dict[str, int] = {}
    for hour in cache.hours.values():
        for reason, count in hour.misses.items():
            misses[reason] = misses.get(reason, 0) + count
    busiest = max(cache.hours.items(), key=lambda each: each[1].reads, default=None)
    return Performance(
        target_s=TARGET_SECONDS,
        over_target=sum(seconds > TARGET_SECONDS for seconds in taken),
        warning_s=WARNING_SECONDS,
        over_warning=sum(seconds > WARNING_SECONDS for seconds in taken),
        reads=reads,
        misses=misses,
        hit_rate=1 - sum(misses.values()) / reads if reads else None,
        peak_hour=Peak(busiest[0], busiest[1].reads) if busiest else None,
    )


def _freshness(history: RunHistory, waiting: Waiting, now: datetime) -> Freshness:
    def age(moment: datetime | None) -> float | None:
        return None if moment is None else max((now - moment).total_seconds(), 0.0)

    refreshed = [run for run in history.runs if run.kind == "refresh" and run.change_to_publish_s is not None]
    published = [run.change_to_publish_s or 0.0 for run in refreshed]
    latest = max(refreshed, key=lambda run: run.ended_at or run.created_at, default=None)
    return Freshness(
        log_changes=waiting.changes,
        log_oldest_s=age(waiting.oldest_change_at),
        stale_periods=len(waiting.stale),
        stale_payloads=sum(each.accounts for each in waiting.stale),
        stale_oldest_s=age(waiting.oldest_stale_at),
        oldest_s=age(waiting.oldest_at),
        published_p50_s=percentile(published, 0.5),
        published_p95_s=percentile(published, 0.95),
        published_worst_s=max(published, default=None),
        published_last_s=latest.change_to_publish_s if latest else None,
        snapshot=waiting.snapshot,
    )
