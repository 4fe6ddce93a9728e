"""What is asked of a refresh, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.shards import Shard


@dataclass(frozen=True)
class RefreshRequest:
    """Compute, store and publish these periods for these accounts.

    Args:
        periods: any grains and starts, none after the one that holds `today`.
        today: the local day it is; decides which periods are current.
        account_ids: None for every active account; else just these, active or not.
        computed_by: who asks; written on every payload that changes.
        force: write and publish a new version even where nothing changed.
        only_stale: of these, just the accounts and periods that are marked stale.
        only_outdated: of closed periods, just what is missing in the store, stale, or computed by older rules; the
            cache entries of the rest are renewed as they are.
        shard: of the accounts, just those in it; None: all.
    """

    periods: Sequence[Period]
    today: date
    account_ids: Sequence[int] | None = None
    computed_by: ComputedBy = "manual"
    force: bool = False
    only_stale: bool = False
    only_outdated: bool = False
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if not self.periods:
            raise BadRequest("Nothing to compute: no period was asked for.")
        for period in self.periods:
            check_begun(period, self.today)
        for account_id in self.account_ids or ():
            check_account_id(account_id)
        if self.only_stale and self.only_outdated:
            raise BadRequest("What is stale is part of what is outdated: ask for one of them.")


@dataclass
class Outcome:
    """What a refresh did. Seconds are by phase, added up over threads: all but planning and pulling overlap.

    Attributes:
        accounts: computed so far; `accounts_to_do`: of how many.
        payloads: computed and compared with the store.
        rewritten: of these, stored with a new version.
        superseded: not published, because the cache held a newer version.
        left_out: not published, because they are of old periods and Redis has little room: the store has them.
        renewed: cache entries whose lifetime was renewed without computing.
        overtaken: published and dropped again, because something changed meanwhile; it is marked for the next refresh.
        chunks_retried: met a newer write and were computed again.
        oldest_change_at: when the oldest of the changes behind the cleared marks was made.
        share_done: from 0 to 1.
    """

    accounts: int = 0
    accounts_to_do: int = 0
    rows_read: int = 0
    payloads: int = 0
    rewritten: int = 0
    published: int = 0
    superseded: int = 0
    left_out: int = 0
    renewed: int = 0
    overtaken: int = 0
    marks_cleared: int = 0
    bytes_published: int = 0
    chunks_retried: int = 0
    payloads_by_period: dict[Period, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    oldest_change_at: datetime | None = None
    share_done: float = 0.0

    def add_cleared(self, first_changes: Sequence[datetime]) -> None:
        """Count cleared marks, each told by when the oldest change behind it was made."""
        self.marks_cleared += len(first_changes)
        self.oldest_change_at = min(filter(None, [self.oldest_change_at, *first_changes]), default=None)

    @property
    def accounts_done(self) -> int:
        return int(self.accounts_to_do * self.share_done)

    @property
    def publishing(self) -> str:
        """What became of the payloads in the cache, in words."""
        left_out = f", {self.left_out:,} left out, as Redis has little room for old periods" if self.left_out else ""
        return f"{self.published:,} published{left_out}"

    @property
    def total_seconds(self) -> float:
        return self.seconds.get("total", 0.0)


Progress = Callable[[Outcome], None]
"""Told, after each stored chunk, what has been done so far."""


def check_begun(period: Period, today: date) -> None:
    """Raises BadRequest for a period after the one that holds today."""
    if period.start > today:
        raise BadRequest(f"{period} has not begun: today is {today}. Ask for a day up to today, or pass a later today.")


def check_covered(period: Period, earliest: date) -> None:
    """Raises BadRequest for a period that ended before the start date: changes of it are not followed."""
    if period.end <= earliest:
        raise BadRequest(
            f"{period} ended before {earliest}, where the metrics begin. "
            "Ask for a later day, or set METRICS_START_DATE to an earlier one."
        )


def check_account_id(account_id: object) -> int:
    """The account id itself. Raises BadRequest unless it is a positive integer that PostgreSQL can hold."""
    if not isinstance(account_id, int) or isinstance(account_id, bool) or not 0 < account_id < 2**63:
        raise BadRequest(f"Account id {account_id!r} is not a positive integer.")
    return account_id
