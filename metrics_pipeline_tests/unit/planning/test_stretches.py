"""Periods as runs: contiguous, complete, none too long."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.stretches import PERIODS_PER_RUN, stretches

PERIODS = st.builds(Period.holding, st.sampled_from(Grain), st.dates(date(2025, 12, 1), date(2026, 2, 28)))


@given(st.lists(PERIODS, max_size=120))
def test_every_period_is_in_one_contiguous_stretch_of_its_grain(periods):
    found = stretches(periods)
    flat = [period for stretch in found for period in stretch]
    assert sorted(flat) == sorted(set(periods))
    for stretch in found:
        assert len(stretch) <= PERIODS_PER_RUN[stretch[0].grain]
        assert all(earlier.shift(1) == later for earlier, later in pairwise(stretch))
    for earlier, later in pairwise(found):
        assert earlier[-1].shift(1) != later[0] or len(earlier) == PERIODS_PER_RUN[earlier[0].grain]


def test_short_grains_come_first_and_a_gap_divides():
    day, month = (Period.holding(grain, date(2026, 1, 1)) for grain in (Grain.DAY, Grain.MONTH))
    wanted = [month, day.shift(3), day.shift(1), day]
    assert stretches(wanted) == [[day, day.shift(1)], [day.shift(3)], [month]]


def test_a_long_stretch_is_several_runs():
    first = Period(Grain.DAY, date(2026, 1, 1))
    assert [len(run) for run in stretches(first.shift(n) for n in range(70))] == [31, 31, 8]
