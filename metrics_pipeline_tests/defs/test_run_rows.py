"""What is read straight from Dagster's tables is what Dagster itself reads from them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest

from metrics_pipeline.defs.run_rows import read_reports, read_runs

METADATA = {"accounts": 3, "seconds": 0.25, "who": "everybody", "late": True}
BEFORE = datetime(2020, 1, 1, tzinfo=timezone.utc)


@dg.asset
def reporting(context) -> None:
    context.log_event(dg.AssetMaterialization("report", metadata=METADATA))


@pytest.fixture
def runs(instance):
    """One of a job that reports, one of chosen assets without a job of its own; newest first."""
    definitions = dg.Definitions([reporting], jobs=[dg.define_asset_job("reports_job", [reporting])])
    job = definitions.resolve_job_def("reports_job")
    assert job.execute_in_process(instance=instance, tags={"why": "because"}).success
    chosen = definitions.resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(
        chosen, asset_selection=frozenset({dg.AssetKey("reporting")}), status=dg.DagsterRunStatus.FAILURE
    )
    return instance.get_run_records()


def test_runs_are_those_that_dagster_reads(instance, runs):
    found = read_runs(instance, BEFORE, 10, ["reports_job"])
    for row, record in zip(found, runs, strict=True):
        run = record.dagster_run
        assert (row.run_id, row.job_name, row.status, row.tags) == (run.run_id, run.job_name, run.status, run.tags)
        assert row.created_at.timestamp() == record.create_timestamp.timestamp()
        assert [moment and moment.timestamp() for moment in (row.started_at, row.ended_at)] == pytest.approx(
            [record.start_time, record.end_time], abs=1e-5
        )
    chosen, reported = found
    assert chosen.selection == {"reporting"}
    assert (reported.selection, reported.tags["why"]) == (frozenset(), "because")


def test_only_the_newest_and_only_those_since(instance, runs):
    assert [row.run_id for row in read_runs(instance, BEFORE, 1, [])] == [runs[0].dagster_run.run_id]
    assert read_runs(instance, datetime.now(timezone.utc) + timedelta(minutes=1), 10, []) == []


def test_reports_are_those_that_dagster_reads(instance, runs):
    run_ids = [record.dagster_run.run_id for record in runs]
    (record,) = instance.fetch_materializations(dg.AssetKey("report"), limit=9).records
    said = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert read_reports(instance, dg.AssetKey("report"), run_ids) == {run_ids[1]: said}
    assert said.keys() == METADATA.keys()
    assert read_reports(instance, dg.AssetKey("report"), []) == {}
