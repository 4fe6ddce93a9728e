"""Facts of a healthy day, for tests to spoil in one point."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from metrics_pipeline.cache.counters import Reads
from metrics_pipeline.monitor.facts import CacheFacts, LockFact, Machinery, RunFact

NOW = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


AT_WORK = Machinery(ago(10), worker_answers=True)


def a_run(number: int = 0, *, seconds: float = 2.0, ended_ago: float = 60.0, **facts: object) -> RunFact:
    values = {
        "run_id": f"run{number}",
        "job": "daily",
        "kind": "calculation",
        "state": "succeeded",
        "created_at": ago(ended_ago + seconds + 1),
        "started_at": ago(ended_ago + seconds),
        "ended_at": ago(ended_ago),
        "partitions": "2026-03-18",
        "accounts": 10,
        "rows_read": 1000,
        **facts,
    }
    return RunFact(**values)  # type: ignore[arg-type]


def failing(failed: int, of: int, kind: str = "calculation") -> list[RunFact]:
    return [a_run(n, kind=kind, state="failed" if n < failed else "succeeded") for n in range(of)]


def reads(count: int, misses: int) -> CacheFacts:
    return CacheFacts({ago(3600): Reads(count, {"cold": misses})})


def locks(*stale: bool) -> CacheFacts:
    return CacheFacts(
        locks=[LockFact(f"metrics:lock:day:2026-03-{n + 1:02}", f"run{n}", 90.0, each) for n, each in enumerate(stale)]
    )
