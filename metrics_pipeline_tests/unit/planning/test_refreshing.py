"""What is refreshed at once, what a backfill does, and what waits."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.refreshing import MOST_PARTITIONS, MOST_RUNS, Debounce, StalePeriod, plan_refresh

NOW = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)
TODAY = Period(Grain.DAY, NOW.date())
MONTH = Period(Grain.MONTH, date(2026, 3, 1))
OLD = Period(Grain.DAY, date(2025, 6, 1))
DEBOUNCE = Debounce(quiet=1, longest=10)


def stale(period: Period, *, first: float = 60, last: float = 60, everybody: bool = False) -> StalePeriod:
    """Changed first and last so many seconds ago."""
    return StalePeriod(period, 1, everybody, NOW - timedelta(seconds=first), NOW - timedelta(seconds=last))


def plan(*backlog: StalePeriod, **how):
    return plan_refresh(backlog, **{"now": NOW, "debounce": DEBOUNCE, "warm": {TODAY, MONTH}, **how})


def test_nothing_stale_is_nothing_to_do():
    assert not plan()
    assert plan().why == "nothing is stale"


def test_a_run_for_each_stretch_of_a_grain():
    made = plan(stale(MONTH), stale(TODAY), stale(TODAY.shift(-1)), stale(OLD))
    assert made.runs == [[OLD], [TODAY.shift(-1), TODAY], [MONTH]]
    assert made.backfill == []
    assert made.why == "refreshing day 2025-06-01, day 2026-03-17 to 2026-03-18, month 2026-03-01"


@pytest.mark.parametrize(
    ("first", "last", "due"),
    [
        (0.5, 0.5, False),
        (1, 1, True),
        (9.9, 0.1, False),  # a burst goes on
        (10, 0.1, True),  # and has gone on for long
    ],
)
def test_a_burst_is_waited_for_but_not_for_ever(first, last, due):
    assert bool(plan(stale(TODAY, first=first, last=last))) is due


def test_a_new_change_keeps_the_others_waiting_until_the_first_is_old():
    assert not plan(stale(TODAY, first=5, last=5), stale(MONTH, first=0.2, last=0.2))
    assert plan(stale(TODAY, first=11, last=11), stale(MONTH, first=0.2, last=0.2)).runs == [[TODAY], [MONTH]]


def test_a_period_with_a_refresh_under_way_waits_and_the_others_do_not():
    both = stale(TODAY), stale(MONTH)
    assert plan(*both, busy={TODAY}).runs == [[MONTH]]
    assert plan(stale(TODAY), stale(OLD), busy={TODAY}).runs == [[OLD]]
    none = plan(*both, busy={TODAY, MONTH})
    assert not none
    assert none.why == "2 stale periods wait for the refresh under way of day, month, or a while after it failed"


def test_a_change_of_everybody_is_a_backfill_after_the_warm_periods():
    made = plan(stale(TODAY, everybody=True), stale(OLD, everybody=True), stale(MONTH))
    assert (made.runs, made.backfill) == ([[TODAY], [MONTH]], [OLD])
    assert made.why.endswith("; a backfill of 1 periods")


@pytest.mark.parametrize(("count", "backfilled"), [(MOST_RUNS, False), (MOST_RUNS + 1, True)])
def test_more_runs_than_a_user_waits_for_are_a_backfill(count, backfilled):
    scattered = [stale(OLD.shift(-2 * n)) for n in range(count)]
    assert bool(plan(*scattered).backfill) is backfilled


@pytest.mark.parametrize(("count", "backfilled"), [(MOST_PARTITIONS, False), (MOST_PARTITIONS + 1, True)])
def test_more_partitions_than_a_few_moves_touch_are_a_backfill(count, backfilled):
    made = plan(*(stale(OLD.shift(-n)) for n in range(count)))
    assert bool(made.backfill) is backfilled
    assert sum(map(len, made.runs)) + len(made.backfill) == count


def test_what_is_wide_waits_for_the_backfill_under_way_and_warm_periods_do_not():
    made = plan(stale(TODAY, everybody=True), stale(OLD, everybody=True), backfilling=True)
    assert (made.runs, made.backfill) == ([[TODAY]], [])
    assert made.why.endswith("1 periods wait for the backfill under way, or a while after it failed")


def test_a_narrow_change_does_not_wait_for_a_backfill():
    assert plan(stale(OLD), backfilling=True).runs == [[OLD]]


def test_while_the_log_is_long_single_accounts_are_refreshed_and_what_it_marks_again_waits():
    made = plan(stale(TODAY), stale(MONTH, everybody=True), stale(OLD, everybody=True), draining=True)
    assert (made.runs, made.backfill) == ([[TODAY]], [])
    assert made.why.endswith("; 2 periods wait for the rest of the log")
    assert not plan(stale(MONTH, everybody=True), draining=True)


def test_while_the_log_is_long_no_backfill_begins():
    many = [stale(OLD.shift(-n)) for n in range(MOST_PARTITIONS + 1)]
    made = plan(stale(TODAY), *many, draining=True)
    assert (made.runs, made.backfill) == ([[TODAY]], [])


@pytest.mark.parametrize("how", [{"backfilling": True}, {"draining": True}])
def test_a_burst_is_waited_for_whatever_waits_longer_for_something_else(how):
    burst, wide = stale(TODAY, first=0.5, last=0.5), stale(OLD, first=600, last=600, everybody=True)
    assert plan(burst, wide, **how).why == "1 stale periods wait 0.5 s more for the changes to pause"
