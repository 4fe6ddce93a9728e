"""How much work a run is, counted, not timed: statements, rows over the wire, rows rewritten, bytes published."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import text

from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.portions import BYTES_PER_EXPENSE
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline.sql import driver_query
from metrics_pipeline_tests.statements import Work, watched
from metrics_pipeline_tests.world import mark_stale

TODAY = date(2026, 3, 31)
MONTH = Period(Grain.MONTH, date(2026, 3, 1))
HOURLY = warm_periods(TODAY)
CURRENT = [period for period in HOURLY if period.is_current(TODAY)]
EXPENSES_AN_ACCOUNT = 40


@pytest.fixture
def pipeline(settings) -> Iterator[Pipeline]:
    """Without autovacuum of the expenses, which comes by chance: once it has counted them a run asks one thing less."""
    with Pipeline(settings) as pipeline:
        with pipeline.engine.begin() as connection:
            connection.execute(text("ALTER TABLE expenses SET (autovacuum_enabled = false)"))
        yield pipeline


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
    with watched(monkeypatch) as work:
        return pipeline.refresh(request), work


@pytest.mark.parametrize(
    "options", [{}, {"only_outdated": True}, {"shard": Shard(1, 3)}], ids=["all", "hourly", "shard"]
)
@pytest.mark.parametrize("periods", [[MONTH], HOURLY], ids=["a month", "the hourly set"])
def test_a_run_takes_as_many_statements_for_many_accounts_as_for_few(pipeline, monkeypatch, periods, options):
    found = {}
    for accounts in (6, 60):
        spend(pipeline, accounts)
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest(periods, TODAY, **options))
        assert outcome.accounts == (accounts // 3 if "shard" in options else accounts)
        assert outcome.payloads >= outcome.accounts * len(periods) // 2
        found[accounts] = work
    assert sorted(found[6].statements) == sorted(found[60].statements)
    # Enough for the transactions' own beginnings; twice that would be a statement for each something.
    assert 8 < len(found[60].statements) <= 30 + 16 * ("only_outdated" in options)


def test_named_accounts_take_as_many_statements_whether_two_or_sixty(pipeline, monkeypatch):
    spend(pipeline, 60)
    found = {}
    for accounts in (2, 60):
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest(CURRENT, TODAY, range(1, accounts + 1)))
        assert (outcome.accounts, outcome.payloads) == (accounts, accounts * len(CURRENT))
        found[accounts] = sorted(work.statements)
    assert found[2] == found[60]
    assert sum("expense.merchant_name" in statement for statement in found[60]) == 2  # half of them on each connection


def test_portions_take_as_many_statements_each_and_read_no_row_twice(pipeline, monkeypatch):
    """A budget of 150 expenses: three of these accounts, each with ten more for itself."""
    spend(pipeline, 60)
    whole, one = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    budget = 150 * BYTES_PER_EXPENSE / 1e6
    with Pipeline(pipeline.settings.model_copy(update={"memory_budget_mb": budget})) as small:
        outcome, work = refresh(small, monkeypatch, RefreshRequest(HOURLY, TODAY))
    assert (outcome.accounts, outcome.payloads, outcome.rows_read) == (60, whole.payloads, whole.rows_read)
    assert (outcome.rewritten, outcome.bytes_published) == (0, whole.bytes_published)
    readings = [sum("expense.merchant_name" in s for s in each.statements) for each in (one, work)]
    assert readings == [4, 80]  # the days in quarters, two at once
    assert len(work.statements) <= len(one.statements) + 2 + 19 * 16


@pytest.mark.parametrize("looked_at", [True, False])
def test_expenses_are_divided_by_how_many_there_are_and_not_by_what_is_believed(pipeline, monkeypatch, looked_at):
    """Of a table that was never analysed PostgreSQL believes that its rows are as wide as their types: half as many."""
    spend(pipeline, 60)
    if looked_at:
        with pipeline.engine.begin() as connection:
            connection.execute(text("ANALYZE expenses"))
    budget = 60 * EXPENSES_AN_ACCOUNT * 0.8 * BYTES_PER_EXPENSE / 1e6
    with Pipeline(pipeline.settings.model_copy(update={"memory_budget_mb": budget})) as small:
        _, work = refresh(small, monkeypatch, RefreshRequest(HOURLY, TODAY))
    assert sum("expense.merchant_name" in statement for statement in work.statements) == 2 * 4


def test_an_hourly_run_reads_the_expenses_of_current_periods_only(pipeline, monkeypatch):
    """Once all is computed: no row from before this year, no closed payload rewritten or sent again."""
    spend(pipeline, 12)
    first, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY, only_outdated=True))
    again, work = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY, only_outdated=True))
    current, _ = refresh(pipeline, monkeypatch, RefreshRequest(CURRENT, TODAY))
    assert first.rewritten == first.payloads > again.payloads == current.payloads == 12 * len(Grain)
    assert again.rewritten == 0
    assert again.rows_read == current.rows_read
    assert again.bytes_published == current.bytes_published < first.bytes_published // 2
    assert again.renewed == first.payloads - current.payloads
    assert sum("expense.merchant_name" in statement for statement in work.statements) == 4


def test_rows_of_a_closed_period_are_read_for_the_accounts_that_changed_in_it(pipeline, monkeypatch):
    spend(pipeline, 12)
    closed = [period for period in HOURLY if not period.is_current(TODAY)]
    refresh(pipeline, monkeypatch, RefreshRequest(closed, TODAY))
    pipeline.absorb_changes(noon(TODAY))
    refresh(pipeline, monkeypatch, RefreshRequest(closed, TODAY, only_stale=True))
    with pipeline.engine.begin() as connection:
        connection.execute(text("UPDATE expenses SET amount = amount + 1 WHERE email_account_id = 7"))
    pipeline.absorb_changes(noon(TODAY))
    outcome, _ = refresh(pipeline, monkeypatch, RefreshRequest(closed, TODAY, only_outdated=True))
    assert outcome.accounts == 1
    assert 0 < outcome.rows_read <= EXPENSES_AN_ACCOUNT
    assert outcome.rewritten == outcome.payloads <= len(closed)


def test_the_year_before_is_taken_from_the_store_by_one_statement(pipeline, monkeypatch):
    year = Period.holding(Grain.YEAR, TODAY)
    this_year = sum(TODAY - timedelta(days=5 * n) >= year.start for n in range(EXPENSES_AN_ACCOUNT))
    found = {}
    for accounts in (2, 60):
        spend(pipeline, accounts)
        pipeline.absorb_changes(noon(TODAY))
        refresh(pipeline, monkeypatch, RefreshRequest([year, year.shift(-1)], TODAY))
        with pipeline.engine.begin() as connection:
            connection.execute(text("UPDATE expenses SET amount = amount + 1 WHERE transaction_date > '2026-03-30'"))
        pipeline.absorb_changes(noon(TODAY))
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest([year], TODAY, only_stale=True))
        assert outcome.accounts == outcome.rewritten == accounts
        assert outcome.rows_read == accounts * (this_year + 1)  # with the total of the last one
        found[accounts] = sorted(work.statements)
    assert found[2] == found[60]
    assert sum("stored.payload" in statement for statement in found[60]) == 1


def test_rows_that_are_written_in_any_case_are_not_looked_up_before(pipeline, monkeypatch):
    spend(pipeline, 3)
    lookup = driver_query("stored_heads", binary=True)
    for force, lookups in ((True, 0), (False, 1)):
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest([MONTH], TODAY, force=force))
        assert (outcome.rewritten, work.statements.count(lookup)) == (3 * force, lookups)


def test_a_refresh_of_what_is_marked_looks_for_no_other_rows(pipeline, monkeypatch):
    spend(pipeline, 3)
    mark_stale(pipeline, [MONTH], [1, 2, 3])
    looked_for = driver_query("accounts_with_rows")
    for only_stale, looks in ((True, 0), (False, 1)):
        outcome, work = refresh(pipeline, monkeypatch, RefreshRequest([MONTH], TODAY, [1, 2, 3], only_stale=only_stale))
        assert (outcome.payloads, sum(looked_for in statement for statement in work.statements)) == (3, looks)


def test_periods_of_one_run_share_one_reading_of_the_expenses(pipeline, monkeypatch):
    spend(pipeline, 3)
    for periods in ([MONTH], HOURLY):
        _, work = refresh(pipeline, monkeypatch, RefreshRequest(periods, TODAY))
        readings = [s for s in work.statements if s.startswith("COPY (") and "FROM expenses" in s]
        assert 4 <= len(readings) <= 6  # the days in quarters, and the sums of what lies before


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
    stored = text("SELECT ctid, xmin, version FROM metrics.period_metrics ORDER BY 1")
    with pipeline.engine.begin() as connection:
        rows_before = connection.execute(stored).all()
    second, _ = refresh(pipeline, monkeypatch, RefreshRequest(HOURLY, TODAY))
    assert (first.rewritten, second.rewritten) == (first.payloads, 0)
    assert first.payloads == second.payloads
    with pipeline.engine.begin() as connection:
        rows = connection.execute(stored).all()
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
