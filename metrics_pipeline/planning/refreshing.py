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
    busy: Collection[Period] = (),
    backfilling: bool = False,
    draining: bool = False,
) -> RefreshPlan:
    """Decide from everything that is stale, not only from what changed last: a request that died is made again.

    Args:
        warm: the latest periods: they are refreshed before a backfill gets to the rest.
        busy: periods with a refresh on its way, which the same accounts would meet, or one that has just failed.
        backfilling: whether an earlier backfill of stale periods is not over, or has just failed.
        draining: whether much of the log is still to come. It marks whole partitions again and again, so that
            these are refreshed once, after it; what concerns single accounts does not wait for it.
    """
    free = [each for each in backlog if each.period not in busy]
    if not free:
        return RefreshPlan([], [], _all_busy(backlog))
    ready = [each for each in free if not (draining and each.everybody)]
    narrow = [each.period for each in ready if not each.everybody]
    many = len(stretches(narrow)) > MOST_RUNS or len(narrow) > MOST_PARTITIONS
    soon = [each for each in ready if each.period in warm or not (each.everybody or many)]
    if backfilling or draining:
        ready = soon
    if not ready:
        return RefreshPlan([], [], _left(len(free), draining))
    if (seconds := debounce.remaining(ready, now)) > 0:
        return RefreshPlan([], [], f"{len(ready)} stale periods wait {seconds:.1f} s more for the changes to pause")
    runs = stretches(each.period for each in soon)
    covered = {period for run in runs for period in run}
    wide = [each.period for each in ready if each.period not in covered]
    why = _told(runs) + (f"; a backfill of {len(wide)} periods" if wide else "")
    if left := len(free) - len(ready):
        why += f"; {_left(left, draining)}"
    return RefreshPlan(runs, wide, why)


def _told(runs: Iterable[Sequence[Period]]) -> str:
    told = [f"{run[0].grain.value} {run[0].key}" + (f" to {run[-1].key}" if len(run) > 1 else "") for run in runs]
    return f"refreshing {', '.join(told)}" if told else "nothing is refreshed at once"


def _left(periods: int, draining: bool) -> str:
    what = "rest of the log" if draining else "backfill under way, or a while after it failed"
    return f"{periods} periods wait for the {what}"


def _all_busy(backlog: Sequence[StalePeriod]) -> str:
    if not backlog:
        return "nothing is stale"
    names = ", ".join(grain.value for grain in Grain if any(each.period.grain is grain for each in backlog))
    return f"{len(backlog)} stale periods wait for the refresh under way of {names}, or a while after it failed"
