"""The sensor's ticks on a real instance: what they absorb, request, leave to a backfill, and say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest
from dagster._daemon.sensor import MIN_INTERVAL_LOOP_TIME
from sqlalchemy import text

from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.changes import absorb
from metrics_pipeline.definitions import define
from metrics_pipeline.defs import sensors, watch
from metrics_pipeline.periods import Grain, Period

pytestmark = pytest.mark.usefixtures("spend", "impatient")


@pytest.fixture
def settings(settings):
    """They debounce nothing."""
    return settings.model_copy(update={"debounce_quiet_seconds": 0.0})


@pytest.fixture
def execute(database):
    def run(statement: str, **parameters) -> None:
        with database.engine.begin() as connection:
            connection.execute(text(statement), parameters)

    return run


def ranges_of(result: dg.SensorResult) -> dict[str, tuple[str, str]]:
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    return {request.job_name: tuple(request.tags[name] for name in names) for request in result.run_requests}


def days_of(backfill) -> set[str]:
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
    return set(subsets[dg.AssetKey("daily_metrics")].get_partition_keys())


@pytest.mark.parametrize("name", [sensors.NAME, watch.NAME])
def test_it_is_asked_at_every_turn_of_the_daemon(settings, name):
    """Which looks whether at least the minimum has gone by, and takes its turns a few milliseconds early or late."""
    assert define(settings).resolve_sensor_def(name).minimum_interval_seconds < MIN_INTERVAL_LOOP_TIME


def test_without_changes_a_tick_says_that_nothing_is_stale(tick):
    result = tick()
    assert result.run_requests == []
    assert result.skip_reason.skip_message == "nothing is stale."


def test_an_edit_requests_one_run_a_grain_over_at_most_seven_periods(tick, execute, settled):
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    result = tick()
    assert ranges_of(result) == {
        "daily_metrics_job": ("2026-01-01", "2026-01-07"),
        "weekly_metrics_job": ("2025-12-29", "2026-02-09"),
        "monthly_metrics_job": ("2026-01-01", "2026-07-01"),
        "yearly_metrics_job": ("2026-01-01", "2026-01-01"),
    }
    for request in result.run_requests:
        assert request.tags["metrics/trigger"] == "refresh"
        (config,) = [op["config"] for op in request.run_config["ops"].values()]
        assert (config["only_stale"], config["force_refresh"]) == (True, False)


def test_the_requested_runs_refresh_just_the_account_that_changed(tick, execute, settled, instance):
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    for request in tick().run_requests:
        job = define(settled.settings).resolve_job_def(request.job_name)
        result = job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance)
        asset = request.job_name.removesuffix("_job")
        (metadata, *_) = [e.metadata for e in result.asset_materializations_for_node(asset) if e.partition]
        assert metadata["accounts"].value == 1
        assert metadata["payloads_of_run"].value <= 7
        assert metadata["marks_cleared"].value == metadata["payloads_of_run"].value
        assert metadata["change_to_publish_s"].value > 0
    assert settled.backlog() == []


@pytest.mark.parametrize(
    ("to", "months"),
    [("2024-03-05", {"2024-03-01", "2026-01-01"}), ("2026-03-05", {"2026-01-01"})],
    ids=["years back", "January to March, whose months run into one another"],
)
def test_a_move_refreshes_both_sides(tick, execute, to, months):
    execute(
        "UPDATE expenses SET transaction_date = CAST(:to AS timestamptz) "
        "WHERE email_account_id = 1 AND transaction_date = '2026-01-05 00:00+00'",
        to=f"{to} 00:00+00",
    )
    starts = {
        (request.job_name, request.tags["dagster/asset_partition_range_start"]) for request in tick().run_requests
    }
    assert {start for job, start in starts if job == "daily_metrics_job"} == {to, "2026-01-05"}
    assert {start for job, start in starts if job == "monthly_metrics_job"} == months


def test_a_burst_is_waited_for(tick, execute, settled):
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    patient = settled.settings.model_copy(update={"debounce_quiet_seconds": 60.0, "debounce_longest_seconds": 600.0})
    result = tick(patient)
    assert result.run_requests == []
    assert "wait" in result.skip_reason.skip_message
    impatient = settled.settings.model_copy(update={"debounce_quiet_seconds": 60.0, "debounce_longest_seconds": 1e-3})
    assert len(tick(impatient).run_requests) == 4


def test_periods_with_a_refresh_under_way_are_left_alone_until_that_is_overdue(tick, execute, settled, instance):
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    instance.create_run_for_job(
        define(settled.settings).resolve_job_def("daily_metrics_job"),
        tags={
            "metrics/trigger": "refresh",
            "dagster/asset_partition_range_start": "2026-01-03",
            "dagster/asset_partition_range_end": "2026-02-01",
        },
        status=dg.DagsterRunStatus.STARTED,
    )
    assert ranges_of(tick())["daily_metrics_job"] == ("2026-01-01", "2026-01-02")
    overdue = settled.settings.model_copy(update={"refresh_patience_seconds": 1e-3})
    assert ranges_of(tick(overdue))["daily_metrics_job"] == ("2026-01-01", "2026-01-07")


def test_what_was_requested_and_died_is_requested_again(tick, execute):
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date < '2026-01-02'")
    assert ranges_of(tick()) == ranges_of(tick())


def test_wide_changes_become_one_backfill_of_just_the_affected_partitions(tick, execute, instance):
    execute("UPDATE expenses SET amount = amount + 1 WHERE email_account_id = 2")
    result = tick()
    (backfill,) = instance.get_backfills()
    assert backfill.tags["dagster/sensor_name"] == "expense_changes"
    assert backfill.tags["metrics/only_stale"] == "true"
    days = days_of(backfill)
    assert "2026-01-01" in days
    assert "2025-12-31" not in days
    # The latest periods do not wait for it.
    assert all(request.tags["dagster/asset_partition_range_end"] >= "2026-01-01" for request in result.run_requests)
    tick()
    assert len(instance.get_backfills()) == 1


def test_a_change_outside_the_partitions_is_reported(tick, execute):
    execute("INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
            "VALUES (1, 5, 'USD', '1999-01-01')")  # fmt: skip
    result = tick()
    assert "1 are outside the partitions' range" in result.skip_reason.skip_message
    (observation,) = result.asset_events
    assert observation.metadata["outside_partitions"].value == 1


def test_the_backlog_is_left_to_the_newest_first(settled, execute, tick, instance):
    """A change of everything, as after a long downtime: the warm window is requested at once, the rest backfilled."""
    execute("TRUNCATE expenses")
    result = tick()
    today = settled.settings.today(datetime.now(timezone.utc))
    assert len(ranges_of(result)) == 4
    (backfill,) = instance.get_backfills()
    assert today.isoformat() not in days_of(backfill)
    assert (today - timedelta(days=30)).isoformat() in days_of(backfill)


def test_an_edit_is_refreshed_while_a_long_log_is_still_to_be_absorbed(tick, execute, instance, monkeypatch):
    """An import of everything, absorbed by and by, renews its marks again and again; nobody's edit waits for that."""
    monkeypatch.setattr(absorb, "_NEWEST", 30)
    monkeypatch.setattr(absorb, "_OLDEST", 1)
    monkeypatch.setattr(sensors, "_ABSORB_SECONDS", 0)
    execute(
        "INSERT INTO metrics.expense_changes (account_id, first_at, last_at, operation) "
        "SELECT 0, day, day, 'test' FROM generate_series(timestamptz '2026-01-01', '2026-03-31', '1 day') day"
    )
    execute(
        "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) VALUES (1, 5, 'USD', '2024-05-05')"
    )
    result = tick()
    assert ranges_of(result)["daily_metrics_job"] == ("2024-05-05", "2024-05-11")
    assert "periods wait for the rest of the log" in logged(result)
    assert instance.get_backfills() == []
    monkeypatch.setattr(sensors, "_ABSORB_SECONDS", 20)
    tick()
    (backfill,) = instance.get_backfills()
    assert days_of(backfill) >= {"2026-01-01", "2026-03-31"}


def logged(result: dg.SensorResult) -> str:
    """What the tick said, as its observation of the expenses has it."""
    return str(result.asset_events[0].metadata["plan"].value)


def test_the_watch_takes_the_log_and_drops_entries_without_requesting_anything(settled, execute, instance, monkeypatch):
    settled.calculate()
    today = settled.settings.today()
    key = cache_key(1, Period(Grain.DAY, today))
    execute("UPDATE expenses SET amount = 11 WHERE email_account_id = 1 AND transaction_date = :day", day=today)
    assert settled.redis.exists(key)
    monkeypatch.setattr(watch, "_WATCH_SECONDS", 0)
    context = dg.build_sensor_context(instance=instance, resources={"pipeline": settled})
    result = watch.expense_changes_watch(context)
    assert result.run_requests == []
    assert result.asset_events[0].metadata["changes"].value == 1
    assert result.skip_reason.skip_message == "absorbed 1 changes, which mark 4 periods of accounts stale."
    assert not settled.redis.exists(key)
    assert len(settled.backlog()) == 4
