"""Materializing partitions on real servers: what is computed, recorded and retried."""

from __future__ import annotations

import threading
from decimal import Decimal

import dagster as dg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.database import connect_engine
from metrics_pipeline.definitions import define
from metrics_pipeline.defs import assets, retries
from metrics_pipeline.defs.assets import MaterializeConfig
from metrics_pipeline.defs.partitions import periods_of, range_tags
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period, parse_day

pytestmark = pytest.mark.usefixtures("spend")


@pytest.fixture
def materialize(settings, instance):
    """Run one job over a partition, or a range of them, and return its result."""

    def run(grain: Grain, first: str, last: str | None = None, tags=None, settings=settings, **config):
        job = define(settings).resolve_job_def(f"{grain.adverb}_metrics_job")
        ranged = range_tags(periods_of(grain, [first, last])) if last else {}
        return job.execute_in_process(
            partition_key=None if last else first,
            tags={**ranged, **(tags or {})},
            run_config=dg.RunConfig(ops={f"{grain.adverb}_metrics": MaterializeConfig(**config)}),
            instance=instance,
            raise_on_error=False,
        )

    return run


@pytest.fixture
def cached(redis_client):
    """The payload that Redis serves for an account and a period; None when there is none."""

    def read(account_id: int, grain: Grain, key: str) -> PeriodMetrics | None:
        value = redis_client.get(cache_key(account_id, Period(grain, parse_day(key))))
        return PeriodMetrics.model_validate_json(Entry.decode(value).payload) if value else None

    return read


def latest(instance: dg.DagsterInstance, asset: str):
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return event.asset_materialization


def test_one_partition_is_computed_and_published(materialize, instance, cached):
    result = materialize(Grain.MONTH, "2026-02-01")
    assert result.success
    assert instance.get_materialized_partitions(dg.AssetKey("monthly_metrics")) == {"2026-02-01"}
    payload = cached(2, Grain.MONTH, "2026-02-01")
    assert (payload.transaction_count, payload.currencies["USD"].total) == (28, Decimal("560.00"))
    assert payload.computed_by == "manual"
    assert cached(2, Grain.MONTH, "2026-01-01") is None


def test_a_range_is_one_run_over_exactly_its_partitions(materialize, instance, cached):
    assert materialize(Grain.WEEK, "2026-01-05", "2026-01-19").success
    assert len(instance.get_runs()) == 1
    assert instance.get_materialized_partitions(dg.AssetKey("weekly_metrics")) == {
        "2026-01-05",
        "2026-01-12",
        "2026-01-19",
    }
    assert [cached(1, Grain.WEEK, key).currencies["USD"].total for key in ("2026-01-05", "2026-01-19")] == [70, 70]


def test_the_materialization_tells_what_the_run_did(materialize, instance):
    # The accounts spent nothing on the last of these days.
    result = materialize(Grain.DAY, "2026-03-01", "2026-03-02", account_ids=[1, 2])
    of_day = {
        event.partition: {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node("daily_metrics")
        if event.partition
    }
    assert {day: metadata["payloads"] for day, metadata in of_day.items()} == {"2026-03-01": 2, "2026-03-02": 2}
    metadata = of_day["2026-03-01"]
    assert (metadata["first_partition"], metadata["last_partition"]) == ("2026-03-01", "2026-03-02")
    assert (metadata["accounts"], metadata["payloads_of_run"], metadata["published"]) == (2, 4, 4)
    assert metadata["rows_read"] > 0
    assert metadata["bytes_published"] > 1000
    assert metadata["seconds_total"] > 0
    assert [record.data for record in metadata["periods"].records] == [
        {"period": "2026-03-01", "payloads": 2},
        {"period": "2026-03-02", "payloads": 2},
    ]


def test_the_cache_asset_is_told_what_was_published(materialize, instance):
    materialize(Grain.MONTH, "2026-01-01")
    metadata = {name: value.value for name, value in latest(instance, "metrics_cache").metadata.items()}
    assert metadata["payloads"] == 3
    assert metadata["bytes"] > 1000


def test_a_run_may_be_limited_to_accounts(materialize, cached):
    assert materialize(Grain.MONTH, "2026-01-01", account_ids=[3]).success
    assert cached(3, Grain.MONTH, "2026-01-01") is not None
    assert cached(1, Grain.MONTH, "2026-01-01") is None


def test_only_a_forced_run_writes_unchanged_payloads_again(materialize, cached):
    versions = []
    for force in (True, False, True):
        assert materialize(Grain.MONTH, "2026-01-01", force_refresh=force).success
        versions.append(cached(1, Grain.MONTH, "2026-01-01").version)
    assert versions[0] == versions[1] < versions[2]


def test_today_decides_which_period_is_current(materialize, cached):
    assert materialize(Grain.MONTH, "2026-02-01", today="2026-02-10").success
    payload = cached(1, Grain.MONTH, "2026-02-01")
    assert payload.is_current
    assert payload.as_of.isoformat() == "2026-02-10"


@pytest.mark.parametrize(
    ("tags", "computed_by"),
    [
        ({}, "manual"),
        ({"dagster/backfill": "abcdefgh"}, "backfill"),
        ({"metrics/trigger": "schedule", "dagster/schedule_name": "monthly_metrics_hourly"}, "schedule"),
    ],
)
def test_payloads_say_who_asked(materialize, cached, tags, computed_by):
    assert materialize(Grain.MONTH, "2026-01-01", tags=tags).success
    assert cached(1, Grain.MONTH, "2026-01-01").computed_by == computed_by


@pytest.mark.parametrize(
    ("tags", "config", "message"),
    [
        ({}, {"today": "10.02.2026"}, "today '10.02.2026' is not a day; write it as YYYY-MM-DD"),
        ({}, {"today": "2026-01-31"}, "month 2026-02-01 has not begun: today is 2026-01-31"),
        ({}, {"account_ids": [0]}, "Account id 0 is not a positive integer"),
        ({"metrics/trigger": "somebody"}, {}, "tag metrics/trigger is 'somebody'; use one of schedule"),
    ],
)
def test_a_permanent_error_ends_the_run_at_once(materialize, tags, config, message):
    result = materialize(Grain.MONTH, "2026-02-01", tags=tags, **config)
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert message in failure.step_failure_data.user_failure_data.description


def test_a_missing_table_ends_the_run_at_once(materialize, database):
    with database.engine.begin() as connection:
        connection.execute(text("DROP TABLE metrics.period_metrics CASCADE"))
    result = materialize(Grain.MONTH, "2026-02-01")
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "metrics-pipeline migrate" in failure.step_failure_data.user_failure_data.description


def test_a_server_that_was_away_is_tried_again(materialize, database, servers, cached):
    name = make_url(database.url).database
    database.engine.dispose()
    administration = connect_engine(servers.database_url).execution_options(isolation_level="AUTOCOMMIT")

    def allow_connections(allowed: bool) -> None:
        with administration.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}'))

    allow_connections(False)
    back = threading.Timer(0.8, allow_connections, [True])
    back.start()
    try:
        result = materialize(Grain.MONTH, "2026-01-01")
    finally:
        back.join()
        administration.dispose()
    assert result.success
    retried = [event for event in result.all_events if event.is_step_up_for_retry]
    assert "DatabaseUnavailable" in retried[0].step_retry_data.error.to_string()
    assert cached(1, Grain.MONTH, "2026-01-01") is not None


def test_a_server_that_stays_away_fails_the_run_after_the_last_try(materialize, settings, monkeypatch):
    monkeypatch.setattr(retries, "RETRY", dg.RetryPolicy(max_retries=2, delay=0.01))
    result = materialize(
        Grain.MONTH, "2026-01-01", settings=settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    )
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 2
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "METRICS_REDIS_URL" in failure.step_failure_data.user_failure_data.description


def test_waits_between_tries_grow():
    shortest = [min(retries.RETRY.calculate_delay(attempt) for _ in range(200)) for attempt in (1, 2, 3)]
    longest = [max(retries.RETRY.calculate_delay(attempt) for _ in range(200)) for attempt in (1, 2, 3)]
    assert longest == sorted(longest)
    assert all(least < most for least, most in zip(shortest, longest, strict=True))  # jitter


def test_progress_is_logged(materialize, instance, monkeypatch):
    monkeypatch.setattr(assets, "_PROGRESS_SECONDS", 0.0)
    result = materialize(Grain.MONTH, "2026-01-01", "2026-02-01")
    logged = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
    assert any("3 of 3 accounts done: 6 payloads stored, 6 published; " in message for message in logged)
