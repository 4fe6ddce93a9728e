from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from metrics_pipeline.source.moments import day, instant
from metrics_pipeline.source.values import BadValue

COSTA_RICA = ZoneInfo("America/Costa_Rica")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-03-31T14:05:00Z", "2026-03-31 14:05:00"),
        ("2026-03-31t14:05:00z", "2026-03-31 14:05:00"),
        ("2026-03-31 14:05:00.25Z", "2026-03-31 14:05:00.25"),
        ("2026-03-31 14:05:00+00", "2026-03-31 14:05:00"),
        ("2026-03-31T14:05Z", "2026-03-31 14:05:00"),
        ("2026-03-31T14:05:00-06:00", "2026-03-31 20:05:00"),
        ("2026-03-31T14:05:00+0530", "2026-03-31 08:35:00"),
        ("2026-03-31 14:05:00 +02", "2026-03-31 12:05:00"),
        ("2026-03-31T14:05:00,5Z", "2026-03-31 14:05:00.5"),
        ("2026-03-31T23:59:59.9999999Z", "2026-03-31 23:59:59.999999"),
        ("2026-03-31T14:05:00", "2026-03-31 20:05:00"),
        ("2026-03-31", "2026-03-31 06:00:00"),
        ("2024-02-29", "2024-02-29 06:00:00"),
    ],
)
def test_instants_come_out_in_utc(cell: str, moment: str) -> None:
    read = datetime.fromisoformat(instant(cell, COSTA_RICA).replace("Z", "+00:00"))
    if read.tzinfo is None:
        read = read.replace(tzinfo=timezone.utc)
    assert read == datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("cell", "zone", "moment"),
    [
        ("2025-11-02T01:30:00", NEW_YORK, "2025-11-02T05:30:00+00:00"),  # twice: the first
        ("2025-03-09T02:30:00", NEW_YORK, "2025-03-09T07:30:00+00:00"),  # skipped: after the change
        ("2025-11-02", ZoneInfo("America/Havana"), "2025-11-02T04:00:00+00:00"),  # midnight twice
        ("2011-12-30", ZoneInfo("Pacific/Apia"), "2011-12-30T10:00:00+00:00"),  # a day that never was
    ],
)
def test_local_times_follow_the_period_rules(cell: str, zone: ZoneInfo, moment: str) -> None:
    assert instant(cell, zone) == moment


@pytest.mark.parametrize(
    "cell",
    [
        "2026-02-30T10:00:00Z",
        "2025-02-29",
        "2026-13-01",
        "0000-01-01",
        "2026-03-31T24:00:00Z",
        "2026-03-31T10:60:00Z",
        "2026-06-30T23:59:60Z",
        "2026-03-31T10:00:00+24:00",
    ],
)
def test_moments_that_do_not_exist(cell: str) -> None:
    with pytest.raises(BadValue, match="does not exist"):
        instant(cell, COSTA_RICA)


@pytest.mark.parametrize("cell", ["31/03/2026", "20260331", "2026-W14-2", "now", "infinity", "99999-01-01", "10:00"])
def test_moments_that_are_not_iso_8601(cell: str) -> None:
    with pytest.raises(BadValue, match="not a time such as"):
        instant(cell, COSTA_RICA)


@pytest.mark.parametrize("cell", ["9999-12-31T23:00:00-06:00", "0001-01-01T00:00:00+01:00", "9999-12-31T20:00:00"])
def test_moments_outside_of_what_can_be_held(cell: str) -> None:
    with pytest.raises(BadValue, match="outside the years 1 to 9999"):
        instant(cell, COSTA_RICA)


def test_days_are_plain_calendar_days() -> None:
    assert day("2024-02-29") == "2024-02-29"
    with pytest.raises(BadValue, match="does not exist"):
        day("2023-02-29")
    with pytest.raises(BadValue, match="not a day such as"):
        day("2024-02-29T00:00:00Z")
