"""Days, periods and amounts as people write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from metrics_pipeline.periods import Grain, Period


def money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def day_and_month(day: date) -> str:
    return f"{day.day} {day:%b}"


def days(first: date, last: date, *, with_year: bool = False) -> str:
    """A range of days within one year or across two: 16–17 Nov, 30 Nov–6 Dec."""
    year = f" {last.year}" if with_year else ""
    if first == last:
        return day_and_month(first) + year
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day_and_month(last)}{year}"
    return f"{day_and_month(first)}–{day_and_month(last)}{year}"


def period_title(period: Period) -> str:
    """A period's name."""
    start = period.start
    if period.grain is Grain.DAY:
        return f"{start:%a} {day_and_month(start)} {start.year}"
    if period.grain is Grain.WEEK:
        return f"Week {days(start, period.last_day, with_year=True)}"
    return f"{start:%B} {start.year}" if period.grain is Grain.MONTH else str(start.year)


def ago(seconds: float) -> str:
    """An age in its largest unit."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds < 10 else f"{seconds:.0f} seconds ago"
