from __future__ import annotations

from datetime import date

import pytest

from metrics_pipeline.cli.words import ago, days, period_title
from metrics_pipeline.periods import Grain, Period


@pytest.mark.parametrize(
    ("grain", "day", "title"),
    [
        (Grain.DAY, date(2026, 11, 3), "Tue 3 Nov 2026"),
        (Grain.WEEK, date(2026, 11, 3), "Week 2–8 Nov 2026"),
        (Grain.WEEK, date(2026, 1, 1), "Week 29 Dec–4 Jan 2026"),
        (Grain.MONTH, date(2026, 11, 3), "November 2026"),
        (Grain.YEAR, date(2026, 11, 3), "2026"),
    ],
)
def test_a_period_is_named_as_people_do(grain: Grain, day: date, title: str) -> None:
    assert period_title(Period.holding(grain, day)) == title


def test_a_range_of_one_day_is_that_day() -> None:
    assert days(date(2026, 11, 16), date(2026, 11, 16)) == "16 Nov"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (9.9, "just now"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (7_199, "1 hour ago"),
        (7_200, "2 hours ago"),
        (172_800, "2 days ago"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert ago(seconds) == said
