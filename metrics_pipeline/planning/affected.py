"""Which periods a change makes stale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
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


def marking_of(changes: Sequence[Change], earliest: date, today: date, most: int) -> Marking:
    """What these changes make stale. More than `most` marks become wildcards: every account of the periods."""
    merged = list(_merged(changes))
    marks = (affected(grain, each.first, each.last, earliest, today) for each, _ in merged for grain in each.grains)
    if sum(map(len, marks)) > most:
        merged = list(_merged(replace(change, account_id=EVERYBODY, grains=tuple(Grain)) for change in changes))
    marking: Marking = {}
    for change, first_at in merged:
        for grain in change.grains:
            for period in affected(grain, change.first, change.last, earliest, today):
                key = change.account_id, period
                known = marking.get(key, (first_at, change.changed_at))
                marking[key] = min(known[0], first_at), max(known[1], change.changed_at)
    return marking


def _merged(changes: Iterable[Change]) -> Iterator[tuple[Change, datetime]]:
    """Neighbouring changes of an account as one, with when the first of them was made: an import has one a day.

    Days at most a lookback and one apart reach the same periods together as each by itself.
    """
    merged: Change | None = None
    first_at = datetime.max.replace(tzinfo=timezone.utc)
    for change in sorted(changes, key=lambda change: (change.account_id, change.grains, change.first)):
        if merged is not None and _reach_together(merged, change):
            first_at = min(first_at, change.changed_at)
            last, changed_at = max(merged.last, change.last), max(merged.changed_at, change.changed_at)
            merged = replace(merged, last=last, changed_at=changed_at)
        else:
            if merged is not None:
                yield merged, first_at
            merged, first_at = change, change.changed_at
    if merged is not None:
        yield merged, first_at


def _reach_together(earlier: Change, later: Change) -> bool:
    same = (earlier.account_id, earlier.grains) == (later.account_id, later.grains)
    return same and (later.first - earlier.last).days <= LOOKBACK + 1
