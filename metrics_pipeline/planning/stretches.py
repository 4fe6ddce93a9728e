"""Periods as contiguous stretches, each of which is one run. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from metrics_pipeline.periods import Grain, Period

PERIODS_PER_RUN = {Grain.DAY: 31, Grain.WEEK: 26, Grain.MONTH: 12, Grain.YEAR: 5}
"""How many periods one run computes at most: enough to share the reading, few enough to redo."""


def stretches(periods: Iterable[Period]) -> list[list[Period]]:
    """Contiguous periods of one grain, none longer than one run should compute; short grains first."""
    wanted = set(periods)
    found: list[list[Period]] = []
    for grain in Grain:
        for period in sorted(period for period in wanted if period.grain is grain):
            stretch = found[-1] if found else []
            if stretch and stretch[-1].shift(1) == period and len(stretch) < PERIODS_PER_RUN[grain]:
                stretch.append(period)
            else:
                found.append([period])
    return found
