"""How much work a run is, counted, not timed: statements, rows over the wire, rows rewritten, bytes published."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import event, text

from metrics_pipeline.periods import Grain, Period, warm_window
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest

TODAY = date(2026, 3, 31)
MONTH = Period(Grain.MONTH, date(2026, 3, 1))
HOURLY = [period for grain in Grain for period in warm_window(grain, TODAY)]
EXPENSES_AN_ACCOUNT = 40


@dataclass
class Work:
    """Statements that were sent to PostgreSQL, without the name of the run's snapshot."""

    statements: list[str] = field(default_factory=list)

    def add(self, statement: str) -> None:
        self.statements.append(re.sub(r"SNAPSHOT '.*'", "SNAPSHOT", statement))


@pytest.fixture
def pipeline(settings) -> Iterator[Pipeline]:
    with Pipeline(settings) as pipeline:
        yield pipeline


@contextmanager
def watched(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """All statements of the engine, and the COPYs, which pass it by."""
    work = Work()
    copy = psycopg.Cursor.copy

    def watched_copy(self, statement, *args, **kwargs):
        work.add(str(statement))
        return copy(self, statement, *args, **kwargs)

    def watched_statement(_connection, _cursor, statement, *_) -> None:
        work.add(statement)

    event.listen(pipeline.engine, "before_cursor_execute", watched_statement)
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "copy", watched_copy)
        yield work
    event.remove(pipeline.engine, "before_cursor_execute", watched_statement)


def spend(pipeline: Pipeline, accounts: int) -> None:
    """Accounts with as many expenses each, one every fifth day back from today, and a monthly budget."""
    with pipeline.engine.begin() as connection:
        connection.execute(text("TRUNCATE email_accounts, categories, expenses, budgets, budget_categories CASCADE"))
        connection.execute(
            text("INSERT INTO email_accounts (id, email) SELECT n, n || '@example.com' FROM generate_series(1, :n) n"),
            {"n": accounts},
        )
        connection.execute(
            text(
                "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) VALUES (:a, :m, 'USD', :t)"
            ),
            [
                {"a": account, "m": Decimal(account + n) / 4, "t": noon(TODAY - timedelta(days=5 * n))}
                for account, n in itertools.product(range(1, accounts + 1), range(EXPENSES_AN_ACCOUNT))
            ],
        )
        connection.execute(
            text(
                "INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date) "
                "SELECT id, 'All', 'monthly', 100, 'USD', '2025-01-01' FROM email_accounts"
            )
        )


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)


def refresh(pipeline: Pipeline, monkeypatch, request: RefreshRequest) -> tuple[Outcome, Work]:
    with watched(pipeline, monkeypatch) as work:
        return pipeline.refresh(request), work


@pytest.mark.parametrize("periods", [[MONTH], HOURLY], ids=["a month", "the hourly set"])
def test_a_run_takes_as_many_statements_for_many_accounts_as_for_few(pipeline, monkeypatch, periods):
    found = {}
    for accounts in (3, 60):
        spend(pipeline, accounts)
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest(periods, TODAY))
        assert outcome.accounts == accounts
        assert outcome.payloads >= accounts * len(periods) // 2
        found[accounts] = work
    assert sorted(found[3].statements) == sorted(found[60].statements)
    # Enough for the two connections' own beginnings; twice that would be a statement for each something.
    assert 8 < len(found[60].statements) <= 24


def test_periods_of_one_run_share_one_reading_of_the_expenses(pipeline, monkeypatch):
    spend(pipeline, 3)
    _, one = refresh(pipeline, monkeypatch, RefreshRequest([MONTH], TODAY))
    _, all_of_them = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    copies = [[s for s in work.statements if s.startswith("COPY (")] for work in (one, all_of_them)]
    assert 1 <= len(copies[0]) <= 3
    assert len(copies[1]) <= 3


def test_rows_read_are_those_of_the_periods_and_sums_of_what_lies_before(pipeline, monkeypatch):
    """A month's rows: seven of each account's forty. Before it: a sum for each month that a figure needs."""
    for accounts in (3, 60):
        spend(pipeline, accounts)
        outcome, _ = refresh(pipeline, monkeypatch, RefreshRequest([MONTH], TODAY))
        days = [TODAY - timedelta(days=5 * n) for n in range(EXPENSES_AN_ACCOUNT)]
        rows = sum(day >= MONTH.start for day in days)
        months_before = {MONTH.shift(-back) for back in range(1, 7)}
        sums = len({Period.holding(Grain.MONTH, day) for day in days} & months_before)
        assert outcome.rows_read == accounts * (rows + sums)


def test_rows_read_for_some_accounts_do_not_grow_with_the_others(pipeline, monkeypatch):
    read = []
    for accounts in (3, 60):
        spend(pipeline, accounts)
        outcome, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY, [2]))
        read.append(outcome.rows_read)
    assert read[0] == read[1] <= EXPENSES_AN_ACCOUNT


def test_an_unchanged_second_run_rewrites_nothing_and_publishes_the_same(pipeline, monkeypatch, redis_client):
    spend(pipeline, 12)
    first, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    with pipeline.engine.begin() as connection:
        rows_before = connection.execute(
            text("SELECT ctid, xmin, version FROM metrics.period_metrics ORDER BY 1")
        ).all()
    second, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    assert (first.rewritten, second.rewritten) == (first.payloads, 0)
    assert first.payloads == second.payloads
    with pipeline.engine.begin() as connection:
        rows = connection.execute(text("SELECT ctid, xmin, version FROM metrics.period_metrics ORDER BY 1")).all()
    assert rows == rows_before
    assert second.published == second.payloads
    assert second.bytes_published == first.bytes_published == cached_bytes(redis_client)


def test_one_changed_expense_rewrites_only_the_payloads_that_depend_on_it(pipeline, monkeypatch):
    spend(pipeline, 12)
    refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    with pipeline.engine.begin() as connection:
        connection.execute(
            text("UPDATE expenses SET amount = amount + 1 WHERE email_account_id = 7 AND transaction_date >= :day"),
            {"day": noon(TODAY)},
        )
    outcome, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    assert outcome.rewritten == len(Grain)  # today's day, week, month and year of one account


def cached_bytes(redis_client) -> int:
    return sum(redis_client.strlen(key) for key in redis_client.scan_iter("metrics:{*}:*:*"))
