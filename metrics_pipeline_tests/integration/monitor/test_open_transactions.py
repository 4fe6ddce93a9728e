"""The transaction that holds back the queues is found, by its process and age."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from metrics_pipeline.monitor.reading import read_waiting


@pytest.fixture
def holder(database, settings):
    """Who holds a snapshot, seen so many seconds from now."""

    def seen(later: float):
        with database.engine.connect() as connection:
            return read_waiting(connection, settings, datetime.now(timezone.utc) + timedelta(seconds=later)).snapshot

    return seen


def pid_of(connection, application: str = "psql") -> int:
    """Of a session that says it is of this application."""
    connection.execute(text(f"SET application_name = '{application}'"))
    return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


def test_an_open_snapshot_is_reported_after_a_minute_and_until_it_ends(database, holder):
    reader = database.connect().execution_options(isolation_level="REPEATABLE READ")
    pid = pid_of(reader)
    assert holder(50) is None
    found = holder(70)
    assert (found.pid, found.application, found.state) == (pid, "psql", "idle in transaction")
    assert 69 < found.age_s < 75
    reader.rollback()
    assert holder(70) is None


def test_uncommitted_changes_hold_the_log_back_too(database, holder):
    writer = database.connect()
    pid = pid_of(writer)
    writer.execute(text("INSERT INTO email_accounts (email) VALUES ('a')"))
    assert holder(70).pid == pid


@pytest.mark.parametrize("application", ["metrics_pipeline", "metrics lock: a-run"])
def test_runs_of_ours_are_left_alone_however_long_they_take(database, holder, application):
    run = database.connect().execution_options(isolation_level="REPEATABLE READ")
    pid_of(run, application)
    assert holder(70) is None


def test_who_is_reading_is_left_alone(database, holder):
    """A dump; it waits for a lock here, so that it is reading for as long as it is looked at."""
    owner, dump = database.connect(), database.connect().execution_options(isolation_level="REPEATABLE READ")
    pid = pid_of(dump, "pg_dump")
    pid_of(owner, "metrics_pipeline")
    owner.execute(text("LOCK TABLE expenses"))
    reading = threading.Thread(target=lambda: dump.execute(text("SELECT count(*) FROM expenses")))
    reading.start()
    waits = text("SELECT count(*) FROM pg_locks WHERE pid = :pid AND NOT granted")
    while not database.connect().execute(waits, {"pid": pid}).scalar_one():
        pass
    assert holder(70) is None
    owner.rollback()
    reading.join()
    assert holder(70).pid == pid


def test_a_session_that_holds_nothing_is_left_alone(database, holder):
    idle = database.connect()
    pid_of(idle)  # its transaction is open, its snapshot is gone with the statement
    assert holder(70) is None
