"""Everything that is judged at one moment, and the numbers that follow from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import get_args

from metrics_pipeline.monitor.facts import CacheFacts, Kind, Machinery, RunHistory, Waiting
from metrics_pipeline.monitor.jobs import job_stats, percentile
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.monitor.slow import slow_runs
from metrics_pipeline.monitor.status import Freshness, JobStats, Peak, Performance, SlowRun


@dataclass(frozen=True)
class Evidence:
    """What was read, by which limits, and when (aware)."""

    history: RunHistory
    waiting: Waiting
    cache: CacheFacts
    machinery: Machinery
    limits: Limits
    now: datetime

    @cached_property
    def jobs(self) -> Mapping[Kind, JobStats]:
        return {kind: job_stats(self.history.runs, kind, self.now) for kind in get_args(Kind)}

    @cached_property
    def slow(self) -> Sequence[SlowRun]:
        return slow_runs(self.history.runs, self.limits, self.now)

    @property
    def under_way(self) -> bool:
        return any(run.state in ("queued", "running") for run in self.history.runs)

    @property
    def daemon_silent_s(self) -> float | None:
        """Since when Dagster's daemon has not been heard of; None when it never was."""
        return self._age(self.machinery.heartbeat_at)

    @cached_property
    def performance(self) -> Performance:
        taken = [seconds for run in self.history.runs if (seconds := run.seconds(self.now)) is not None]
        hours = self.cache.hours
        reads = sum(hour.reads for hour in hours.values())
        misses: dict[str, int] = {}
        for hour in hours.values():
            for reason, count in hour.misses.items():
                misses[reason] = misses.get(reason, 0) + count
        busiest = max(hours.items(), key=lambda each: each[1].reads, default=None)
        target, warning = self.limits.run_seconds, self.limits.nearly_slow_seconds
        return Performance(
            target_s=target,
            over_target=sum(seconds > target for seconds in taken),
            warning_s=warning,
            over_warning=sum(seconds > warning for seconds in taken),
            reads=reads,
            misses=misses,
            hit_rate=1 - sum(misses.values()) / reads if reads else None,
            peak_hour=Peak(busiest[0], busiest[1].reads) if busiest else None,
        )

    @cached_property
    def freshness(self) -> Freshness:
        waiting = self.waiting
        refreshed = [run for run in self.history.runs if run.kind == "refresh" and run.change_to_publish_s is not None]
        published = [run.change_to_publish_s or 0.0 for run in refreshed]
        latest = max(refreshed, key=lambda run: run.ended_at or run.created_at, default=None)
        return Freshness(
            log_changes=waiting.changes,
            log_oldest_s=self._age(waiting.oldest_change_at),
            stale_periods=len(waiting.stale),
            stale_payloads=sum(each.accounts for each in waiting.stale),
            stale_oldest_s=self._age(waiting.oldest_stale_at),
            oldest_s=self._age(waiting.oldest_at),
            published_p50_s=percentile(published, 0.5),
            published_p95_s=percentile(published, 0.95),
            published_worst_s=max(published, default=None),
            published_last_s=latest.change_to_publish_s if latest else None,
            snapshot=waiting.snapshot,
        )

    def _age(self, moment: datetime | None) -> float | None:
        return None if moment is None else max((self.now - moment).total_seconds(), 0.0)
