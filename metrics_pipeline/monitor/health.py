"""The rules of health, each a named check, and the verdict over them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.limits import DAEMON_SILENT_SECONDS
from metrics_pipeline.monitor.status import Check, Health, JobStats, Level
from metrics_pipeline.monitor.wording import age, counted, listed

_WORST_FIRST: Sequence[Level] = ("critical", "warning", "healthy")


def judge(checks: Sequence[Check], evidence: Evidence) -> Health:
    """The worst of the checks; idle when nothing is wrong and nothing ran, or runs here."""
    found = [check for level in _WORST_FIRST[:2] for check in checks if check.level == level]
    if found:
        return Health(found[0].level, "; ".join(check.said for check in found) + ".", checks)
    if not evidence.machinery.ever_ran:
        waits = ", and changes wait" if evidence.freshness.oldest_s is not None else ""
        return Health("idle", f"Nothing is running here{waits}: start `metrics-pipeline up`.", checks)
    if evidence.history.last_ended_at is None:
        return Health("idle", "Nothing was calculated yet, and nothing is wrong.", checks)
    return Health("healthy", "Jobs succeed, and what changed is published.", checks)


def check_all(evidence: Evidence) -> list[Check]:
    """Every check, in the order of CHECKS."""
    return [Check(name, *rule(evidence)) for name, rule in _RULES.items()]


def _daemon(evidence: Evidence) -> tuple[Level, str]:
    silent = evidence.daemon_silent_s
    if silent is None:
        return "healthy", "nothing is running here"
    if silent > DAEMON_SILENT_SECONDS:
        return "critical", f"Dagster's daemon stopped {age(silent)} ago, so nothing is scheduled or refreshed"
    return "healthy", "Dagster's daemon is running"


def _workers(evidence: Evidence) -> tuple[Level, str]:
    """Whether somebody does the runs. Nobody is missed where nothing was ever started."""
    if not evidence.machinery.ever_ran:
        return "healthy", "nothing is running here"
    if evidence.machinery.worker_answers:
        return "healthy", "a worker answers"
    return "critical", "no worker is reachable, so runs are not done"


def _switches(evidence: Evidence) -> tuple[Level, str]:
    off = evidence.machinery.switched_off
    if not off:
        return "healthy", "sensors and schedules are on"
    return "warning", f"{listed(off)} {'is' if len(off) == 1 else 'are'} switched off"


def _failures(evidence: Evidence) -> tuple[Level, str]:
    """Each kind apart: a thousand good refreshes must not hide that every hourly run fails."""
    kind, worst = max(evidence.jobs.items(), key=lambda each: _failed_share(each[1]))
    share, limits = _failed_share(worst), evidence.limits
    if not worst.failed:
        return "healthy", "no run failed"
    said = f"{worst.failed} of {counted(worst.executions, kind)} failed ({share:.0%})"
    return _level(share > limits.failures_critical, share > limits.failures_warning), said


def _failed_share(stats: JobStats) -> float:
    return stats.failed / stats.executions if stats.executions else 0.0


def _staleness(evidence: Evidence) -> tuple[Level, str]:
    """Where nothing was ever started nobody promised to publish, and readers compute what is stale."""
    oldest = evidence.freshness.oldest_s
    if oldest is None:
        return "healthy", "nothing waits to be published"
    critical = oldest > evidence.limits.stale_seconds and evidence.machinery.ever_ran
    return _level(critical), f"the oldest unpublished change is {age(oldest)} old"


def _activity(evidence: Evidence) -> tuple[Level, str]:
    """Quiet is healthy before the first run; after it, hourly runs that stopped must not look idle."""
    history = evidence.history
    if history.last_ended_at is None:
        return "healthy", "nothing ran yet"
    quiet = history.last_ended_at < history.since and not evidence.under_way and evidence.machinery.ever_ran
    ended = (evidence.now - history.last_ended_at).total_seconds()
    return _level(warning=quiet), f"the last run ended {age(ended)} ago"


def _duration(evidence: Evidence) -> tuple[Level, str]:
    averages = [(stats.average_s, kind) for kind, stats in evidence.jobs.items() if stats.average_s is not None]
    if not averages:
        return "healthy", "no run to measure"
    average, kind = max(averages)
    return _level(warning=average > evidence.limits.run_seconds), f"a {kind} takes {average:.1f} s on average"


def _slow(evidence: Evidence) -> tuple[Level, str]:
    slow = len(evidence.slow)
    return _level(warning=slow > evidence.limits.slow_runs), counted(slow, "slow run")


def _locks(evidence: Evidence) -> tuple[Level, str]:
    stale = sum(lock.stale for lock in evidence.cache.locks)
    return _level(warning=stale > 0), counted(stale, "stale lock")


def _hit_rate(evidence: Evidence) -> tuple[Level, str]:
    rate, reads, limits = evidence.performance.hit_rate, evidence.performance.reads, evidence.limits
    if rate is None:
        return "healthy", "nothing was read"
    low = rate < limits.hit_rate and reads >= limits.hit_rate_reads
    return _level(warning=low), f"{rate:.1%} of {reads:,} reads hit the cache"


def _capture(evidence: Evidence) -> tuple[Level, str]:
    problems = evidence.waiting.capture_problems
    if not problems:
        return "healthy", "every change is logged"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return "warning", f"{problems[0].message.rstrip('.')}{more}"


def _redis(evidence: Evidence) -> tuple[Level, str]:
    if evidence.cache.error:
        return "critical", "Redis is away, so nothing is refreshed or published"
    return "healthy", "Redis answers"


def _level(critical: bool = False, warning: bool = False) -> Level:
    return "critical" if critical else "warning" if warning else "healthy"


# Causes come before what follows from them: the verdict names them in this order.
_RULES: Mapping[str, Callable[[Evidence], tuple[Level, str]]] = {
    "redis": _redis,
    "daemon": _daemon,
    "workers": _workers,
    "switches": _switches,
    "capture": _capture,
    "failures": _failures,
    "staleness": _staleness,
    "activity": _activity,
    "duration": _duration,
    "slow_runs": _slow,
    "locks": _locks,
    "hit_rate": _hit_rate,
}
CHECKS = tuple(_RULES)
