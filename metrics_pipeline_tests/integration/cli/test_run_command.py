"""`metrics-pipeline run` as a program, twice, and what only a process of its own can show."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

PROGRAM = str(Path(sys.executable).with_name("metrics-pipeline"))


@pytest.fixture
def ran(environment: dict[str, str], tmp_path: Path):
    """Run the program with its output in pipes."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True, timeout=200
        )

    return run


def numbers_of(output: str) -> list[str]:
    """The cards' lines, and grains, periods, accounts, expenses and payloads of the table."""
    lines = output.splitlines()
    table = [line.split()[:7] for line in lines if re.match(r"(day|week|month|year) +\d+ since", line)]
    return [line for line in lines if line.startswith(("│", "╭"))] + [" ".join(row) for row in table]


def test_a_run_does_everything_and_a_second_one_shows_the_same(ran, database) -> None:
    assert ran("sample", "--accounts", "12", "--months", "3").returncode == 0
    first, second = ran("run"), ran("run")
    for result in (first, second):
        assert (result.returncode, result.stderr) == (0, "")
        assert "\x1b" not in result.stdout
        assert "\r" not in result.stdout
        assert max(map(len, numbers_of(result.stdout))) <= 80
        assert re.search(r"Reading a cached payload takes [\d.]+ ms, computing it [\d.]+ ms", result.stdout)
    assert first.stdout.count("╭─") == 4
    assert numbers_of(first.stdout) == numbers_of(second.stdout)
    changed = [line.split()[-2] for line in second.stdout.splitlines() if re.match(r"(day|week|month|year) ", line)]
    assert changed == ["0", "0", "0", "0"]
    with database.engine.connect() as connection:
        runs = connection.execute(text("SELECT status, count(*) FROM dagster.runs GROUP BY status")).all()
    assert [tuple(row) for row in runs] == [("SUCCESS", 8)]


def test_an_empty_database_is_filled_with_a_sample(ran, database) -> None:
    result = ran("run", "--today", "2026-03-17")
    assert (result.returncode, result.stderr) == (0, "")
    assert "wrote a sample of 200 accounts" in result.stdout
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM email_accounts")).scalar_one() == 200
        newest = connection.execute(text("SELECT max(transaction_date)::date::text FROM expenses")).scalar_one()
    assert newest == "2026-03-17"


def test_without_any_active_account_a_run_says_so(ran, database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (email, active) VALUES ('a@example.com', false)"))
    result = ran("run")
    assert (result.returncode, result.stderr) == (0, "")
    assert "There is no active account yet" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(environment, database, tmp_path) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO email_accounts (email) SELECT 'account' || n FROM generate_series(1, 2000) n")
        )
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
                "SELECT id, 5, 'USD', now() FROM email_accounts"
            )
        )
    env = os.environ | environment
    subprocess.run([PROGRAM, "calculate", "-g", "month"], env=env, check=True, capture_output=True)
    export = subprocess.Popen([PROGRAM, "export"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert export.stdout
    assert export.stderr
    export.stdout.read(10)
    export.stdout.close()
    assert export.stderr.read() == b""
    assert export.wait(timeout=60) == 0


def test_ctrl_c_ends_with_code_130_and_one_line(environment, database) -> None:
    watcher = database.connect().execution_options(isolation_level="AUTOCOMMIT")
    with database.engine.connect() as blocker:
        blocker.execute(text("LOCK TABLE email_accounts IN ACCESS EXCLUSIVE MODE"))
        waiting = subprocess.Popen(
            [PROGRAM, "calculate"], env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        blocked = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        deadline = time.monotonic() + 60
        while watcher.execute(blocked).scalar_one() == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out, err) == (130, b"", b"Error: Interrupted.\n")
