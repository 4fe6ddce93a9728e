from __future__ import annotations

from datetime import date

import pytest

from metrics_pipeline.metrics.scope import Range, scope_of, sparkline_range, to_date_ranges
from metrics_pipeline.periods import LOOKBACK, Grain, Period, days_between, warm_periods

TODAY = date(2026, 3, 10)  # a Tuesday


def holding(grain: Grain, day: date) -> Period:
    return Period.holding(grain, day)


def days_of(ranges: tuple[Range, ...]) -> list[date]:
    return [day for part in ranges for day in days_between(part.first, part.end)]


def test_a_month_reads_its_days_as_rows_and_the_month_before_as_sums() -> None:
    scope = scope_of([holding(Grain.MONTH, date(2025, 11, 1))], TODAY, set())
    assert scope.rows == Range(date(2025, 11, 1), date(2025, 12, 1))
    assert scope.history == (Range(date(2025, 10, 1), date(2025, 11, 1)),)
    assert scope.budget_history == ()


def test_a_current_period_needs_the_sum_of_the_same_days_of_the_one_before() -> None:
    scope = scope_of([holding(Grain.MONTH, TODAY)], TODAY, set())
    assert scope.history == (
        Range(date(2026, 2, 1), date(2026, 2, 11)),
        Range(date(2026, 2, 11), date(2026, 3, 1)),
    )


def test_rows_reach_back_to_the_sparkline_of_a_period_that_has_just_begun() -> None:
    scope = scope_of([holding(Grain.DAY, TODAY)], TODAY, set())
    assert scope.rows == Range(date(2026, 3, 4), date(2026, 3, 11))
    assert scope.history == ()  # the day before is among the rows already


def test_only_a_grain_that_has_budgets_reads_six_periods_back() -> None:
    month = holding(Grain.MONTH, date(2025, 11, 1))
    with_budgets = scope_of([month], TODAY, {Grain.MONTH})
    assert days_of(with_budgets.budget_history) == list(days_between(date(2025, 5, 1), date(2025, 10, 1)))
    assert with_budgets.history == scope_of([month], TODAY, {Grain.DAY}).history


@pytest.mark.parametrize("budget_grains", [set(), {Grain.WEEK, Grain.YEAR}, set(Grain)])
def test_every_day_that_a_figure_needs_is_read_once(budget_grains: set[Grain]) -> None:
    periods = warm_periods(TODAY)
    scope = scope_of(periods, TODAY, budget_grains)
    for_all = days_of((*scope.history, scope.rows))
    everything = days_of((*scope.history, *scope.budget_history, scope.rows))
    assert len(everything) == len(set(everything))
    assert sorted(everything) == list(days_between(scope.first_day, scope.rows.end))  # no gap: sums are cut at borders
    for period in periods:
        assert set(days_between(period.shift(-1).start, period.end)) <= set(for_all)
        spark = sparkline_range(period, TODAY)
        assert scope.rows.first <= spark.first
        assert spark.end <= scope.rows.end
        if period.grain in budget_grains:
            assert set(days_between(period.shift(-LOOKBACK).start, period.end)) <= set(everything)


@pytest.mark.parametrize("budget_grains", [set(), set(Grain)])
def test_no_border_of_a_needed_range_lies_inside_a_sum(budget_grains: set[Grain]) -> None:
    periods = warm_periods(TODAY)
    scope = scope_of(periods, TODAY, budget_grains)
    needed = [Range(period.shift(-1).start, period.start) for period in periods]
    needed += [so_far[1] for period in periods if (so_far := to_date_ranges(period, TODAY))]
    for part in (*scope.history, *scope.budget_history):
        for need in needed:
            inside = need.first <= part.first and part.end <= need.end
            outside = part.end <= need.first or need.end <= part.first
            assert inside or outside


def test_to_date_compares_as_many_days_and_stops_at_the_end_of_the_shorter_period() -> None:
    march = holding(Grain.MONTH, date(2026, 3, 1))
    assert to_date_ranges(march, date(2026, 3, 1)) == (
        Range(date(2026, 3, 1), date(2026, 3, 2)),
        Range(date(2026, 2, 1), date(2026, 2, 2)),
    )
    assert to_date_ranges(march, date(2026, 3, 31)) == (
        Range(date(2026, 3, 1), date(2026, 4, 1)),
        Range(date(2026, 2, 1), date(2026, 3, 1)),
    )
    assert to_date_ranges(march, date(2026, 4, 1)) is None


def test_a_sparkline_ends_today_or_with_its_period() -> None:
    assert sparkline_range(holding(Grain.YEAR, TODAY), TODAY) == Range(date(2026, 3, 4), date(2026, 3, 11))
    assert sparkline_range(holding(Grain.YEAR, date(2025, 1, 1)), TODAY) == Range(date(2025, 12, 25), date(2026, 1, 1))
