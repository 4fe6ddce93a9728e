"""What the monitor judges by: runs, what waits, reads and locks, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from metrics_pipeline.cache.counters import Reads
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.source.capture import CaptureProblem

Kind = Literal["calculation", "refresh"]
"""A refresh follows changes and is limited to them; everything else calculates what it was asked for."""

State = Literal["queued", "running", "succeeded", "failed", "canceled"]


@dataclass(frozen=True)
class RunFact:
    """One run of a metric asset. What it did is None until it has reported it."""

    run_id: str
    job: str
    """The grain's adverb: daily, weekly, monthly or yearly."""
    kind: Kind
    state: State
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    partitions: str = ""
    accounts: int | None = None
    rows_read: int | None = None
    payloads: int | None = None
    change_to_publish_s: float | None = None
    scheduled_for: str | None = None
    """The tick of the hourly schedule that asked for it; the same for its retries and its shards."""
    will_retry: bool = False
    """It failed and is to be made again; `replaced` once it was."""
    replaced: bool = False

    def seconds(self, now: datetime) -> float | None:
        """How long it took, or has been taking; None before it started."""
        if self.started_at is None:
            return None
        return max(((self.ended_at or now) - self.started_at).total_seconds(), 0.0)


@dataclass(frozen=True)
class RunHistory:
    """The runs created since a moment, newest first."""

    runs: Sequence[RunFact]
    since: datetime
    last_ended_at: datetime | None = None
    """When the latest run ever ended, also one before `since`; None when none ever did."""


@dataclass(frozen=True)
class SnapshotHolder:
    """A session with a transaction that is open for long."""

    pid: int
    age_s: float
    application: str
    state: str


@dataclass(frozen=True)
class Undelivered:
    """Something that its receiver could not be told: an alert, or that all is well."""

    kind: str
    since: datetime
    error: str


@dataclass(frozen=True)
class LockFact:
    """A lock on a period. Stale: its lease is over-age and its run is not alive."""

    key: str
    holder: str
    age_s: float | None
    stale: bool


@dataclass(frozen=True)
class Waiting:
    """What PostgreSQL knows of changes that are not published yet, and of what keeps them."""

    changes: int = 0
    oldest_change_at: datetime | None = None
    stale: Sequence[StalePeriod] = ()
    snapshot: SnapshotHolder | None = None
    capture_problems: Sequence[CaptureProblem] = ()
    undelivered: Sequence[Undelivered] = ()

    @property
    def oldest_stale_at(self) -> datetime | None:
        """When the oldest change behind a stale period was made."""
        return min((each.first_changed_at for each in self.stale), default=None)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest change that is not published yet was made, be it logged or marked."""
        return min(filter(None, [self.oldest_change_at, self.oldest_stale_at]), default=None)


@dataclass(frozen=True)
class CacheFacts:
    """Reads by hour, and locks. `error` says why there are none when Redis is away."""

    hours: Mapping[datetime, Reads] = field(default_factory=dict)
    locks: Sequence[LockFact] = ()
    error: str | None = None


@dataclass(frozen=True)
class Machinery:
    """The processes that schedule and do the runs, and whether they are told to."""

    heartbeat_at: datetime | None = None
    """When Dagster's daemon was last heard of; None when it never ran here."""
    worker_answers: bool = False
    switched_off: Sequence[str] = ()
    """Sensors and schedules that are off: sensor expense_changes."""

    @property
    def ever_ran(self) -> bool:
        """Whether this is where the pipeline runs, and not only a place for commands."""
        return self.heartbeat_at is not None
