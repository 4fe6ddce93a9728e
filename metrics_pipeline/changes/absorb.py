"""From logged changes to stale periods: one transaction a batch, so that none is lost or counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from metrics_pipeline.changes.keys import as_arrays
from metrics_pipeline.periods import Grain, local_today
from metrics_pipeline.planning.affected import EVERYBODY, Change, Marking, marking_of, reaches
from metrics_pipeline.sql import query

MOST_MARKS = 20_000
"""A batch that would mark more than this marks whole partitions instead: cheaper to write and to refresh."""

_ALWAYS = datetime(1, 1, 2, tzinfo=timezone.utc)  # what the triggers log instead of the infinite past
_NEWEST, _OLDEST = 9_000, 1_000


@dataclass(frozen=True)
class Absorbed:
    """What absorbing did.

    Attributes:
        outside: changes that no partition depends on: long before the start date, or after today.
        missed: a change could not be logged, so that everything was marked.
        more: the log was longer than the batch, or the time for it: what follows may mark the same periods again.
    """

    changes: int = 0
    marks: int = 0
    outside: int = 0
    oldest_at: datetime | None = None
    missed: bool = False
    more: bool = False

    def __add__(self, other: Absorbed) -> Absorbed:
        times = [at for at in (self.oldest_at, other.oldest_at) if at]
        return Absorbed(
            self.changes + other.changes,
            self.marks + other.marks,
            self.outside + other.outside,
            min(times, default=None),
            self.missed or other.missed,
            other.more,
        )


def absorb(connection: Connection, *, zone: ZoneInfo, earliest: date, today: date) -> Absorbed:
    """Take a batch of the log and mark what it makes stale, in the caller's transaction.

    Args:
        zone: in which the changes' days are told.
        earliest: a day of the first partition; today: the day that the last one holds.

    The cache entries to drop are ordered in the same transaction: whoever commits marks owes the drops.
    """
    rows = connection.execute(query("take_changes"), {"newest": _NEWEST, "oldest": _OLDEST}).all()
    if not rows:
        return Absorbed()
    beginning = _beginning(connection) if any(row.first_at <= _ALWAYS for row in rows) else None
    changes = [_change(row, zone, beginning) for row in rows]
    marking = marking_of(changes, earliest, today, MOST_MARKS)
    mark(connection, marking)
    return Absorbed(
        changes=len(rows),
        marks=len(marking),
        outside=sum(not reaches(change, earliest, today) for change in changes),
        oldest_at=min(row.changed_at for row in rows),
        more=len(rows) >= _NEWEST + _OLDEST,
    )


def mark(connection: Connection, marking: Marking) -> None:
    """Mark periods stale with fresh tokens and order their cache entries dropped."""
    if not marking:
        return
    keys = as_arrays(marking)
    connection.execute(
        query("mark_stale"),
        {
            **keys,
            "changed_from": [first for first, _ in marking.values()],
            "changed_to": [last for _, last in marking.values()],
        },
    )
    connection.execute(query("order_drops"), keys)


def mark_everything(connection: Connection, *, earliest: date, today: date, at: datetime) -> None:
    """Mark every period of every account stale, as far back as anything is known."""
    beginning = _beginning(connection)
    if beginning is not None:
        since = max(beginning.date() - timedelta(days=1), earliest)
        mark(connection, marking_of([Change(EVERYBODY, tuple(Grain), since, today, at)], earliest, today, MOST_MARKS))


def _beginning(connection: Connection) -> datetime | None:
    return connection.execute(query("beginning"), {"grains": [grain.value for grain in Grain]}).scalar()


def _change(row: Row[tuple[Any, ...]], zone: ZoneInfo, beginning: datetime | None) -> Change:
    """The change in local days. One of all time need not reach back further than anything is known."""
    first_at = row.first_at
    if first_at <= _ALWAYS and beginning is not None:
        first_at = max(first_at, min(beginning, row.last_at))
    return Change(
        row.account_id,
        (Grain(row.grain),) if row.grain else tuple(Grain),
        local_today(first_at, zone),
        local_today(row.last_at, zone),
        row.changed_at,
    )
