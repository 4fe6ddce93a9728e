"""Forgetting old runs on Dagster's real tables: what goes, and what no page may lose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.cache.counters import COUNTS_KEPT_SECONDS, count_reads, reads_key
from metrics_pipeline.definitions import define
from metrics_pipeline.defs.retention import deleting_from
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.retention import pruning
from metrics_pipeline.retention.logs import cap_logs
from metrics_pipeline.services import dagster_home
from metrics_pipeline.services.embedded import ServiceUrls

DAYS = dg.StaticPartitionsDefinition([f"2026-01-0{day}" for day in range(1, 6)])
MONTH = timedelta(days=30)


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("adds_up", asset="totals")])
def totals(context) -> dg.MaterializeResult:
    if "fail" in context.run.tags:
        raise RuntimeError("as asked")
    return dg.MaterializeResult(
        metadata={"run": context.run.run_id}, check_results=[dg.AssetCheckResult(passed=True, check_name="adds_up")]
    )


@pytest.fixture
def pipeline(settings) -> Iterator[Pipeline]:
    with Pipeline(settings) as pipeline:
        yield pipeline


@pytest.fixture
def kept(settings, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """An instance with its storage in PostgreSQL, as `up` makes it."""
    environment = dagster_home(settings, ServiceUrls(settings.database_url, settings.redis_url))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def run(kept, database):
    """Materialize one partition (so many days ago); returns the run's id."""

    def run(partition: str, days_ago: float = 40, **tags: str) -> str:
        result = dg.materialize([totals], partition_key=partition, instance=kept, tags=tags, raise_on_error=False)
        age(result.run_id, days_ago)
        return result.run_id

    def age(run_id: str, days: float) -> None:
        with database.engine.begin() as connection:
            for statement in (
                "UPDATE dagster.runs SET update_timestamp = update_timestamp - :age WHERE run_id = :id",
                "UPDATE dagster.event_logs SET timestamp = timestamp - :age WHERE run_id = :id",
            ):
                connection.execute(text(statement), {"age": timedelta(days=days), "id": run_id})

    return run


@pytest.fixture
def prune(pipeline, kept):
    def prune(**how):
        return pruning.prune(pipeline, deleting_from(kept), MONTH, datetime.now(timezone.utc), **how)

    return prune


def rows_of(database, run_id: str) -> dict[str, int]:
    tables = ("runs", "run_tags", "event_logs", "asset_check_executions")
    with database.engine.connect() as connection:
        return {
            table: connection.execute(
                text(f"SELECT count(*) FROM dagster.{table} WHERE run_id = :id"), {"id": run_id}
            ).scalar_one()
            for table in tables
        }


def test_old_runs_go_with_all_their_rows_and_partitions_stay_materialized(kept, run, prune, database):
    first, second = run("2026-01-01"), run("2026-01-01")
    only, young = run("2026-01-02"), [run("2026-01-03", days_ago=1) for _ in range(2)]
    before = rows_of(database, first)
    assert min(before.values()) > 0
    pruned = prune()
    assert (pruned.runs, pruned.left) == (1, 0)
    assert pruned.events == before["event_logs"]
    assert set(rows_of(database, first).values()) == {0}
    assert {record.dagster_run.run_id for record in kept.get_run_records()} == {second, only, *young}
    key = dg.AssetKey("totals")
    assert kept.get_materialized_partitions(key) == {"2026-01-01", "2026-01-02", "2026-01-03"}
    latest = {
        partition: kept.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[partition]), limit=1)
        .records[0]
        .asset_materialization.metadata["run"]
        .value
        for partition in ("2026-01-01", "2026-01-02")
    }
    assert latest == {"2026-01-01": second, "2026-01-02": only}
    assert prune().runs == 0


def test_the_latest_failure_of_a_partition_stays_beside_what_it_materialized_before(kept, run, prune):
    done, earlier, failed = run("2026-01-01"), run("2026-01-01", fail="yes"), run("2026-01-01", fail="yes")
    assert prune().runs == 1
    assert {record.dagster_run.run_id for record in kept.get_run_records()} == {done, failed}
    assert earlier not in {done, failed}


def test_a_run_that_has_not_ended_stays_however_old(kept, run, prune, database):
    waiting, _ = run("2026-01-01"), run("2026-01-01")
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE dagster.runs SET status = 'STARTED' WHERE run_id = :id"), {"id": waiting})
    assert prune().runs == 0
    assert kept.get_run_by_id(waiting) is not None


def test_a_dry_run_counts_and_deletes_nothing(run, prune, database):
    first, _ = run("2026-01-01"), run("2026-01-01")
    before = rows_of(database, first)
    dry = prune(dry_run=True)
    assert (dry.runs, dry.events) == (1, before["event_logs"])
    assert dry.characters > 1000
    assert rows_of(database, first) == before
    assert prune().runs == 1


def test_what_the_time_limit_leaves_is_done_next_time_oldest_first(kept, run, prune, monkeypatch):
    monkeypatch.setattr(pruning, "RUNS_A_BATCH", 1)
    runs = [run("2026-01-01") for _ in range(3)]
    ticks = iter([0.0, 1.0, 11.0, 11.0, 11.0])
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    pruned = prune(seconds=10)
    assert (pruned.runs, pruned.left) == (1, 1)
    assert {record.dagster_run.run_id for record in kept.get_run_records()} == set(runs[1:])


def test_events_without_a_run_go_but_the_newest_of_each_asset(kept, prune, database):
    for asset in ("expenses", "expenses", "other"):
        kept.report_runless_asset_event(dg.AssetObservation(asset, tags={"some": "tag"}))
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE dagster.event_logs SET timestamp = timestamp - interval '40 days'"))
    kept.report_runless_asset_event(dg.AssetObservation("late"))
    assert prune().runless_events == 1
    for asset in ("expenses", "other", "late"):
        assert len(kept.fetch_observations(dg.AssetKey(asset), limit=9).records) == 1
    with database.engine.connect() as connection:
        orphans = (
            "SELECT count(*) FROM dagster.asset_event_tags WHERE event_id NOT IN (SELECT id FROM dagster.event_logs)"
        )
        assert connection.execute(text(orphans)).scalar_one() == 0


def test_output_of_steps_goes_with_the_run(kept, run, prune):
    first, second = run("2026-01-01"), run("2026-01-01")
    folders = [os.path.join(kept.storage_directory(), run_id) for run_id in (first, second)]  # noqa: PTH118
    assert [os.path.isdir(folder) for folder in folders] == [True, True]  # noqa: PTH112
    prune()
    assert [os.path.isdir(folder) for folder in folders] == [False, True]  # noqa: PTH112


@pytest.mark.usefixtures("kept")
def test_counters_of_hours_without_a_miss_get_an_end(prune, redis_client):
    with redis_client.pipeline() as batch:
        count_reads(batch, 3)
        batch.execute()
    assert prune(dry_run=True).counters == 1
    assert redis_client.ttl(reads_key()) == -1
    assert prune().counters == 1
    assert COUNTS_KEPT_SECONDS - 60 < redis_client.ttl(reads_key()) <= COUNTS_KEPT_SECONDS
    assert prune().counters == 0


def test_a_large_log_is_moved_aside_while_its_server_writes_on(tmp_path):
    log, small = tmp_path / "redis" / "redis.log", tmp_path / "postgres" / "data" / "server.log"
    for path, content in ((log, "x" * 200), (small, "y" * 10)):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    with log.open("a") as server:
        assert cap_logs(tmp_path, 100, dry_run=True) == {log: 200}
        assert log.stat().st_size == 200
        assert cap_logs(tmp_path, 100) == {log: 200}
        server.write("written on")
    assert log.read_text() == "written on"
    assert log.with_name("redis.log.1").read_text() == "x" * 200
    assert small.read_text() == "y" * 10


def test_the_nightly_job_prunes(settings, kept, run, pipeline):
    first, second = run("2026-01-01"), run("2026-01-01")
    result = define(settings).resolve_job_def("retention_job").execute_in_process(
        instance=kept, resources={"pipeline": pipeline}
    )  # fmt: skip
    assert result.success
    assert kept.get_run_by_id(first) is None
    assert kept.get_run_by_id(second) is not None
