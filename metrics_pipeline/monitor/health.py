"""The rules of health, each a named check, and the verdict over them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from metrics_pipeline.monitor.facts import CacheFacts, LockFact, RunHistory, Waiting
from metrics_pipeline.monitor.limits import (
    FAILURES_CRITICAL,
    FAILURES_WARNING,
    HIT_RATE_READS,
    HIT_RATE_WARNING,
    SLOW_RUNS_WARNING,
    STALE_CRITICAL_SECONDS,
    TARGET_SECONDS,
)
from metrics_pipeline.monitor.status import Check, Freshness, Health, JobStats, Level, Performance, SlowRun
from metrics_pipeline.monitor.wording import age, counted

CHECKS = ("failures", "staleness", "activity", "duration", "slow_runs", "locks", "hit_rate", "capture", "redis")
_WORST_FIRST: Sequence[Level] = ("critical", "warning", "healthy")


def judge(checks: Sequence[Check], *, ran: bool) -> Health:
    """The worst of the checks. `ran`: whether any run ever ended."""
    found = [check for level in _WORST_FIRST[:2] for check in checks if check.level == level]
    if found:
        return Health(found[0].level, "; ".join(check.said for check in found) + ".", checks)
    if not ran:
        return Health("idle", "Nothing ran yet, and nothing is wrong.", checks)
    return Health("healthy", "Jobs succeed, and what changed is published.", checks)


def check_all(
    history: RunHistory,
    jobs: dict[str, JobStats],
    waiting: Waiting,
    cache: CacheFacts,
    freshness: Freshness,
    performance: Performance,
    slow: Sequence[SlowRun],
    now: datetime,
) -> list[Check]:
    """Every check, in the order of CHECKS."""
    return [
        _failures(jobs),
        _staleness(freshness),
        _activity(history, now),
        _duration(jobs),
        _slow(slow),
        _locks(cache.locks),
        _hit_rate(performance),
        _capture(waiting),
        Check("redis", "critical", "Redis is away, so nothing is refreshed or published")
        if cache.error
        else Check("redis", "healthy", "Redis answers"),
    ]


def _failures(jobs: dict[str, JobStats]) -> Check:
    """Each kind apart: a thousand good refreshes must not hide that every hourly run fails."""
    kind, worst = max(jobs.items(), key=lambda each: _failed_share(each[1]))
    share = _failed_share(worst)
    if not worst.failed:
        return Check("failures", "healthy", "no run failed")
    said = f"{worst.failed} of {counted(worst.executions, kind)} failed ({share:.0%})"
    return Check("failures", _level(share > FAILURES_CRITICAL, share > FAILURES_WARNING), said)


def _failed_share(stats: JobStats) -> float:
    return stats.failed / stats.executions if stats.executions else 0.0


def _staleness(freshness: Freshness) -> Check:
    if freshness.oldest_s is None:
        return Check("staleness", "healthy", "nothing waits to be published")
    critical = freshness.oldest_s > STALE_CRITICAL_SECONDS
    said = f"the oldest unpublished change is {age(freshness.oldest_s)} old"
    return Check("staleness", _level(critical), said)


def _activity(history: RunHistory, now: datetime) -> Check:
    """Quiet is healthy before the first run; after it, hourly runs that stopped must not look idle."""
    if history.last_ended_at is None:
        return Check("activity", "healthy", "nothing ran yet")
    since = (now - history.last_ended_at).total_seconds()
    return Check(
        "activity",
        _level(warning=history.last_ended_at < history.since and not _under_way(history)),
        f"the last run ended {age(since)} ago",
    )


def _under_way(history: RunHistory) -> bool:
    return any(run.state in ("queued", "running") for run in history.runs)


def _duration(jobs: dict[str, JobStats]) -> Check:
    averages = [(stats.average_s, kind) for kind, stats in jobs.items() if stats.average_s is not None]
    if not averages:
        return Check("duration", "healthy", "no run to measure")
    average, kind = max(averages)
    return Check("duration", _level(warning=average > TARGET_SECONDS), f"a {kind} takes {average:.1f} s on average")


def _slow(slow: Sequence[SlowRun]) -> Check:
    return Check("slow_runs", _level(warning=len(slow) > SLOW_RUNS_WARNING), f"{counted(len(slow), 'slow run')}")


def _locks(locks: Sequence[LockFact]) -> Check:
    stale = sum(lock.stale for lock in locks)
    return Check("locks", _level(warning=stale > 0), counted(stale, "stale lock"))


def _hit_rate(performance: Performance) -> Check:
    rate = performance.hit_rate
    if rate is None:
        return Check("hit_rate", "healthy", "nothing was read")
    low = rate < HIT_RATE_WARNING and performance.reads >= HIT_RATE_READS
    return Check("hit_rate", _level(warning=low), f"{rate:.1%} of {performance.reads:,} reads hit the cache")


def _capture(waiting: Waiting) -> Check:
    problems = waiting.capture_problems
    if not problems:
        return Check("capture", "healthy", "every change is logged")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Check("capture", "warning", f"{problems[0].message.rstrip('.')}{more}")


def _level(critical: bool = False, warning: bool = False) -> Level:
    return "critical" if critical else "warning" if warning else "healthy"
