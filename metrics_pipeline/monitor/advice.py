"""What to do about what was found: exact numbers, a capped sample, and a command. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.facts import LockFact, RunFact
from metrics_pipeline.monitor.limits import DAEMON_SILENT_SECONDS, SAMPLE, STALE_ADVICE_SECONDS
from metrics_pipeline.monitor.status import Recommendation
from metrics_pipeline.monitor.wording import age, counted, listed

_PRIORITIES = ("high", "medium", "low")


def recommend(evidence: Evidence) -> list[Recommendation]:
    """All that applies, most urgent first."""
    rules = (
        _redis, _processes, _switches, _capture, _failures, _stale, _snapshot, _activity, _locks, _slow, _hit_rate,
        _undelivered,
    )  # fmt: skip
    found = [each for rule in rules for each in rule(evidence)]
    return sorted(found, key=lambda each: _PRIORITIES.index(each.priority))


def _redis(evidence: Evidence) -> Iterator[Recommendation]:
    if error := evidence.cache.error:
        yield Recommendation("high", "cache", error, "metrics-pipeline check")


def _processes(evidence: Evidence) -> Iterator[Recommendation]:
    silent = evidence.daemon_silent_s
    if silent is None:
        return
    if silent > DAEMON_SILENT_SECONDS:
        yield Recommendation(
            "high",
            "processes",
            f"Dagster's daemon was last heard of {age(silent)} ago: nothing is scheduled, refreshed or retried.",
            "metrics-pipeline up",
        )
    elif not evidence.machinery.worker_answers:
        yield Recommendation(
            "high",
            "processes",
            "No worker is reachable: runs wait until they are given up. One started here, or on any machine that "
            "reaches this PostgreSQL and this Redis, takes them.",
            "metrics-pipeline worker",
        )


def _switches(evidence: Evidence) -> Iterator[Recommendation]:
    if off := evidence.machinery.switched_off:
        them = "it" if len(off) == 1 else "them"
        yield Recommendation(
            "medium",
            "processes",
            f"{listed(off)}: switched off. Dagster's UI, page Automation, says what each does and switches {them} on.",
            "metrics-pipeline check",
        )


def _capture(evidence: Evidence) -> Iterator[Recommendation]:
    if problems := evidence.waiting.capture_problems:
        yield Recommendation(
            "high",
            "capture",
            f"{counted(len(problems), 'thing')} keep{'s' if len(problems) == 1 else ''} changes from being noticed.",
            "metrics-pipeline migrate",
            [f"{problem.message} {problem.to_do}" for problem in problems[:SAMPLE]],
        )


def _failures(evidence: Evidence) -> Iterator[Recommendation]:
    for kind, stats in evidence.jobs.items():
        if stats.failed:
            failed = [run for run in evidence.history.runs if run.kind == kind and run.state == "failed"]
            critical = stats.failed / stats.executions > evidence.limits.failures_critical
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


def _stale(evidence: Evidence) -> Iterator[Recommendation]:
    freshness = evidence.freshness
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
    stalest = sorted(evidence.waiting.stale, key=lambda each: each.first_changed_at)[:SAMPLE]
    yield Recommendation(
        "high" if oldest > evidence.limits.stale_seconds else "medium",
        "freshness",
        f"{what} The oldest has waited for {age(oldest)}.",
        "metrics-pipeline up",
        [f"{each.period}, for {age((evidence.now - each.first_changed_at).total_seconds())}" for each in stalest],
    )


def _snapshot(evidence: Evidence) -> Iterator[Recommendation]:
    if holder := evidence.waiting.snapshot:
        yield Recommendation(
            "medium",
            "maintenance",
            f"A transaction of process {holder.pid} ({holder.application or 'unnamed'}, {holder.state}) has been open "
            f"for {age(holder.age_s)}: it slows every read of the queues, and what it changed is not seen yet. End "
            "it where it was begun, or by force.",
            f'psql "$METRICS_DATABASE_URL" -c "SELECT pg_terminate_backend({holder.pid})"',
        )


def _activity(evidence: Evidence) -> Iterator[Recommendation]:
    ended, started = evidence.history.last_ended_at, evidence.machinery.ever_ran
    if ended and ended < evidence.history.since and started and not evidence.under_way:
        yield Recommendation(
            "high",
            "freshness",
            f"Nothing was calculated for {age((evidence.now - ended).total_seconds())}: the hourly schedules do not "
            "run.",
            "metrics-pipeline up",
        )


def _locks(evidence: Evidence) -> Iterator[Recommendation]:
    if stale := [lock for lock in evidence.cache.locks if lock.stale]:
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


def _slow(evidence: Evidence) -> Iterator[Recommendation]:
    slow, limits = evidence.slow, evidence.limits
    averages = [stats.average_s for stats in evidence.jobs.values() if stats.average_s is not None]
    if len(slow) > limits.slow_runs or max(averages, default=0.0) > limits.run_seconds:
        yield Recommendation(
            "medium",
            "performance",
            f"{counted(len(slow), 'slow run')}. Those slow on much data want more workers; those slow on little, a "
            "look at the database.",
            "metrics-pipeline slow-runs",
            [f"{run.job} {run.partitions}: {run.seconds:.1f} s, {run.why}" for run in slow[:SAMPLE]],
        )


def _hit_rate(evidence: Evidence) -> Iterator[Recommendation]:
    performance, limits = evidence.performance, evidence.limits
    rate = performance.hit_rate
    if rate is not None and rate < limits.hit_rate and performance.reads >= limits.hit_rate_reads:
        yield Recommendation(
            "low",
            "cache",
            f"{rate:.1%} of {performance.reads:,} reads were answered from the cache. Cold: not published, expired, "
            "dropped or evicted (has Redis enough memory?); outdated: changed faster than refreshed.",
            "metrics-pipeline calculate",
            [f"{reason}: {count:,}" for reason, count in sorted(performance.misses.items())],
        )


def _undelivered(evidence: Evidence) -> Iterator[Recommendation]:
    """Not a check: an alert about alerts that do not arrive would not arrive."""
    if undelivered := evidence.waiting.undelivered:
        since = min(each.since for each in undelivered)
        yield Recommendation(
            "high",
            "alerts",
            f"Not delivered for {age((evidence.now - since).total_seconds())}; tried again every minute.",
            "metrics-pipeline check",
            [f"{each.kind}: {each.error}" for each in undelivered],
        )
