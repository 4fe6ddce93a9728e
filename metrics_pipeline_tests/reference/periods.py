"""Calendar periods, and which instants they hold.

A local day begins at its first midnight, `datetime(y, m, d, tzinfo=zone)` with fold 0, and lasts
until the next day begins. Membership is decided by comparing instants with those bounds: where
midnight happens twice, the wall clock may show the old date after the new day has begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

from metrics_pipeline_tests.reference.rows import Data, Expense

GRAINS = ("day", "week", "month", "year")
ONE_DAY = timedelta(days=1)


def start_of(grain: str, day: date) -> date:
    """The first day of the period that holds `day`."""
    if grain == "day":
        return day
    if grain == "week":
        return day - timedelta(days=day.isoweekday() - 1)
    if grain == "month":
        return date(day.year, day.month, 1)
    return date(day.year, 1, 1)


@cache
def end_of(grain: str, start: date) -> date:
    """The first day after the period that begins on `start`."""
    day = start + ONE_DAY
    while start_of(grain, day) == start:
        day += ONE_DAY
    return day


def previous(grain: str, start: date) -> date:
    """The first day of the period before."""
    return start_of(grain, start - ONE_DAY)


def days_of(first: date, end: date) -> list[date]:
    """Every day from `first` to the one before `end`."""
    return [first + timedelta(days=n) for n in range((end - first).days)]


@cache
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def between(expenses: Iterable[Expense], first: date, end: date, zone: ZoneInfo) -> list[Expense]:
    """The expenses from the beginning of the day `first` until the day `end` begins."""
    opens, closes = midnight(first, zone), midnight(end, zone)
    return [expense for expense in expenses if opens <= expense.at < closes]


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The local day that holds an instant."""
    wall = at.astimezone(zone).date()
    for day in (wall - ONE_DAY, wall, wall + ONE_DAY):
        if midnight(day, zone) <= at < midnight(day + ONE_DAY, zone):
            return day
    raise AssertionError(f"no day around {wall} holds {at} in {zone}")


def expected_periods(data: Data, *, today: date, zone: ZoneInfo, start_date: date) -> set[tuple[int, str, date]]:
    """Every (account, grain, start) that holds an undeleted expense of that account, of any status.

    From the periods that hold the start date to those that hold today.
    """
    found = set()
    for expense in data.expenses:
        if expense.account_id is None or expense.deleted:
            continue
        for grain in GRAINS:
            start = start_of(grain, day_of(expense.at, zone))
            if start_of(grain, start_date) <= start <= today:
                found.add((expense.account_id, grain, start))
    return found
