"""The figures of one period for every account at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints, Percentages, divide_half_up, percentages, product_fits, sum_by
from metrics_pipeline.metrics.facts import Facts
from metrics_pipeline.metrics.many import ascending, distinct
from metrics_pipeline.metrics.scope import SPARKLINE_DAYS, Range, sparkline_range, to_date_ranges, whole
from metrics_pipeline.periods import Grain, Period, days_between


@dataclass(frozen=True)
class ChangeFigures:
    """Each group's period against an earlier one. Cents."""

    previous_total: Ints
    previous_count: Ints
    amount_change: Ints
    count_change: Ints
    amount_pct: Percentages
    count_pct: Percentages
    average_pct: Percentages


@dataclass(frozen=True)
class CategoryFigures:
    """Pairs with expenses, in display order; `first[group]` to `first[group + 1]` are a group's. Money in cents."""

    first: Ints
    category: Ints
    total: Ints
    count: Ints
    average: Ints
    smallest: Ints
    largest: Ints
    share_pct: Percentages


@dataclass(frozen=True)
class PeriodFigures:
    """Everything about one period but its budgets; money in cents.

    By group: all up to `has_expenses`, with a column for each day or month of `series` and `sparkline`.
    By account: the others.
    """

    period: Period
    total: Ints
    count: Ints
    average: Ints
    median: Ints
    smallest: Ints
    largest: Ints
    trend: ChangeFigures
    to_date: ChangeFigures | None
    categories: CategoryFigures
    series: Ints
    sparkline: Ints
    sparkline_average: Ints
    has_expenses: NDArray[np.bool_]
    transaction_count: Ints
    unique_merchants: Ints
    unique_categories: Ints
    uncategorized: Ints
    status_counts: Ints
    checksum: Ints


def compute_figures(facts: Facts, period: Period, today: date) -> PeriodFigures:
    """All figures of a period. `has_expenses` says which groups have anything to show."""
    universe = facts.universe
    days = whole(period)
    pair_total, pair_count = facts.sums_of(days)
    total, count = universe.sum_pairs(pair_total), universe.sum_pairs(pair_count)
    previous = _group_sums(facts, whole(period.shift(-1)))
    so_far = to_date_ranges(period, today)
    sparkline = facts.series(sparkline_range(period, today), np.arange(SPARKLINE_DAYS), SPARKLINE_DAYS)
    spark_counts = _group_sums(facts, sparkline_range(period, today))[1]
    smallest, largest, median = _order_statistics(facts, days, pair_count)
    uncategorized = pair_count * (universe.pair_category == len(universe.categories) - 1)
    return PeriodFigures(
        period=period,
        total=total,
        count=count,
        average=divide_half_up(total, np.maximum(count, 1)),
        median=median,
        smallest=np.where(count > 0, _reduce_pairs(facts, np.minimum, smallest), 0),
        largest=np.where(count > 0, _reduce_pairs(facts, np.maximum, largest), 0),
        trend=_change((total, count), previous),
        to_date=_change(_group_sums(facts, so_far[0]), _group_sums(facts, so_far[1])) if so_far else None,
        categories=_categories(facts, total, pair_total, pair_count, smallest, largest),
        series=_series(facts, period),
        sparkline=sparkline,
        sparkline_average=divide_half_up(sparkline.sum(axis=1), np.full(len(sparkline), SPARKLINE_DAYS)),
        has_expenses=(count > 0) | (previous[1] > 0) | (spark_counts > 0),
        transaction_count=_by_account(facts, universe.group_account, count),
        unique_merchants=_unique_merchants(facts, days),
        unique_categories=_unique_categories(facts, pair_count),
        uncategorized=_by_account(facts, universe.group_account[universe.pair_group], uncategorized),
        status_counts=facts.status_counts(days),
        checksum=facts.checksums_of(days),
    )


def _group_sums(facts: Facts, days: Range) -> tuple[Ints, Ints]:
    cents, counts = facts.sums_of(days)
    return facts.universe.sum_pairs(cents), facts.universe.sum_pairs(counts)


def _reduce_pairs(facts: Facts, ufunc: np.ufunc, by_pair: Ints) -> Ints:
    if by_pair.size == 0:
        return by_pair
    reduced: Ints = ufunc.reduceat(by_pair, facts.universe.first_pair[:-1])
    return reduced


def _order_statistics(facts: Facts, days: Range, pair_count: Ints) -> tuple[Ints, Ints, Ints]:
    """The smallest and largest amount of each pair, and the median of each group, in cents.

    Pairs without expenses get the neutral element of min and max; groups without get zero.
    """
    universe, part = facts.universe, facts.rows_of(days)
    pair, cents = facts.pair[part], facts.cents[part]
    smallest = np.full(pair_count.size, np.iinfo(np.int64).max)
    largest = np.full(pair_count.size, np.iinfo(np.int64).min)
    np.minimum.at(smallest, pair, cents)
    np.maximum.at(largest, pair, cents)
    count = universe.sum_pairs(pair_count)
    some = count > 0
    first = (np.cumsum(count) - count)[some]
    low, high = first + (count[some] - 1) // 2, first + count[some] // 2
    median = np.zeros(count.size, np.int64)
    middle = _sorted_within(universe.pair_group[pair], cents, np.stack([low, high])).sum(axis=0)
    median[some] = divide_half_up(middle, np.full(middle.size, 2))
    return smallest, largest, median


def _sorted_within(group: Ints, cents: Ints, places: Ints) -> Ints:
    """What stands at these places when amounts are sorted by group, then amount: packed where 63 bits hold both.

    In the memory of `group`, which is of no use any more then.
    """
    if cents.size == 0:
        return places
    least = int(cents.min())
    spread = int(cents.max()) - least + 1
    if not product_fits(int(group.max()) + 1, spread):
        return cents[np.lexsort((cents, group))[places]]
    group *= spread
    group += cents
    group -= least
    return ascending(group)[places] % spread + least


def _change(now: tuple[Ints, Ints], previous: tuple[Ints, Ints]) -> ChangeFigures:
    (total, count), (before, before_count) = now, previous
    wide_total, wide_before = total, before
    if not (product_fits(total, before_count, 2) and product_fits(before, count, 2)):
        wide_total, wide_before = total.astype(object), before.astype(object)
    scaled_before = wide_before * count
    average_pct = percentages(wide_total * before_count - scaled_before, scaled_before, 2)
    return ChangeFigures(
        previous_total=before,
        previous_count=before_count,
        amount_change=total - before,
        count_change=count - before_count,
        amount_pct=percentages(total - before, before, 2),
        count_pct=percentages(count - before_count, before_count, 2),
        average_pct=average_pct,
    )


def _categories(
    facts: Facts, total: Ints, pair_total: Ints, pair_count: Ints, smallest: Ints, largest: Ints
) -> CategoryFigures:
    universe = facts.universe
    present = np.flatnonzero(pair_count)
    group = universe.pair_group[present]
    order = present[_largest_first(group, pair_total[present])]
    return CategoryFigures(
        first=np.searchsorted(group, np.arange(total.size + 1)),
        category=universe.pair_category[order],
        total=pair_total[order],
        count=pair_count[order],
        average=divide_half_up(pair_total[order], pair_count[order]),
        smallest=smallest[order],
        largest=largest[order],
        share_pct=percentages(pair_total[order], total[universe.pair_group[order]], 2),
    )


def _largest_first(group: Ints, total: Ints) -> Ints:
    """The order by group, then total; pairs of the same total stay in theirs. One packed key where 63 bits hold it."""
    if total.size == 0:
        return total
    largest = int(total.max())
    spread = largest - int(total.min()) + 1
    if product_fits(group + 1, spread):
        return np.argsort(group * spread + (largest - total), kind="stable")
    return np.lexsort((-total, group))


def _series(facts: Facts, period: Period) -> Ints:
    """Totals by day of a week or month, by month of a year; no columns for a day."""
    if period.grain is Grain.DAY:
        return np.zeros((facts.universe.group_account.size, 0), np.int64)
    if period.grain is Grain.YEAR:
        lengths = [
            (Grain.MONTH.shift(period.start, n + 1) - Grain.MONTH.shift(period.start, n)).days for n in range(12)
        ]
        return facts.series(whole(period), np.repeat(np.arange(12), lengths), 12)
    return facts.series(whole(period), np.arange(period.days), period.days)


def _by_account(facts: Facts, index: NDArray[Any], values: Ints) -> Ints:
    return sum_by(index, values, facts.universe.account_ids.size)


def _unique_merchants(facts: Facts, days: Range) -> Ints:
    visits = distinct(facts.visit[facts.rows_of(days)])
    return np.bincount(visits[visits >= 0] // facts.merchants, minlength=facts.universe.account_ids.size)


def _unique_categories(facts: Facts, pair_count: Ints) -> Ints:
    universe = facts.universe
    numbers, account = universe.account_category
    named = (pair_count > 0) & (universe.pair_category < len(universe.categories) - 1)
    seen = np.zeros(account.size, bool)
    seen[numbers[named]] = True
    return np.bincount(account[seen], minlength=universe.account_ids.size)


def step_labels(period: Period) -> tuple[str, list[str]]:
    """The name and the values of what the columns of the period's series stand for; none for a day."""
    if period.grain is Grain.DAY:
        return "date", []
    if period.grain is Grain.YEAR:
        return "month", [f"{period.start.year:04d}-{month:02d}" for month in range(1, 13)]
    return "date", [day.isoformat() for day in days_between(period.start, period.end)]
