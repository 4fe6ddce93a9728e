"""Many changes at once: few refreshes, or one backfill."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta
from unittest.mock import ANY

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.changes import absorb
from metrics_pipeline.changes.absorb import Absorbed
from metrics_pipeline.database import driver
from metrics_pipeline.definitions import define
from metrics_pipeline.periods import Grain

pytestmark = pytest.mark.usefixtures("spend")


def test_a_thousand_commits_in_ten_seconds_are_at_most_two_refreshes(settled, tick, instance):
    today = settled.settings.today()

    def write() -> None:
        began = time.monotonic()
        for n in range(1000):
            with settled.engine.begin() as connection:
                connection.execute(
                    text(
                        "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                        "VALUES (1 + :n % 3, 5, 'USD', CAST(:day AS timestamptz))"
                    ),
                    {"n": n, "day": f"{today} 00:00+00"},
                )
            time.sleep(max(0.0, began + n * 0.009 - time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    cycles = 0
    while writer.is_alive() or settled.backlog():
        requests = tick().run_requests
        cycles += bool(requests)
        for request in requests:
            job = define(settled.settings).resolve_job_def(request.job_name)
            assert job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance).success
    assert 1 <= cycles <= 2
    payload = settled.reader.get(1, Grain.DAY).payload
    assert payload.transaction_count == 335  # the fixture's one, and a third of a thousand


def test_an_import_of_two_years_is_one_backfill(settled, tick, instance):
    today = settled.settings.today()
    days = [today - timedelta(days=n) for n in range(730)]
    with settled.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO email_accounts (id, email) SELECT n, 'b' || n FROM generate_series(100, 149) n")
        )
        statement = "COPY expenses (email_account_id, amount, currency, transaction_date) FROM STDIN"
        with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
            for n in range(100_000):
                copy.write_row((100 + n % 50, "12.50", "USD", f"{days[n // 137 % 730]} 00:00+00"))
    deadline = time.monotonic() + 60
    while not instance.get_backfills():
        assert time.monotonic() < deadline
        tick()
    tick()
    (backfill,) = instance.get_backfills()
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
    keys = set(subsets[dg.AssetKey("monthly_metrics")].get_partition_keys())
    assert date(today.year - 1, today.month, 1).isoformat() in keys
    assert f"{today.year - 3}-01-01" not in keys


def test_six_hours_of_downtime_are_one_catch_up_that_begins_with_the_newest(settled, tick, instance, monkeypatch):
    """The hourly runs would renew only the latest periods: every change of the six hours is refreshed."""
    today = settled.settings.today()
    with settled.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT 1 + n % 3, 5, 'USD', CAST(:today AS date) - (359 - n) FROM generate_series(0, 359) n"
            ),
            {"today": today},
        )
        connection.execute(text("DELETE FROM metrics.expense_changes"))
        connection.execute(  # one a minute, of ever later days
            text(
                "INSERT INTO metrics.expense_changes (account_id, first_at, last_at, operation, changed_at) "
                "SELECT 1 + n % 3, CAST(:today AS timestamptz) - make_interval(days => 359 - n), "
                "CAST(:today AS timestamptz) - make_interval(days => 359 - n), 'INSERT', "
                "now() - make_interval(mins => 360 - n) FROM generate_series(0, 359) n"
            ),
            {"today": f"{today} 00:00+00"},
        )
    with monkeypatch.context() as patch:
        patch.setattr(absorb, "_NEWEST", 9)
        patch.setattr(absorb, "_OLDEST", 1)
        assert settled.absorb_changes(seconds=0) == Absorbed(10, ANY, 0, ANY, more=True)
    days = {stale.period.start for stale in settled.backlog() if stale.period.grain is Grain.DAY}
    assert days == {today - timedelta(days=n) for n in range(9)} | {today - timedelta(days=359 - n) for n in range(7)}
    requests = tick().run_requests
    assert settled.absorb_changes().changes == 0
    warm = {request.job_name: request.tags["dagster/asset_partition_range_end"] for request in requests}
    assert warm["daily_metrics_job"] == today.isoformat()
    assert len(requests) == 4
    (backfill,) = instance.get_backfills()
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
    rest = set(subsets[dg.AssetKey("daily_metrics")].get_partition_keys())
    assert rest == {(today - timedelta(days=n)).isoformat() for n in range(8, 360)}
