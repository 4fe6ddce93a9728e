"""The transaction that holds back the queues is found, by its process and age."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from metrics_pipeline.monitor.reading import read_waiting


@pytest.fixture
def holder(database):
    """Who holds a snapshot, seen so many seconds from now."""

    def seen(later: float):
        with database.engine.connect() as connection:
            return read_waiting(connection, datetime.now(timezone.utc) + timedelta(seconds=later)).snapshot

    return seen


def pid_of(connection) -> int:
    return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


def test_an_open_snapshot_is_reported_after_a_minute_and_until_it_ends(database, holder):
    reader = database.connect().execution_options(isolation_level="REPEATABLE READ")
    pid = pid_of(reader)
    assert holder(50) is None
    found = holder(70)
    assert (found.pid, found.application, found.state) == (pid, "metrics_pipeline", "idle in transaction")
    assert 69 < found.age_s < 75
    reader.rollback()
    assert holder(70) is None


def test_uncommitted_changes_hold_the_log_back_too(database, holder):
    writer = database.connect()
    writer.execute(text("INSERT INTO email_accounts (email) VALUES ('a')"))
    assert holder(70).pid == pid_of(writer)


def test_a_session_that_holds_nothing_is_left_alone(database, holder):
    idle = database.connect()
    pid_of(idle)  # its transaction is open, its snapshot is gone with the statement
    assert holder(70) is None
