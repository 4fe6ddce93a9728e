"""`status` and `slow-runs`: one screen for people, a document and an exit code for programs."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import Grain, Period


@pytest.fixture
def status(cli):
    """The document and the exit code, which must fit each other."""

    def looked(expect: int = 0):
        return json.loads(cli("status", "--json", expect=expect).stdout)

    return looked


def test_before_anything_ran_it_is_idle_and_fits_the_screen(cli, status) -> None:
    assert status()["health"]["status"] == "idle"
    screen = cli("status").stdout
    assert screen.startswith("IDLE  Nothing is running here: start `metrics-pipeline up`.")
    assert max(len(line.rstrip()) for line in screen.splitlines()) <= 80
    assert len(screen.splitlines()) <= 24
    assert cli("slow-runs").stdout == "No slow runs in the last 24 hours.\n"
    assert json.loads(cli("slow-runs", "--json").stdout) == []


def test_a_stale_lock_is_a_warning_until_it_is_cleared(cli, status, settings, redis_client, database) -> None:
    period = Period.holding(Grain.DAY, settings.today())
    with period_locks(redis_client, database.engine, [period], holder="gone", policy="skip"):
        redis_client.expire(lock_key(period), 20)
        (lock,) = status(expect=1)["locks"]
        assert (lock["holder"], lock["stale"]) == ("gone", True)
        assert "metrics-pipeline locks clear-stale" in cli("status", expect=1).stdout
        cli("locks", "clear-stale")
        assert status()["locks"] == []


@pytest.mark.usefixtures("worker")
def test_what_waits_for_more_than_an_hour_is_critical_until_it_is_gone(cli, status, database, daemon_was_here) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO metrics.stale_periods VALUES "
                "(1, 'day', '2026-03-01', 1, now() - interval '61 minutes', now())"
            )
        )
    # Where only commands ran, readers compute what waits, and nobody promised more.
    assert status()["health"]["message"] == "Nothing is running here, and changes wait: start `metrics-pipeline up`."
    daemon_was_here(5)
    found = status(expect=2)
    assert (found["health"]["status"], found["freshness"]["stale_periods"]) == ("critical", 1)
    assert cli("status", expect=2).stdout.startswith("CRITICAL  the oldest unpublished change is 61 min old.")
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM metrics.stale_periods"))
    assert status()["health"]["status"] == "idle"


def test_processes_that_are_gone_are_critical(cli, status, daemon_was_here) -> None:
    daemon_was_here(5)
    assert "no worker is reachable" in status(expect=2)["health"]["message"]
    assert "metrics-pipeline worker" in cli("status", expect=2).stdout
    daemon_was_here(7300)
    assert status(expect=2)["health"]["message"].startswith("Dagster's daemon stopped 2 h 1 min ago")
    assert "metrics-pipeline up" in cli("status", expect=2).stdout
