"""What the hourly schedules request, and what comes of it."""

from __future__ import annotations

from datetime import date, datetime, timezone

import dagster as dg
import pytest

from metrics_pipeline.definitions import define
from metrics_pipeline.periods import Grain, Period, warm_window
from metrics_pipeline.settings import load_settings

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def requested(settings, grain: Grain, at: datetime) -> dg.RunRequest:
    schedule = define(settings).resolve_schedule_def(f"{grain.adverb}_metrics_hourly")
    (request,) = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at)).run_requests
    return request


@pytest.mark.parametrize(
    ("grain", "first", "last"),
    [
        (Grain.DAY, "2026-02-21", "2026-02-28"),
        (Grain.WEEK, "2026-01-26", "2026-02-23"),
        (Grain.MONTH, "2025-11-01", "2026-02-01"),
        (Grain.YEAR, "2025-01-01", "2026-01-01"),
    ],
)
def test_a_tick_requests_the_warm_window_of_the_local_day(grain, first, last):
    # 03:05 UTC on the first of March is still the last of February in Costa Rica.
    settings = load_settings(timezone="America/Costa_Rica")
    request = requested(settings, grain, datetime(2026, 3, 1, 3, 5, tzinfo=timezone.utc))
    assert tuple(request.tags[name] for name in RANGE) == (first, last)
    assert request.tags["metrics/trigger"] == "schedule"
    config = request.run_config["ops"][f"{grain.adverb}_metrics"]["config"]
    assert (config["force_refresh"], config["only_outdated"], config.get("shard")) == (False, True, None)


def test_a_tick_requests_as_many_runs_as_there_are_shards(settings, instance, redis_client, spend):
    settings = settings.model_copy(update={"shards": 2})
    definitions, at = define(settings), datetime.now(timezone.utc)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    requests = definitions.resolve_schedule_def("monthly_metrics_hourly").evaluate_tick(context).run_requests
    assert [request.tags["metrics/shard"] for request in requests] == ["1/2", "2/2"]
    assert len({request.run_key for request in requests}) == 2  # or Dagster takes the second for the first
    job, computed = definitions.resolve_job_def("monthly_metrics_job"), []
    for request in requests:
        assert job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance).success
        keys = redis_client.scan_iter(f"metrics:{{*}}:month:{Period.holding(Grain.MONTH, settings.today(at)).key}")
        computed.append({int(key.split(b"{")[1].split(b"}")[0]) for key in keys})
    assert computed == [{2}, {1, 2, 3}]


def test_a_tick_soon_after_the_start_date_requests_only_partitions_that_exist():
    settings = load_settings(start_date=date(2026, 3, 30))
    request = requested(settings, Grain.DAY, datetime(2026, 3, 31, 0, 5, tzinfo=timezone.utc))
    assert tuple(request.tags[name] for name in RANGE) == ("2026-03-30", "2026-03-31")


@pytest.mark.usefixtures("spend")
@pytest.mark.parametrize("grain", Grain)
def test_a_requested_run_computes_and_publishes_the_window(settings, instance, redis_client, grain):
    at = datetime.now(timezone.utc)
    request = requested(settings, grain, at)
    job = define(settings).resolve_job_def(f"{grain.adverb}_metrics_job")
    assert job.execute_in_process(run_config=request.run_config, tags=request.tags, instance=instance).success
    window = warm_window(grain, settings.today(at))
    asset = dg.AssetKey(f"{grain.adverb}_metrics")
    assert instance.get_materialized_partitions(asset) == {period.key for period in window}
    published = {key.decode() for key in redis_client.scan_iter("metrics:*")}
    assert {f"metrics:{{{account}}}:{grain.value}:{window[-1].key}" for account in (1, 2, 3)} <= published
    assert all(3.7 * 3600 < redis_client.ttl(key) <= 4.3 * 3600 for key in published)
