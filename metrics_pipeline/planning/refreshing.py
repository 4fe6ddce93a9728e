"""What to refresh now, what to leave to a backfill, and what still waits. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.stretches import stretches

MOST_RUNS = 12
MOST_PARTITIONS = 84
"""More runs, or more partitions, than these at once are a backfill: seven periods and four grains of three moves."""


@dataclass(frozen=True)
class StalePeriod:
    """A period that waits: for how many accounts, and when the first and last of its changes were made."""

    period: Period
    accounts: int
    everybody: bool
    first_changed_at: datetime
    last_changed_at: datetime


@dataclass(frozen=True)
class Debounce:
    """A burst of changes is refreshed once it pauses, or has gone on for long. Seconds."""

    quiet: float
    longest: float

    def remaining(self, stale: Collection[StalePeriod], now: datetime) -> float:
        """Seconds until these are due; zero or less when they are."""
        since_last = (now - max(each.last_changed_at for each in stale)).total_seconds()
        since_first = (now - min(each.first_changed_at for each in stale)).total_seconds()
        return min(self.quiet - since_last, self.longest - since_first)


@dataclass(frozen=True)
class RefreshPlan:
    """`runs`: one ranged run each. `backfill`: periods for one backfill. `why`: in words, for people."""

    runs: list[list[Period]]
    backfill: list[Period]
    why: str

    def __bool__(self) -> bool:
        return bool(self.runs or self.backfill)


def plan_refresh(
    backlog: Sequence[StalePeriod],
    *,
    now: datetime,
    debounce: Debounce,
    warm: Collection[Period],
    busy: Collection[Grain] = (),
    backfilling: bool = False,
) -> RefreshPlan:
    """Decide from everything that is stale, not only from what changed last: a request that died is made again.

    Args:
        warm: the latest periods: they are refreshed before a backfill gets to the rest.
        busy: grains with a refresh on its way, which the same accounts would meet.
        backfilling: whether an earlier backfill of stale periods is not over.
    """
    free = [each for each in backlog if each.period.grain not in busy]
    if not free:
        return RefreshPlan([], [], _all_busy(backlog, busy))
    if (seconds := debounce.remaining(free, now)) > 0:
        return RefreshPlan([], [], f"{len(free)} stale periods wait {seconds:.1f} s more for the changes to pause")
    narrow = [each.period for each in free if not each.everybody]
    many = len(stretches(narrow)) > MOST_RUNS or len(narrow) > MOST_PARTITIONS
    soon = {each.period for each in free if each.period in warm or not (each.everybody or many)}
    runs = stretches(soon)
    wide = [each.period for each in free if each.period not in soon]
    if backfilling and wide:
        return RefreshPlan(runs, [], f"{_told(runs)}; {len(wide)} periods wait for the backfill under way")
    return RefreshPlan(runs, wide, _told(runs) + (f"; a backfill of {len(wide)} periods" if wide else ""))


def _told(runs: Iterable[Sequence[Period]]) -> str:
    told = [f"{run[0].grain.value} {run[0].key}" + (f" to {run[-1].key}" if len(run) > 1 else "") for run in runs]
    return f"refreshing {', '.join(told)}" if told else "nothing is refreshed at once"


def _all_busy(backlog: Sequence[StalePeriod], busy: Collection[Grain]) -> str:
    if not backlog:
        return "nothing is stale"
    names = ", ".join(sorted(grain.value for grain in busy))
    return f"{len(backlog)} stale periods wait for the refresh under way of {names}"
