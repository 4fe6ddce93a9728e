"""Which expenses a set of periods depends on: a window of rows, and sums of what lies before it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from metrics_pipeline.periods import LOOKBACK, Grain, Period

SPARKLINE_DAYS = 7


@dataclass(frozen=True)
class Range:
    """Local days: first included, end excluded."""

    first: date
    end: date


@dataclass(frozen=True)
class Scope:
    """What to read.

    Attributes:
        rows: the days whose expenses are read one by one.
        history: earlier ranges that every account needs as sums (the previous period's total).
        budget_history: further ranges that only accounts with budgets need as sums.

    All of them stand side by side, without a gap: what a period looks back at always reaches up to it.
    """

    rows: Range
    history: tuple[Range, ...]
    budget_history: tuple[Range, ...]

    @property
    def year_before(self) -> Period | None:
        """The year that ends where the rows begin, if all of it is looked back at for every account."""
        year = Period.holding(Grain.YEAR, self.rows.first - timedelta(days=1))
        days = sum((part.end - part.first).days for part in self.history if part.first >= year.start)
        return year if days == year.days else None

    @property
    def first_day(self) -> date:
        return min([self.rows.first, *(part.first for part in (*self.history, *self.budget_history))])


def sparkline_range(period: Period, today: date) -> Range:
    """The seven days that end today, or on the period's last day once it has closed."""
    end = period.as_of(today) + timedelta(days=1)
    return Range(end - timedelta(days=SPARKLINE_DAYS), end)


def to_date_ranges(period: Period, today: date) -> tuple[Range, Range] | None:
    """For a current period: its days so far, and as many days of the period before."""
    if not period.is_current(today):
        return None
    elapsed = (today - period.start).days + 1
    previous = period.shift(-1)
    return (
        Range(period.start, period.start + timedelta(days=elapsed)),
        Range(previous.start, min(previous.start + timedelta(days=elapsed), previous.end)),
    )


def whole(period: Period) -> Range:
    return Range(period.start, period.end)


def scope_of(periods: Sequence[Period], today: date, budget_grains: Collection[Grain]) -> Scope:
    """The smallest scope for these periods; `budget_grains` are the grains that have any budget."""
    rows = Range(
        min(min(period.start, sparkline_range(period, today).first) for period in periods),
        max(period.end for period in periods),
    )
    trends = [part for period in periods for part in _trend_ranges(period, today)]
    adherence = [
        whole(period.shift(-back))
        for period in periods
        if period.grain in budget_grains
        for back in range(1, LOOKBACK + 1)
    ]
    segments = list(_segments(trends + adherence, rows.first))
    for_trends = tuple(part for part in segments if _inside_any(part, trends))
    return Scope(rows, for_trends, tuple(part for part in segments if part not in set(for_trends)))


def _trend_ranges(period: Period, today: date) -> list[Range]:
    to_date = to_date_ranges(period, today)
    return [whole(period.shift(-1)), *([to_date[1]] if to_date else [])]


def _segments(ranges: Sequence[Range], before: date) -> Iterator[Range]:
    """Cut the ranges into pieces that no range's border divides; only what lies before a day."""
    borders = sorted({day for part in ranges for day in (part.first, part.end) if day < before} | {before})
    for first, end in itertools.pairwise(borders):
        if _inside_any(Range(first, end), ranges):
            yield Range(first, end)


def _inside_any(piece: Range, ranges: Sequence[Range]) -> bool:
    return any(part.first <= piece.first and piece.end <= part.end for part in ranges)
