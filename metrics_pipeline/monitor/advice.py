"""What to do about what was found: exact numbers, a capped sample, and a command. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from metrics_pipeline.monitor.facts import CacheFacts, LockFact, RunFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import (
    FAILURES_CRITICAL,
    HIT_RATE_READS,
    HIT_RATE_WARNING,
    SAMPLE,
    SLOW_RUNS_WARNING,
    STALE_ADVICE_SECONDS,
    STALE_CRITICAL_SECONDS,
    TARGET_SECONDS,
)
from metrics_pipeline.monitor.status import Freshness, JobStats, Performance, Recommendation, SlowRun
from metrics_pipeline.monitor.wording import age, counted

_PRIORITIES = ("high", "medium", "low")


def recommend(
    history: RunHistory,
    jobs: dict[str, JobStats],
    waiting: Waiting,
    cache: CacheFacts,
    freshness: Freshness,
    performance: Performance,
    slow: Sequence[SlowRun],
    now: datetime,
) -> list[Recommendation]:
    """All that applies, most urgent first."""
    found = [
        *_servers(cache),
        *_capture(waiting),
        *_failures(history, jobs),
        *_stale(waiting, freshness, now),
        *_snapshot(freshness),
        *_activity(history, now),
        *_locks(cache),
        *_slow(slow, jobs),
        *_hit_rate(performance),
    ]
    return sorted(found, key=lambda each: _PRIORITIES.index(each.priority))


def _servers(cache: CacheFacts) -> Iterator[Recommendation]:
    if cache.error:
        yield Recommendation("high", "cache", cache.error, "metrics-pipeline check")


def _capture(waiting: Waiting) -> Iterator[Recommendation]:
    if problems := waiting.capture_problems:
        yield Recommendation(
            "high",
            "capture",
            f"{counted(len(problems), 'thing')} keep{'s' if len(problems) == 1 else ''} changes from being noticed.",
            "metrics-pipeline migrate",
            [f"{problem.message} {problem.to_do}" for problem in problems[:SAMPLE]],
        )


def _failures(history: RunHistory, jobs: dict[str, JobStats]) -> Iterator[Recommendation]:
    for kind, stats in jobs.items():
        if stats.failed:
            failed = [run for run in history.runs if run.kind == kind and run.state == "failed"]
            critical = stats.failed / stats.executions > FAILURES_CRITICAL
            yield Recommendation(
                "high" if critical else "medium",
                "failures",
                f"{stats.failed} of {counted(stats.executions, kind)} failed. The page of the run in Dagster's UI "
                "shows the error.",
                "metrics-pipeline check",
                [_run(run) for run in failed[:SAMPLE]],
            )


def _run(run: RunFact) -> str:
    return f"{run.job} {run.partitions}, run {run.run_id}"


def _stale(waiting: Waiting, freshness: Freshness, now: datetime) -> Iterator[Recommendation]:
    oldest = freshness.oldest_s
    if oldest is None or oldest <= STALE_ADVICE_SECONDS:
        return
    if (freshness.log_oldest_s or 0.0) > STALE_ADVICE_SECONDS:
        what = f"Not read yet: {counted(freshness.log_changes, 'logged change')}. Is the sensor expense_changes on?"
    else:
        what = (
            f"Not refreshed yet: {counted(freshness.stale_periods, 'stale period')}. Do the runs succeed, and is a "
            "worker there?"
        )
    stalest = sorted(waiting.stale, key=lambda each: each.first_changed_at)[:SAMPLE]
    yield Recommendation(
        "high" if oldest > STALE_CRITICAL_SECONDS else "medium",
        "freshness",
        f"{what} The oldest has waited for {age(oldest)}.",
        "metrics-pipeline up",
        [f"{each.period}, for {age((now - each.first_changed_at).total_seconds())}" for each in stalest],
    )


def _snapshot(freshness: Freshness) -> Iterator[Recommendation]:
    if holder := freshness.snapshot:
        yield Recommendation(
            "medium",
            "maintenance",
            f"A transaction of process {holder.pid} ({holder.application or 'unnamed'}, {holder.state}) has been open "
            f"for {age(holder.age_s)}: it slows every read of the queues, and what it changed is not seen yet. End "
            "it where it was begun, or by force.",
            f'psql "$METRICS_DATABASE_URL" -c "SELECT pg_terminate_backend({holder.pid})"',
        )


def _activity(history: RunHistory, now: datetime) -> Iterator[Recommendation]:
    ended, under_way = history.last_ended_at, any(run.state in ("queued", "running") for run in history.runs)
    if ended and ended < history.since and not under_way:
        yield Recommendation(
            "high",
            "freshness",
            f"Nothing was calculated for {age((now - ended).total_seconds())}: the hourly schedules do not run.",
            "metrics-pipeline up",
        )


def _locks(cache: CacheFacts) -> Iterator[Recommendation]:
    if stale := [lock for lock in cache.locks if lock.stale]:
        yield Recommendation(
            "high",
            "maintenance",
            f"{counted(len(stale), 'lock')} outlived the run that held {'it' if len(stale) == 1 else 'them'}; "
            "periods so locked are not computed.",
            "metrics-pipeline locks clear-stale",
            [_lock(lock) for lock in stale[:SAMPLE]],
        )


def _lock(lock: LockFact) -> str:
    return f"{lock.key}, held by {lock.holder}" + ("" if lock.age_s is None else f" for {age(lock.age_s)}")


def _slow(slow: Sequence[SlowRun], jobs: dict[str, JobStats]) -> Iterator[Recommendation]:
    averages = [stats.average_s for stats in jobs.values() if stats.average_s is not None]
    if len(slow) > SLOW_RUNS_WARNING or max(averages, default=0.0) > TARGET_SECONDS:
        yield Recommendation(
            "medium",
            "performance",
            f"{counted(len(slow), 'slow run')}. Those slow on much data want more workers; those slow on little, a "
            "look at the database.",
            "metrics-pipeline slow-runs",
            [f"{run.job} {run.partitions}: {run.seconds:.1f} s, {run.why}" for run in slow[:SAMPLE]],
        )


def _hit_rate(performance: Performance) -> Iterator[Recommendation]:
    rate = performance.hit_rate
    if rate is not None and rate < HIT_RATE_WARNING and performance.reads >= HIT_RATE_READS:
        yield Recommendation(
            "low",
            "cache",
            f"{rate:.1%} of {performance.reads:,} reads were answered from the cache. Cold: not published, expired, "
            "dropped or evicted (has Redis enough memory?); outdated: changed faster than refreshed.",
            "metrics-pipeline calculate",
            [f"{reason}: {count:,}" for reason, count in sorted(performance.misses.items())],
        )
