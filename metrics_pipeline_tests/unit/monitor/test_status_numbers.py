"""The numbers of a status, and the document that programs read."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from metrics_pipeline.cache.counters import Reads
from metrics_pipeline.monitor.facts import CacheFacts, Waiting
from metrics_pipeline.monitor.jobs import percentile
from metrics_pipeline_tests.unit.monitor.healthy_day import NOW, a_run, ago


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.95, 7.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.95, 95),
    ],
)
def test_percentiles_are_values_that_occurred(values, share, expected):
    assert percentile(values, share) == expected


def test_calculations_and_refreshes_are_counted_apart(assessed):
    status = assessed(
        runs=[
            a_run(1, seconds=1.0, ended_ago=50),
            a_run(2, seconds=3.0, ended_ago=20, state="failed", accounts=None),
            a_run(3, kind="refresh", seconds=0.5),
            a_run(4, kind="refresh", state="running", ended_at=None, accounts=None),
            a_run(5, kind="refresh", state="queued", started_at=None, ended_at=None, accounts=None),
            a_run(6, kind="refresh", state="canceled"),
        ]
    )
    calculation, refresh = status.calculation, status.refresh
    assert (calculation.executions, calculation.failed, calculation.success_rate) == (2, 1, 0.5)
    assert (calculation.average_s, calculation.p50_s, calculation.p95_s) == (2.0, 1.0, 3.0)
    assert (calculation.last_at, calculation.last_state, calculation.last_run_id) == (ago(20), "failed", "run2")
    assert calculation.accounts == 10
    assert (refresh.executions, refresh.running, refresh.queued, refresh.canceled) == (1, 1, 1, 1)
    assert refresh.success_rate == 1.0


def test_reads_are_summed_and_the_busiest_hour_named(assessed):
    hours = {ago(7200): Reads(100, {"cold": 5}), ago(3600): Reads(300, {"cold": 10, "outdated": 5})}
    performance = assessed(runs=[a_run(seconds=s) for s in (10, 21, 31)], cache=CacheFacts(hours)).performance
    assert (performance.reads, performance.hit_rate) == (400, 0.95)
    assert performance.misses == {"cold": 15, "outdated": 5}
    assert (performance.peak_hour.hour_at, performance.peak_hour.reads) == (ago(3600), 300)
    assert (performance.over_warning, performance.over_target) == (2, 1)


def test_seconds_from_change_to_publish_are_those_of_refreshes(assessed):
    runs = [a_run(n, kind="refresh", ended_ago=n, change_to_publish_s=float(n)) for n in range(1, 21)]
    freshness = assessed(runs=[a_run(), *runs]).freshness
    assert (freshness.published_p50_s, freshness.published_p95_s) == (10.0, 19.0)
    assert (freshness.published_worst_s, freshness.published_last_s) == (20.0, 1.0)


def test_a_run_is_slow_against_its_own_job_and_says_on_how_much_data(assessed):
    usual = [a_run(n, seconds=2.0, rows_read=1000) for n in range(5)]
    big = a_run(6, seconds=10.0, rows_read=8000)
    other = a_run(7, seconds=10.0, job="yearly")  # its job has no median yet
    status = assessed(runs=[*usual, big, other])
    (slow,) = status.slow_runs
    assert (slow.run_id, slow.times_median, slow.rows_times_median) == ("run6", 5.0, 8.0)
    assert slow.why == "5.0× its job's median, on 8.0× its rows"


def test_what_is_quick_is_not_slow_however_small_its_median(assessed):
    usual = [a_run(n, seconds=0.1) for n in range(5)]
    assert assessed(runs=[*usual, a_run(6, seconds=5.0)]).slow_runs == []
    assert len(assessed(runs=[*usual, a_run(6, seconds=5.1)]).slow_runs) == 1


def test_a_run_under_way_is_slow_once_over_the_target(assessed):
    def under_way(seconds):
        return assessed(runs=[a_run(state="running", ended_at=None, started_at=NOW - timedelta(seconds=seconds))])

    assert under_way(30).slow_runs == []
    assert under_way(31).slow_runs[0].seconds == 31.0


def test_the_document_for_programs(assessed):
    document = orjson.loads(
        orjson.dumps(assessed(waiting=Waiting(changes=2, oldest_change_at=ago(12.34567))).as_dict())
    )
    assert list(document) == [
        "schema", "at", "window_from_at", "health", "calculation", "refresh", "performance", "freshness", "locks",
        "slow_runs", "recommendations",
    ]  # fmt: skip
    assert document["schema"] == 1
    assert document["at"] == "2026-03-18T12:00:00+00:00"
    assert document["freshness"]["log_oldest_s"] == 12.3457
    assert document["calculation"]["last_at"] == "2026-03-18T11:59:00+00:00"
    assert document["health"]["checks"][0] == {"name": "redis", "level": "healthy", "said": "Redis answers"}
