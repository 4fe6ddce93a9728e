"""Which periods a change makes stale. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from metrics_pipeline.periods import LOOKBACK, Grain, Period, periods_between

EVERYBODY = 0
"""In place of an account id: every account."""


@dataclass(frozen=True)
class Change:
    """Local days of one account (or EVERYBODY) on which something changed, and when that was logged.

    `grains`: those whose payloads can differ; a budget has only one.
    """

    account_id: int
    grains: tuple[Grain, ...]
    first: date
    last: date
    changed_at: datetime


Marking = dict[tuple[int, Period], tuple[datetime, datetime]]
"""Stale account and period: when the first and the last of the changes behind it were made."""


@lru_cache(maxsize=20_000)
def affected(grain: Grain, first: date, last: date, earliest: date, today: date) -> tuple[Period, ...]:
    """The periods of a grain whose payload depends on the days from `first` to `last`, oldest first.

    A payload looks back six periods, so a change reaches six periods beyond the one that holds it:
    refreshing only that one would leave the trends after it wrong. Cut to the periods from the one
    that holds `earliest` to the one that holds `today`, after the lookback is added.
    """
    newest = Period.holding(grain, today)
    if first > newest.last_day:
        return ()
    end = min(Period.holding(grain, min(last, today)).shift(LOOKBACK), newest)
    begin = max(Period.holding(grain, first), Period.holding(grain, earliest))
    return tuple(periods_between(grain, begin.start, end.start))


def reaches(change: Change, earliest: date, today: date) -> bool:
    """Whether any period that exists depends on the change."""
    return any(affected(grain, change.first, change.last, earliest, today) for grain in change.grains)


def marking_of(changes: Iterable[Change], earliest: date, today: date, most: int) -> Marking:
    """What these changes make stale. More than `most` marks become wildcards: every account of the periods."""
    marking = _marking(changes, earliest, today)
    if len(marking) <= most:
        return marking
    widened: Marking = {}
    for (_, period), times in marking.items():
        _extend(widened, (EVERYBODY, period), times)
    return widened


def _marking(changes: Iterable[Change], earliest: date, today: date) -> Marking:
    marking: Marking = {}
    for change in changes:
        for grain in change.grains:
            for period in affected(grain, change.first, change.last, earliest, today):
                _extend(marking, (change.account_id, period), (change.changed_at, change.changed_at))
    return marking


def _extend(marking: Marking, key: tuple[int, Period], times: tuple[datetime, datetime]) -> None:
    known = marking.get(key, times)
    marking[key] = min(known[0], times[0]), max(known[1], times[1])
