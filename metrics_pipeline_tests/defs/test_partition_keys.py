"""Partition keys are the keys of periods, in every zone and at every turn of one."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from metrics_pipeline.defs.partitions import partitions, periods_of, warm_partitions
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period, days_between, periods_between, start_of_day
from metrics_pipeline.planning.stretches import PERIODS_PER_RUN, stretches
from metrics_pipeline.settings import Settings, load_settings

NOW = datetime(2026, 3, 31, 3, 0, tzinfo=timezone.utc)

ZONES = [
    "UTC",
    "America/Costa_Rica",
    "America/New_York",
    "America/Havana",  # midnight happens twice
    "Asia/Beirut",  # midnight is skipped
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Apia",  # without 2011-12-30
]


def settings_of(zone: str, start: date) -> Settings:
    return load_settings(timezone=zone, start_date=start)


@pytest.mark.parametrize("grain", Grain)
@pytest.mark.parametrize("zone", ZONES)
def test_one_key_for_each_period_from_the_start_date_to_now(zone, grain):
    settings = settings_of(zone, date(2011, 6, 15))
    periods = periods_between(grain, settings.start_date, settings.today(NOW))
    assert list(partitions(grain, settings).get_partition_keys(current_time=NOW)) == [p.key for p in periods]
    assert periods_of(grain, [p.key for p in periods]) == periods


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_gets_its_partition_the_moment_it_begins(zone):
    settings = settings_of(zone, date(2021, 10, 1))
    definition = partitions(Grain.DAY, settings)
    for day in days_between(date(2021, 10, 20), date(2021, 11, 15)):
        midnight = start_of_day(day, settings.zone)
        before = definition.get_partition_keys(current_time=midnight - timedelta(seconds=1))
        after = definition.get_partition_keys(current_time=midnight)
        assert [before[-1], after[-1]] == [(day - timedelta(days=1)).isoformat(), day.isoformat()]


@pytest.mark.parametrize(
    ("grain", "first"), [(Grain.DAY, "2026-01-15"), (Grain.WEEK, "2026-01-12"), (Grain.MONTH, "2026-01-01")]
)
def test_the_first_partition_is_the_whole_period_that_holds_the_start_date(grain, first):
    settings = settings_of("UTC", date(2026, 1, 15))
    assert partitions(grain, settings).get_partition_keys(current_time=NOW)[0] == first


def test_the_warm_window_begins_no_earlier_than_the_first_partition():
    settings = settings_of("UTC", date(2026, 3, 29))
    assert [p.key for p in warm_partitions(Grain.DAY, settings, date(2026, 3, 31))] == [
        "2026-03-29",
        "2026-03-30",
        "2026-03-31",
    ]
    assert [p.key for p in warm_partitions(Grain.YEAR, settings, date(2026, 3, 31))] == ["2026-01-01"]


def test_a_key_that_starts_no_period_is_refused():
    with pytest.raises(BadRequest, match="does not start a week"):
        periods_of(Grain.WEEK, ["2026-03-31"])


def test_periods_become_contiguous_stretches_of_one_grain():
    days = periods_between(Grain.DAY, date(2026, 2, 1), date(2026, 2, 3))
    later = Period(Grain.DAY, date(2026, 2, 5))
    month = Period(Grain.MONTH, date(2026, 2, 1))
    assert stretches([month, later, *reversed(days), days[0]]) == [days, [later], [month]]


def test_no_stretch_is_longer_than_one_run_should_compute():
    days = periods_between(Grain.DAY, date(2025, 1, 1), date(2025, 12, 31))
    found = stretches(days)
    assert [period for stretch in found for period in stretch] == days
    assert max(map(len, found)) == PERIODS_PER_RUN[Grain.DAY]
