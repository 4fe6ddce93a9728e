from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import (
    Grain,
    Period,
    days_between,
    first_and_last,
    local_today,
    parse_day,
    periods_between,
    start_of_day,
    warm_window,
    window,
)

NEW_YORK = ZoneInfo("America/New_York")
HAVANA = ZoneInfo("America/Havana")
APIA = ZoneInfo("Pacific/Apia")
UTC = ZoneInfo("UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("grain", "day", "start", "end"),
    [
        (Grain.DAY, date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 1)),
        (Grain.WEEK, date(2026, 3, 30), date(2026, 3, 30), date(2026, 4, 6)),  # a Monday starts its week
        (Grain.WEEK, date(2026, 4, 5), date(2026, 3, 30), date(2026, 4, 6)),  # a Sunday ends it
        (Grain.WEEK, date(2025, 1, 1), date(2024, 12, 30), date(2025, 1, 6)),  # ISO week 1 begins in December
        (Grain.WEEK, date(2021, 1, 3), date(2020, 12, 28), date(2021, 1, 4)),  # ISO week 53
        (Grain.MONTH, date(2024, 2, 29), date(2024, 2, 1), date(2024, 3, 1)),
        (Grain.MONTH, date(2025, 12, 31), date(2025, 12, 1), date(2026, 1, 1)),
        (Grain.YEAR, date(2024, 12, 31), date(2024, 1, 1), date(2025, 1, 1)),
    ],
)
def test_a_period_holds_its_days_and_no_others(grain: Grain, day: date, start: date, end: date) -> None:
    period = Period.holding(grain, day)
    assert (period.start, period.end) == (start, end)
    assert Period.holding(grain, period.last_day) == period
    assert Period.holding(grain, period.end) == period.shift(1)
    assert period.days == len(list(days_between(start, end)))
    assert period.key == start.isoformat()


def test_weeks_are_those_of_iso_8601() -> None:
    for day in days_between(date(2019, 12, 1), date(2027, 2, 1)):
        year, week, _ = day.isocalendar()
        assert Grain.WEEK.start_of(day) == date.fromisocalendar(year, week, 1)


@pytest.mark.parametrize("grain", list(Grain))
def test_shifting_goes_back_and_forth_without_loss(grain: Grain) -> None:
    period = Period.holding(grain, date(2024, 1, 31))
    for count in (-25, -13, -12, -1, 0, 1, 11, 12, 25):
        assert period.shift(count).shift(-count) == period
    assert period.shift(-1).end == period.start


def test_a_period_must_start_where_its_grain_does() -> None:
    with pytest.raises(BadRequest, match=r"2026-03-31 does not start a week; .* starts on 2026-03-30"):
        Period(Grain.WEEK, date(2026, 3, 31))


def test_a_period_is_current_from_its_first_day_to_its_last() -> None:
    march = Period(Grain.MONTH, date(2026, 3, 1))
    assert [march.is_current(date(2026, m, d)) for m, d in [(2, 28), (3, 1), (3, 31), (4, 1)]] == [
        False,
        True,
        True,
        False,
    ]
    assert march.as_of(date(2026, 3, 9)) == date(2026, 3, 9)
    assert march.as_of(date(2026, 4, 1)) == date(2026, 3, 31)


def test_periods_between_include_both_ends() -> None:
    starts = [p.start for p in periods_between(Grain.WEEK, date(2026, 3, 29), date(2026, 4, 6))]
    assert starts == [date(2026, 3, 23), date(2026, 3, 30), date(2026, 4, 6)]
    assert periods_between(Grain.DAY, date(2026, 3, 2), date(2026, 3, 1)) == []
    assert first_and_last(periods_between(Grain.MONTH, date(2025, 12, 5), date(2026, 1, 5))) == (
        date(2025, 12, 1),
        date(2026, 2, 1),
    )


@pytest.mark.parametrize(("grain", "count"), [(Grain.DAY, 8), (Grain.WEEK, 5), (Grain.MONTH, 4), (Grain.YEAR, 2)])
def test_the_warm_window_ends_with_the_current_period(grain: Grain, count: int) -> None:
    today = date(2026, 1, 1)
    periods = warm_window(grain, today)
    assert len(periods) == count
    assert periods[-1].is_current(today)
    assert all(later == earlier.shift(1) for earlier, later in itertools.pairwise(periods))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (NEW_YORK, date(2026, 7, 1), 24),
        (HAVANA, date(2025, 11, 2), 25),  # midnight comes twice: the day begins with the first
        (HAVANA, date(2025, 3, 9), 23),  # midnight is skipped: the day begins with the change
        (APIA, date(2011, 12, 30), 0),  # a day that never was
        (ZoneInfo("Australia/Lord_Howe"), date(2026, 4, 5), 24.5),
    ],
)
def test_a_day_lasts_as_long_as_its_zone_says(zone: ZoneInfo, day: date, hours: float) -> None:
    first, end = window(Period(Grain.DAY, day), zone)
    assert end - first == timedelta(hours=hours)


def test_of_two_midnights_the_first_begins_the_day() -> None:
    assert start_of_day(date(2025, 11, 2), HAVANA) == utc("2025-11-02T04:00")
    assert start_of_day(date(2025, 11, 3), HAVANA) == utc("2025-11-03T05:00")


def test_windows_of_one_grain_leave_no_gap_and_do_not_overlap() -> None:
    for zone in (NEW_YORK, HAVANA, APIA, ZoneInfo("Atlantic/Azores")):
        for grain in Grain:
            for period in periods_between(grain, date(2011, 12, 1), date(2012, 11, 30)):
                assert window(period, zone)[1] == window(period.shift(1), zone)[0]


@pytest.mark.parametrize(
    ("now", "zone", "today"),
    [
        ("2026-01-01T05:59:59.999999", ZoneInfo("America/Costa_Rica"), date(2025, 12, 31)),
        ("2026-01-01T06:00", ZoneInfo("America/Costa_Rica"), date(2026, 1, 1)),
        ("2026-01-01T10:00", ZoneInfo("Pacific/Kiritimati"), date(2026, 1, 2)),
        ("2025-11-02T03:59:59", HAVANA, date(2025, 11, 1)),
        ("2025-11-02T04:30", HAVANA, date(2025, 11, 2)),  # between its two midnights
        ("2010-11-07T03:30", ZoneInfo("America/Goose_Bay"), date(2010, 11, 7)),  # 23:30 on the 6th again, after 00:01
        ("2011-12-30T09:59", APIA, date(2011, 12, 29)),
        ("2011-12-30T10:00", APIA, date(2011, 12, 31)),  # the 30th never began
    ],
)
def test_today_is_the_local_day_that_holds_the_instant(now: str, zone: ZoneInfo, today: date) -> None:
    assert local_today(utc(now), zone) == today


@pytest.mark.parametrize("zone", [NEW_YORK, HAVANA, APIA, ZoneInfo("Atlantic/Azores"), UTC])
def test_today_and_the_windows_agree_at_every_hour(zone: ZoneInfo) -> None:
    now = utc("2011-10-20T00:00")
    while now < utc("2012-04-20T00:00"):
        first, end = window(Period(Grain.DAY, local_today(now, zone)), zone)
        assert first <= now < end
        now += timedelta(minutes=30)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(BadRequest, match="pass an aware datetime"):
        local_today(datetime(2026, 1, 1), UTC)  # noqa: DTZ001


def test_days_are_read_from_text() -> None:
    assert parse_day("2026-03-31") == date(2026, 3, 31)
    for wrong in ("2026-02-30", "31/03/2026", "", "2026-03-31T00:00"):
        with pytest.raises(BadRequest, match=f"--from '{wrong}' is not a day; write it as YYYY-MM-DD"):
            parse_day(wrong, "--from")
