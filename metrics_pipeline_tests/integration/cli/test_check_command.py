"""`check`: a finding for each thing that is wrong, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from sqlalchemy import text

from metrics_pipeline.services.embedded import ServiceUrls

AWAY_DATABASE, AWAY_REDIS = "postgresql://me:secret@127.0.0.1:1/none", "redis://:secret@127.0.0.1:1/0"


@pytest.fixture
def findings(cli):
    """The findings by what they are about. The exit code is compared with them."""

    def checked(*, wrong: bool, **variables: str) -> dict[str, dict[str, Any]]:
        found = json.loads(cli("check", "--json", expect=int(wrong), **variables).stdout)["findings"]
        assert any(one["state"] == "wrong" for one in found) == wrong
        return {one["about"]: one for one in found}

    return checked


def spend(database, amount: str, account: str = "1", day: str = "2026-03-01") -> None:
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (id, email) VALUES (1, 'a') ON CONFLICT DO NOTHING"))
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                f"VALUES ({account}, '{amount}', 'USD', '{day}')"
            )
        )


def test_nothing_is_wrong_with_a_migrated_database(findings, database) -> None:
    spend(database, "5")
    found = findings(wrong=False)
    assert {about: one["state"] for about, one in found.items()} == {
        "settings": "ok",
        "PostgreSQL": "ok",
        "Redis": "ok",
        "schema": "ok",
        "expenses": "ok",
        "processes": "note",
    }


def indexed(database, *statements: str) -> None:
    """Change indexes of a table that seems large; making one counts its rows."""
    with database.engine.begin() as connection:
        for statement in (*statements, "UPDATE pg_class SET reltuples = 2e6 WHERE oid = 'expenses'::regclass"):
            connection.execute(text(statement))


def test_a_large_table_is_read_by_account_from_an_index_alone(findings, database) -> None:
    indexed(database)
    index = findings(wrong=False)["index"]
    assert "2,000,000" in index["said"]
    recommended = index["to_do"].partition(": ")[2].replace("CONCURRENTLY ", "")
    indexed(database, recommended.partition(" WHERE ")[0])  # which does not tell what is deleted
    assert "index" in findings(wrong=False)
    indexed(database, recommended)
    assert "index" not in findings(wrong=False)


def test_amounts_that_have_no_cents(findings, database) -> None:
    with database.engine.begin() as connection:
        # As in an expense table of one's own, which may allow them.
        connection.execute(text("ALTER TABLE expenses DROP CONSTRAINT expenses_amount_check"))
        connection.execute(text("ALTER TABLE expenses ALTER COLUMN amount TYPE numeric"))
    spend(database, "NaN")
    spend(database, "Infinity")
    spend(database, "99999999.99")
    amounts = findings(wrong=True)["amounts"]
    assert amounts["said"].startswith("2 expenses are left out")
    assert "SELECT id FROM expenses" in amounts["to_do"]


@pytest.mark.parametrize(
    ("account", "day", "said"),
    [("NULL", "2026-03-01", "1 belong to no account"), ("1", "2019-12-31", "1 are older than 2020-01-01")],
)
def test_expenses_that_no_metric_counts_are_noted(findings, database, account: str, day: str, said: str) -> None:
    spend(database, "5", account, day)
    expenses = findings(wrong=False)["expenses"]
    assert expenses["state"] == "note"
    assert said in expenses["said"]


def test_a_database_that_was_never_migrated(findings, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA metrics CASCADE"))
    assert findings(wrong=True)["schema"]["to_do"] == "Run `metrics-pipeline migrate`."


def test_a_schema_of_an_older_release_until_migrate(findings, cli) -> None:
    assert "is back at revision 0008" in cli("migrate", "--back-to", "0008").stdout
    found = findings(wrong=True)["schema"]
    assert found["said"].startswith("revision 0008; this version of the package needs ")
    assert found["to_do"] == "Run `metrics-pipeline migrate`."
    cli("migrate")
    assert findings(wrong=False)["schema"]["state"] == "ok"


def test_columns_that_are_missing_and_how_to_add_them(findings, cli, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DROP COLUMN deleted_at"))
        connection.execute(text("ALTER TABLE budgets DROP COLUMN active, DROP COLUMN warning_threshold"))
    cli("migrate")
    cli("calculate", expect=2)
    to_do = findings(wrong=True)["schema"]["to_do"]
    with database.engine.begin() as connection:
        connection.execute(text(to_do.removeprefix("Run: ")))
    cli("migrate")
    cli("calculate")
    assert findings(wrong=False)["schema"]["state"] == "ok"


def test_a_schema_of_a_newer_release(findings, cli, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE metrics.schema_version SET version_num = '9999'"))
    assert "A newer release made it" in findings(wrong=True)["schema"]["to_do"]
    assert "A newer release made it" in cli("migrate", expect=2).output


def test_a_disabled_trigger_is_wrong_until_migrate(findings, cli, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE expenses DISABLE TRIGGER USER"))
    changes = findings(wrong=True)["changes"]
    assert "is disabled" in changes["said"]
    assert changes["to_do"] == "Run `metrics-pipeline migrate`."
    cli("migrate")
    assert "changes" not in findings(wrong=False)


def test_changes_that_wait_for_long_are_noted(findings, database) -> None:
    spend(database, "5")
    assert "backlog" not in findings(wrong=False)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE metrics.expense_changes SET changed_at = now() - interval '6 minutes'"))
    assert findings(wrong=False)["backlog"]["said"] == "the oldest unpublished change is 6 min old"


def test_a_daemon_that_stopped_and_started_again(findings, daemon_was_here, request) -> None:
    request.getfixturevalue("worker")
    assert "nothing is running here" in findings(wrong=False)["processes"]["said"]
    daemon_was_here(600)
    assert findings(wrong=True)["daemon"]["to_do"] == "Start it with `metrics-pipeline up`."
    daemon_was_here(5)
    found = findings(wrong=False)
    assert (found["daemon"]["state"], found["workers"]["state"]) == ("ok", "ok")


def test_no_worker_is_wrong_until_one_answers(findings, daemon_was_here, request) -> None:
    daemon_was_here(5)
    assert "metrics-pipeline worker" in findings(wrong=True)["workers"]["to_do"]
    request.getfixturevalue("worker")
    assert findings(wrong=False)["workers"]["state"] == "ok"


@pytest.mark.usefixtures("worker")
def test_a_sensor_that_is_switched_off_is_noted_until_it_is_on(findings, daemon_was_here, database) -> None:
    daemon_was_here(5)
    switched_off = InstigatorState(
        RemoteInstigatorOrigin(
            RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="m")), "r"),
            "expense_changes",
        ),
        InstigatorType.SENSOR,
        InstigatorStatus.STOPPED,
    )
    url = ServiceUrls(database.url, "").dagster_url
    switches = PostgresScheduleStorage(url, should_autocreate_tables=False)
    switches.add_instigator_state(switched_off)
    found = findings(wrong=False)["sensor expense_changes"]
    assert (found["state"], found["said"]) == ("note", "is switched off")
    switches.update_instigator_state(switched_off.with_status(InstigatorStatus.RUNNING))
    assert "sensor expense_changes" not in findings(wrong=False)
    switches.dispose()


def test_an_alert_that_was_not_delivered_is_wrong(findings, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE metrics.alerts SET failing_since = now() - interval '5 minutes', error = 'away' "
                "WHERE kind = 'health'"
            )
        )
    assert findings(wrong=True)["alerts"]["said"] == "not delivered for 5 min: away"


def test_secrets_of_receivers_are_not_shown(cli) -> None:
    shown = cli(
        "check",
        METRICS_ALERT_WEBHOOK_URL="https://hooks.slack.com/services/T0/very-secret",
        METRICS_ALERT_SECRET="very-secret-indeed-0123456789abcdef",
        METRICS_MONITOR_RUN_SECONDS="60",
    ).stdout
    assert "very-secret" not in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("METRICS_MONITOR_RUN_SECONDS")]
    assert line.split() == ["METRICS_MONITOR_RUN_SECONDS", "60.0"]


def test_servers_that_do_not_answer(findings, cli) -> None:
    away = {"METRICS_DATABASE_URL": AWAY_DATABASE, "METRICS_REDIS_URL": AWAY_REDIS}
    found = findings(wrong=True, **away)
    assert "METRICS_DATABASE_URL" in found["PostgreSQL"]["to_do"]
    assert "METRICS_REDIS_URL" in found["Redis"]["to_do"]
    assert "secret" not in json.dumps(found)
    assert "secret" not in cli("check", expect=1, **away).output


def test_embedded_servers_that_were_not_started_are_nothing_wrong(findings, tmp_path) -> None:
    home = tmp_path / "new"
    found = findings(wrong=False, METRICS_DATABASE_URL="", METRICS_REDIS_URL="", METRICS_HOME=str(home))
    assert (found["PostgreSQL"]["state"], found["Redis"]["state"]) == ("note", "note")
    assert not home.exists()


def test_wrong_settings_are_findings_too(findings) -> None:
    settings = findings(wrong=True, METRICS_TIMEZONE="Mars")["settings"]
    assert settings["said"].startswith("METRICS_TIMEZONE: 'Mars' is not a known zone")


def test_the_settings_are_shown_and_the_defaults_told_apart(cli) -> None:
    lines = cli("check", METRICS_TIMEZONE="America/Costa_Rica").stdout.splitlines()
    (zone,) = [line for line in lines if line.startswith("METRICS_TIMEZONE")]
    (start,) = [line for line in lines if line.startswith("METRICS_START_DATE")]
    assert zone.split() == ["METRICS_TIMEZONE", "America/Costa_Rica"]
    assert start.split() == ["METRICS_START_DATE", "2020-01-01", "default"]
