"""Period locks in PostgreSQL, for while Redis is away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import date

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import NullPool, create_engine, text

from metrics_pipeline.cache.advisory import HOLDER_PREFIX, advisory_key
from metrics_pipeline.cache.leased import LockLost
from metrics_pipeline.cache.locks import PeriodBusy, period_locks
from metrics_pipeline.database import connect_engine
from metrics_pipeline.errors import DatabaseUnavailable
from metrics_pipeline.periods import Grain, Period

MONTH = Period(Grain.MONTH, date(2026, 3, 1))
APRIL = MONTH.shift(1)

HOLD_UNTIL_KILLED = """
import sys
import time
from datetime import date
from redis import Redis
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.database import connect_engine
from metrics_pipeline.periods import Grain, Period
month = Period(Grain.MONTH, date(2026, 3, 1))
away = Redis.from_url("redis://127.0.0.1:1/0")
with period_locks(away, connect_engine(sys.argv[1]), [month], holder="killed", policy="skip"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def away():
    with Redis.from_url("redis://127.0.0.1:1/0", retry=Retry(NoBackoff(), 0)) as client:
        yield client


def end_sessions(database, holder: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"),
            {"name": HOLDER_PREFIX + holder},
        )


def test_a_period_is_held_once_and_says_by_whom(away, database, caplog):
    with (
        period_locks(away, database.engine, [MONTH], holder="first", policy="skip") as first,
        period_locks(away, database.engine, [APRIL, MONTH], holder="second", policy="skip") as second,
    ):
        first.check()
        assert (first.held, second.held, second.skipped) == ([MONTH], [APRIL], {MONTH: "first"})
        with (
            pytest.raises(PeriodBusy, match="being computed by run first"),
            period_locks(away, database.engine, [MONTH], holder="third", policy="wait", patience_seconds=0.2),
        ):
            pass
    assert "locking in PostgreSQL instead: Locking month 2026-03-01: Redis gave no lock" in caplog.text
    with period_locks(away, database.engine, [MONTH], holder="third", policy="skip") as third:
        assert third.held == [MONTH]


def test_locks_end_with_the_process(away, database):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, database.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with period_locks(away, database.engine, [MONTH], holder="other", policy="skip") as other:
            assert other.skipped == {MONTH: "killed"}
        process.send_signal(signal.SIGKILL)
        process.wait()
        with period_locks(away, database.engine, [MONTH], holder="next", policy="wait", patience_seconds=10) as locks:
            assert locks.held == [MONTH]


def test_a_lost_connection_is_a_lost_lock(away, database):
    with period_locks(away, database.engine, [MONTH], holder="first", policy="skip") as first:
        first.check()
        end_sessions(database, "first")
        with pytest.raises(LockLost, match="Run first lost its locks: its session with PostgreSQL ended"):
            first.check()
        with pytest.raises(LockLost):
            first.check()


def test_redis_that_goes_away_between_two_periods_moves_both(redis_client, database, monkeypatch):
    """Else those who come without Redis would take the first period again."""
    from metrics_pipeline.cache.leased import LeasedLocks
    from metrics_pipeline.errors import CacheUnavailable

    take = LeasedLocks.take

    def goes_away(self, period):
        if period == APRIL:
            raise CacheUnavailable("Redis went away")
        return take(self, period)

    with monkeypatch.context() as patched:
        patched.setattr(LeasedLocks, "take", goes_away)
        first = period_locks(redis_client, database.engine, [MONTH, APRIL], holder="first", policy="skip")
        assert first.__enter__().held == [MONTH, APRIL]
    with (
        Redis.from_url("redis://127.0.0.1:1/0") as away,
        period_locks(away, database.engine, [MONTH, APRIL], holder="second", policy="skip") as second,
    ):
        assert second.skipped == {MONTH: "first", APRIL: "first"}
    first.__exit__(None, None, None)


def test_a_server_that_ends_idle_transactions_leaves_the_locks_alone(away, database):
    strict = create_engine(
        database.url, connect_args={"options": "-c idle_in_transaction_session_timeout=300"}, poolclass=NullPool
    )
    with period_locks(away, strict, [MONTH], holder="first", policy="skip") as locks:
        time.sleep(0.6)
        locks.check()


def test_without_redis_and_postgresql_there_is_no_lock(away):
    nowhere = connect_engine("postgresql+psycopg://127.0.0.1:1/none")
    with (
        pytest.raises(DatabaseUnavailable, match="Locking month 2026-03-01 in PostgreSQL, as Redis is away"),
        period_locks(away, nowhere, [MONTH], holder="first", policy="wait"),
    ):
        pass


def test_keys_are_the_same_in_every_version():
    """A new number would let the old version's runs and the new one's hold a period at once."""
    assert advisory_key(MONTH) == -2894589175130863907
