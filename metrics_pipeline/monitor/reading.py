"""What PostgreSQL and Redis know, read for the monitor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from redis import Redis
from sqlalchemy import Connection

from metrics_pipeline.cache.counters import reads_of_hours
from metrics_pipeline.changes.marks import read_backlog
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.monitor.facts import CacheFacts, LockFact, SnapshotHolder, Undelivered, Waiting
from metrics_pipeline.monitor.limits import SNAPSHOT_SECONDS
from metrics_pipeline.source.capture import capture_state
from metrics_pipeline.sql import query

if TYPE_CHECKING:
    from metrics_pipeline.settings import Settings

ReadLocks = Callable[[datetime], Sequence[LockFact]]
"""Reads the locks on periods. Raises CacheUnavailable."""


def read_waiting(connection: Connection, settings: Settings, now: datetime) -> Waiting:
    """Logged changes, stale periods, the longest open transaction, triggers that do not fire, and alerts not told."""
    logged = connection.execute(query("waiting_changes")).one()
    return Waiting(
        logged.changes,
        logged.oldest_at,
        read_backlog(connection, settings.start_date, settings.today(now)),
        _oldest_snapshot(connection, now),
        capture_state(connection),
        [Undelivered(*row) for row in connection.execute(query("undelivered_alerts"))],
    )


def read_cache(redis: Redis, now: datetime, hours: int, read_locks: ReadLocks) -> CacheFacts:
    """Reads by hour, and locks. Never raises for a Redis that is away: that is a finding."""
    try:
        return CacheFacts(reads_of_hours(redis, now, hours), read_locks(now))
    except CacheUnavailable as error:
        return CacheFacts(error=str(error))


def _oldest_snapshot(connection: Connection, now: datetime) -> SnapshotHolder | None:
    before = now - timedelta(seconds=SNAPSHOT_SECONDS)
    row = connection.execute(query("oldest_snapshot"), {"begun_before": before}).one_or_none()
    if row is None:
        return None
    return SnapshotHolder(row.pid, (now - row.xact_start).total_seconds(), row.application_name, row.state)
