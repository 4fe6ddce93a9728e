"""Days, weeks, months and years as local calendar periods, and their bounds as instants.

Pure: every function is given the day or the zone that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from metrics_pipeline.errors import BadRequest

LOOKBACK = 6
"""How many earlier periods of its grain a payload depends on (budget adherence; a day's sparkline)."""

WARM_PERIODS = {"day": 8, "week": 5, "month": 4, "year": 2}
"""How many of the latest periods of each grain the hourly schedule keeps computed and published."""


class Grain(str, Enum):
    """The length of a period. Weeks start on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    @property
    def adverb(self) -> str:
        """The word for something that happens once a period: daily, weekly, monthly, yearly."""
        return "daily" if self is Grain.DAY else f"{self.value}ly"

    def start_of(self, day: date) -> date:
        """The first day of the period that holds `day`."""
        if self is Grain.WEEK:
            return day - timedelta(days=day.weekday())
        if self is Grain.MONTH:
            return day.replace(day=1)
        if self is Grain.YEAR:
            return day.replace(month=1, day=1)
        return day

    def shift(self, start: date, count: int) -> date:
        """The first day of the period `count` periods after the one that starts on `start`."""
        if self is Grain.DAY:
            return start + timedelta(days=count)
        if self is Grain.WEEK:
            return start + timedelta(weeks=count)
        months = start.year * 12 + start.month - 1 + count * (12 if self is Grain.YEAR else 1)
        return date(months // 12, months % 12 + 1, 1)


@dataclass(frozen=True, order=True)
class Period:
    """A grain and the first local day of one period of it."""

    grain: Grain
    start: date

    def __hash__(self) -> int:
        # A run looks up hundreds of thousands of periods, and hashing an enum takes four times as long as all of this.
        return hash(self.start)

    def __post_init__(self) -> None:
        if self.grain.start_of(self.start) != self.start:
            raise BadRequest(
                f"{self.start} does not start a {self.grain.value}; "
                f"the {self.grain.value} that holds it starts on {self.grain.start_of(self.start)}."
            )

    @classmethod
    def holding(cls, grain: Grain, day: date) -> Period:
        """The period of this grain that holds `day`."""
        return cls(grain, grain.start_of(day))

    @property
    def end(self) -> date:
        """The first day after the period."""
        return self.grain.shift(self.start, 1)

    @property
    def last_day(self) -> date:
        return self.end - timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def key(self) -> str:
        """The partition key: the first day as YYYY-MM-DD."""
        return self.start.isoformat()

    def shift(self, count: int) -> Period:
        """The period `count` places later; earlier when negative."""
        return Period(self.grain, self.grain.shift(self.start, count))

    def is_current(self, today: date) -> bool:
        return self.start <= today < self.end

    def as_of(self, today: date) -> date:
        """The day up to which the period's figures speak: today, or its last day once it has closed."""
        return min(today, self.last_day)

    def __str__(self) -> str:
        return f"{self.grain.value} {self.key}"


def periods_between(grain: Grain, first: date, last: date) -> list[Period]:
    """All periods of a grain from the one that holds `first` to the one that holds `last`."""
    period, found = Period.holding(grain, first), []
    while period.start <= last:
        found.append(period)
        period = period.shift(1)
    return found


def warm_window(grain: Grain, today: date) -> list[Period]:
    """The periods that the hourly schedule keeps fresh, oldest first, ending with the current one."""
    current = Period.holding(grain, today)
    return [current.shift(-back) for back in range(WARM_PERIODS[grain.value] - 1, -1, -1)]


def warm_periods(today: date) -> list[Period]:
    """Those windows of all grains."""
    return [period for grain in Grain for period in warm_window(grain, today)]


def days_between(first: date, end: date) -> Iterator[date]:
    """Every day from `first` up to, and without, `end`."""
    return (first + timedelta(days=n) for n in range((end - first).days))


@lru_cache(maxsize=4096)
def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which a local day begins.

    Where midnight happens twice the first one counts; where it is skipped, the instant of the
    change does. PostgreSQL's `date AT TIME ZONE` takes the later of two midnights (Havana, Azores).
    """
    return datetime.combine(day, time(), tzinfo=zone).astimezone(timezone.utc)


def window(period: Period, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The period as instants: first included, last excluded."""
    return start_of_day(period.start, zone), start_of_day(period.end, zone)


def local_today(now: datetime, zone: ZoneInfo) -> date:
    """The local day that holds an instant, by the same day bounds as every window."""
    if now.tzinfo is None:
        raise BadRequest(f"{now} has no time zone; pass an aware datetime.")
    day = now.astimezone(zone).date() + timedelta(days=1)
    while start_of_day(day, zone) > now:
        day -= timedelta(days=1)
    return day


def parse_day(text: str, name: str = "date") -> date:
    """A day from YYYY-MM-DD. Raises BadRequest, naming the argument, for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except (ValueError, TypeError):
        raise BadRequest(f"{name} {text!r} is not a day; write it as YYYY-MM-DD, for example 2026-03-31.") from None


def first_and_last(periods: Iterable[Period]) -> tuple[date, date]:
    """The first day of the earliest period and the day after the latest one."""
    periods = list(periods)
    return min(p.start for p in periods), max(p.end for p in periods)
