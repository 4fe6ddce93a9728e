"""Which periods a change makes stale: the same that a look at every period finds."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics_pipeline.periods import LOOKBACK, Grain, Period, periods_between
from metrics_pipeline.planning.affected import EVERYBODY, Change, affected, marking_of, reaches

AT = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)
EARLIEST, TODAY = date(2026, 1, 1), date(2026, 3, 18)
DAYS = st.dates(date(2023, 12, 1), date(2026, 6, 30))
GRAINS = st.sampled_from(Grain)
SPANS = st.sampled_from([0, 0, 1, 2, 6, 7, 8, 30, 200])


def depends(period: Period, first: date, last: date) -> bool:
    """Whether any day of the change is in the period or in one of the six before it."""
    return any(earlier.start <= last and first < earlier.end for earlier in (period.shift(-n) for n in range(7)))


def by_looking(grain: Grain, first: date, last: date, earliest: date, today: date) -> list[Period]:
    return [period for period in periods_between(grain, earliest, today) if depends(period, first, last)]


@given(GRAINS, DAYS, SPANS, DAYS, st.integers(0, 500))
@example(Grain.MONTH, date(2025, 12, 31), 0, date(2026, 1, 1), 77)
@example(Grain.WEEK, date(2026, 1, 4), 1, date(2026, 1, 1), 77)
def test_affected_is_what_depends_on_the_days(grain, first, span, earliest, age):
    last, today = first + timedelta(days=span), earliest + timedelta(days=age)
    assert list(affected(grain, first, last, earliest, today)) == by_looking(grain, first, last, earliest, today)


def test_the_lookback_is_six_periods():
    assert LOOKBACK == 6
    assert [period.key for period in affected(Grain.DAY, TODAY, TODAY, EARLIEST, date(2026, 4, 30))] == [
        f"2026-03-{day}" for day in range(18, 25)
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2),
            st.sampled_from([tuple(Grain), tuple(Grain), (Grain.MONTH,)]),
            DAYS,
            SPANS,
            st.integers(0, 90),
        ),
        max_size=8,
    )
)
def test_a_marking_is_that_of_its_changes_one_by_one_with_times_that_hold_them(drawn):
    changes = [
        Change(account, grains, first, first + timedelta(days=span), AT + timedelta(seconds=seconds))
        for account, grains, first, span, seconds in drawn
    ]
    marking = marking_of(changes, EARLIEST, TODAY, most=10**6)
    behind: dict[tuple[int, Period], list[datetime]] = {}
    for change in changes:
        for grain in change.grains:
            for period in by_looking(grain, change.first, change.last, EARLIEST, TODAY):
                behind.setdefault((change.account_id, period), []).append(change.changed_at)
    assert set(marking) == set(behind)
    for key, (first_at, last_at) in marking.items():
        assert first_at <= min(behind[key])
        assert last_at >= max(behind[key])


def test_too_many_marks_become_every_account_of_the_same_periods():
    changes = [Change(account, tuple(Grain), TODAY, TODAY, AT) for account in range(1, 6)]
    assert len(marking_of(changes, EARLIEST, TODAY, most=20)) == 20
    wide = marking_of(changes, EARLIEST, TODAY, most=19)
    assert set(wide) == {(EVERYBODY, Period.holding(grain, TODAY)) for grain in Grain}


def test_a_budget_concerns_the_periods_of_its_length():
    marking = marking_of([Change(1, (Grain.WEEK,), TODAY, TODAY, AT)], EARLIEST, TODAY, most=9)
    assert set(marking) == {(1, Period.holding(Grain.WEEK, TODAY))}


@pytest.mark.parametrize(
    ("day", "reached"),
    [
        (date(2018, 12, 31), False),  # seven years before the first one
        (date(2020, 1, 1), True),  # the year looks back six years
        (date(2026, 12, 31), True),  # later in the current year
        (date(2027, 1, 1), False),
    ],
)
def test_a_change_reaches_what_exists(day, reached):
    assert reaches(Change(1, tuple(Grain), day, day, AT), EARLIEST, TODAY) is reached
