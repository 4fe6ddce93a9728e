from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.errors import ConcurrentUpdate, DatabaseUnavailable

ROWS = 20_000
TABLES = ("email_accounts", "categories", "expenses")

# Dies in the middle of the expenses: the accounts and categories are in the transaction by then.
LOAD_AND_DIE = """
import os, pathlib, signal, sys
from zoneinfo import ZoneInfo
from metrics_pipeline.database import connect_engine
from metrics_pipeline.source.load import load_directory

def die_half_way(done, total):
    if done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

load_directory(connect_engine(sys.argv[1]), pathlib.Path(sys.argv[2]), zone=ZoneInfo("UTC"), progress=die_half_way)
"""


@pytest.fixture
def many(household: Any) -> Any:
    header = (household.directory / "expenses.csv").read_text().splitlines()[0]
    good = "".join(f"{id_},1,2,5.00,USD,processed,Shop,2026-03-01T10:00:00Z\n" for id_ in range(1, ROWS + 1))
    household.write("expenses", f"{header}\n0,1,2,5.00,USD,processed,Shop,2026-03-01\n{good}")
    return household


def held(files: Any) -> list[int]:
    return [files.one(f"SELECT count(*) FROM {table}") for table in TABLES]


def test_a_killed_load_leaves_nothing_and_the_next_one_loads_all(many: Any, database: Any) -> None:
    killed = subprocess.run([sys.executable, "-c", LOAD_AND_DIE, database.url, str(many.directory)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert held(many) == [0, 0, 0]
    assert many.counts("expenses", many.load()) == (ROWS, 0, 0, 1)
    assert held(many) == [1, 2, ROWS]


def test_a_lost_connection_leaves_nothing_and_no_rejected_file(many: Any, database: Any) -> None:
    def cut_half_way(done: int, total: int) -> None:
        if done > total / 2:
            with database.engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
                    )
                )

    with pytest.raises(DatabaseUnavailable, match=r"Loading .*: PostgreSQL did not answer"):
        many.load(cut_half_way)
    assert held(many) == [0, 0, 0]
    assert not (many.directory / "rejected").exists()


def test_a_load_that_meets_a_deadlock_says_to_try_again(many: Any, database: Any) -> None:
    many.load()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE expenses SET amount = 6"))
        connection.execute(text("UPDATE email_accounts SET bank_name = 'Other'"))
    other = database.connect()
    pid = other.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other.execute(text("UPDATE expenses SET amount = 7 WHERE id = 5"))
    waiting: list[Future[Any]] = []

    def want_the_account_that_the_load_holds(done: int, total: int) -> None:
        if done > total / 2 and not waiting:
            waiting.append(threads.submit(lambda: other.execute(text("UPDATE email_accounts SET bank_name = 'Mine'"))))
            wait_past_its_deadlock_check(database, pid)

    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(ConcurrentUpdate, match="Nothing was loaded; load again"):
            many.load(want_the_account_that_the_load_holds)
        waiting[0].result(timeout=30)
    other.rollback()
    assert many.one("SELECT bank_name FROM email_accounts") == "Other"
    assert many.counts("expenses", many.load()) == (0, ROWS, 0, 1)


def wait_past_its_deadlock_check(database: Any, pid: int) -> None:
    """Until that session waits for another one, and has looked for a deadlock (once, after 1 s): the
    session that waits next is the one to find it."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(text("SELECT pg_blocking_pids(:pid) <> '{}'"), {"pid": pid}).scalar_one():
            pass
        connection.execute(
            text("SELECT pg_sleep(setting::int / 1000.0 + 0.3) FROM pg_settings WHERE name = 'deadlock_timeout'")
        )
