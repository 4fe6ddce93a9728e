"""`reconcile`: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text


@pytest.fixture
def drifted(cli, database):
    """Two accounts, computed; then an amount that no trigger saw change. Returns nothing: look with the command."""
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (id, email) VALUES (1, 'a'), (2, 'b')"))
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT n, 10, 'USD', timestamptz '2026-03-18 12:00+00' FROM generate_series(1, 2) n"
            )
        )
    cli("calculate", "--date", "2026-03-18")
    cli("refresh")
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE expenses SET amount = 11 WHERE email_account_id = 2"))


def test_drift_is_shown_then_mended_then_gone(cli, drifted) -> None:
    left = " ".join(cli("reconcile", "--no-repair", expect=1).stdout.split())
    assert "mismatched 2 day 2026-03-18 1 1" in left
    assert "Found 4 mismatched. Nothing was changed: run `metrics-pipeline reconcile` to mend it." in left
    mended = cli("reconcile", expect=1).stdout
    assert "Found 4 mismatched. Repaired by a refresh of " in mended
    assert "compared again, nothing differs." in mended
    assert "Nothing differs." in cli("reconcile").stdout


def test_json_says_the_same(cli, drifted) -> None:
    found = json.loads(cli("reconcile", "--json", "--full", expect=1).stdout)
    assert found["mode"] == "full"
    assert found["found"]["mismatched"] == found["total"] >= 4
    assert (found["verified"], found["remaining"]) == (True, 0)
    assert found["sample"][0]["account_id"] == 2
    again = json.loads(cli("reconcile", "--json", "--sample", 1).stdout)
    assert (again["total"], again["accounts"], again["marked"]) == (0, 1, None)


@pytest.mark.parametrize(
    "away",
    [
        {"METRICS_DATABASE_URL": "postgresql://me@127.0.0.1:1/none"},
        {"METRICS_REDIS_URL": "redis://127.0.0.1:1/0"},
    ],
)
def test_a_server_that_is_away_ends_with_3(cli, drifted, away) -> None:
    cli("reconcile", expect=3, **away)
