"""The monitor's answer. `Status.as_dict()` is what `metrics-pipeline status --json` prints.

The names of fields are a contract: fields may be added, `schema` counts up when one changes or goes.
Names that end in `_s` are seconds, `_at` moments in ISO 8601 with offset, rates shares from 0 to 1.
None: there was nothing to measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from metrics_pipeline.monitor.facts import LockFact, SnapshotHolder, State

SCHEMA = 1

Level = Literal["healthy", "warning", "critical"]
Priority = Literal["high", "medium", "low"]
AdviceKind = Literal["failures", "freshness", "performance", "cache", "capture", "maintenance", "processes", "alerts"]


@dataclass(frozen=True)
class JobStats:
    """Runs of one kind. `executions` ended by themselves; cancelled ones count neither way."""

    executions: int
    failed: int
    canceled: int
    queued: int
    running: int
    success_rate: float | None
    average_s: float | None
    p50_s: float | None
    p95_s: float | None
    last_at: datetime | None
    last_state: State | None
    last_run_id: str | None
    accounts: int
    """Accounts computed, counted once a run."""


@dataclass(frozen=True)
class Peak:
    """The hour (UTC) with the most reads."""

    hour_at: datetime
    reads: int


@dataclass(frozen=True)
class Performance:
    """Runs against their target, and reads against the cache."""

    target_s: float
    over_target: int
    warning_s: float
    over_warning: int
    reads: int
    misses: Mapping[str, int]
    hit_rate: float | None
    peak_hour: Peak | None


@dataclass(frozen=True)
class Freshness:
    """How far what is served may be behind the expenses.

    `oldest_s` is the age of the oldest change that is not published yet, logged or marked.
    `published_*` measure refreshes of the window: from the oldest change in each until it was published.
    """

    log_changes: int
    log_oldest_s: float | None
    stale_periods: int
    stale_payloads: int
    """Stale periods counted once an account; one of everybody counts once."""
    stale_oldest_s: float | None
    oldest_s: float | None
    published_p50_s: float | None
    published_p95_s: float | None
    published_worst_s: float | None
    published_last_s: float | None
    snapshot: SnapshotHolder | None


@dataclass(frozen=True)
class SlowRun:
    """A run that took long. `rows_times_median` tells much data (about `times_median`) from slow work (about 1)."""

    run_id: str
    job: str
    kind: str
    state: State
    started_at: datetime
    seconds: float
    accounts: int | None
    rows_read: int | None
    partitions: str
    times_median: float | None
    rows_times_median: float | None
    why: str


@dataclass(frozen=True)
class Check:
    """One rule of health, and what it found."""

    name: str
    level: Level
    said: str


@dataclass(frozen=True)
class Health:
    """The worst of the checks; idle when nothing is wrong and nothing ran yet, or runs here."""

    status: Literal["healthy", "warning", "critical", "idle"]
    message: str
    checks: Sequence[Check]


@dataclass(frozen=True)
class Recommendation:
    """What to do about one finding."""

    priority: Priority
    kind: AdviceKind
    message: str
    command: str
    sample: Sequence[str] = ()


@dataclass(frozen=True)
class Status:
    """Everything at one moment. Runs and reads are those since `window_from_at`."""

    at: datetime
    window_from_at: datetime
    health: Health
    calculation: JobStats
    refresh: JobStats
    performance: Performance
    freshness: Freshness
    locks: Sequence[LockFact]
    slow_runs: Sequence[SlowRun]
    recommendations: Sequence[Recommendation]

    def as_dict(self) -> dict[str, Any]:
        """Plain values that any JSON writer takes."""
        return {"schema": SCHEMA, **_plain(asdict(self))}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return round(value, 4) if isinstance(value, float) else value
