"""`prune`: says what went, or what would."""

from __future__ import annotations

import json

import dagster as dg
import pytest
from sqlalchemy import text

from metrics_pipeline.services.instance import enter_dagster_home


@dg.op
def nothing() -> None: ...


@dg.job
def some_job() -> None:
    nothing()


@pytest.fixture
def old_run(settings, database) -> str:
    """A run of forty days ago, which no page needs."""
    enter_dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        run_id = some_job.execute_in_process(instance=instance).run_id
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE dagster.runs SET update_timestamp = update_timestamp - interval '40 days'"))
    return run_id


def runs(database) -> int:
    with database.engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM dagster.runs")).scalar_one()


def test_a_dry_run_tells_what_a_real_one_then_deletes(cli, old_run, database) -> None:
    assert cli("prune", "--dry-run").stdout.startswith("Would delete 1 runs that ended before ")
    assert runs(database) == 1
    found = json.loads(cli("prune", "--json").stdout)
    assert (found["runs"], found["left"], found["dry_run"]) == (1, 0, False)
    assert found["events"] > 3
    assert runs(database) == 0


def test_how_old_is_an_option_and_a_setting(cli, old_run, database) -> None:
    assert json.loads(cli("prune", "--json", "--older-than", "50").stdout)["runs"] == 0
    assert json.loads(cli("prune", "--json", METRICS_RETENTION_RUN_DAYS="50").stdout)["runs"] == 0
    assert runs(database) == 1
    assert json.loads(cli("prune", "--json", "--older-than", "39").stdout)["runs"] == 1


def test_a_token_is_for_accounts_or_for_metrics(cli) -> None:
    secret = {"METRICS_DASHBOARD_SECRET": "a secret of this test, long enough to sign"}
    assert cli("token", "--metrics", **secret).stdout.count(".") == 2
    for words in (("token",), ("token", "--metrics", "--account", "1")):
        assert "say --metrics" in cli(*words, expect=2, **secret).output
