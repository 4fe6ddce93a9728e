"""Expense tables that are not quite as the migrations make them are captured too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from metrics_pipeline.errors import SchemaError
from metrics_pipeline.migrations.apply import migrate
from metrics_pipeline.source.capture import capture_state
from metrics_pipeline_tests.ledger import ALWAYS, Ledger

Shape = Callable[[str], Ledger]

OTHER_TYPES = """
CREATE TYPE code AS ENUM ('USD', 'EUR');
CREATE TYPE state AS ENUM ('processed', 'failed');
CREATE TYPE every AS ENUM ('daily', 'weekly', 'monthly', 'yearly');
CREATE TABLE email_accounts (id int PRIMARY KEY, email varchar(99), currency code, active boolean);
CREATE TABLE categories (id smallint PRIMARY KEY, name varchar(50) NOT NULL);
CREATE TABLE expenses (
    "Weird ""column"" {0}" int, id int PRIMARY KEY, email_account_id int, category_id smallint, amount numeric,
    currency code, status state, merchant_name varchar(80), transaction_date timestamptz, deleted_at timestamptz
);
CREATE TABLE budgets (
    id int PRIMARY KEY, email_account_id int, name varchar(50), period every, amount numeric, currency code,
    start_date date, end_date date, active boolean, warning_threshold int, critical_threshold int
);
CREATE TABLE budget_categories (budget_id int, category_id smallint);
"""

BARE = """
CREATE TABLE email_accounts (id bigint PRIMARY KEY);
CREATE TABLE categories (id bigint PRIMARY KEY, name text);
CREATE TABLE expenses (id bigint PRIMARY KEY, email_account_id bigint, amount numeric, transaction_date timestamptz);
CREATE TABLE budgets (
    id bigint PRIMARY KEY, email_account_id bigint, name text, period text, amount numeric, currency text,
    start_date date, end_date date
);
CREATE TABLE budget_categories (budget_id bigint, category_id bigint);
"""

PARTITIONED = BARE.replace(
    "CREATE TABLE expenses (id bigint PRIMARY KEY, email_account_id bigint, amount numeric, "
    "transaction_date timestamptz);",
    """
CREATE TABLE expenses (id bigint, email_account_id bigint, amount numeric, transaction_date timestamptz)
    PARTITION BY RANGE (transaction_date);
CREATE TABLE expenses_2025 PARTITION OF expenses FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE expenses_2026 PARTITION OF expenses FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');""",
)


@pytest.fixture
def shape(database: Any) -> Shape:
    """Makes tables in a schema that comes first in the search_path, and attaches."""

    def make(tables: str) -> Ledger:
        with database.engine.begin() as connection:
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            connection.exec_driver_sql(f"CREATE SCHEMA app; SET LOCAL search_path = app; {tables}")
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET search_path = app, public")
        database.engine.dispose()
        migrate(database.engine)
        return Ledger(database.engine, database.url)

    return make


def test_other_types_of_ids_codes_and_columns(shape: Shape) -> None:
    ledger = shape(OTHER_TYPES)
    ledger.run("INSERT INTO email_accounts VALUES (1, 'a', 'USD', true)")
    ledger.run(
        "INSERT INTO expenses VALUES (0, 1, 1, NULL, 5, 'USD', 'processed', 'Bean', '2026-01-01 10:00+00', NULL)"
    )
    ledger.run("INSERT INTO budgets VALUES (5, 1, 'b', 'daily', 5, 'USD', '2026-01-01', '2026-01-01', true, 70, 90)")
    ledger.run("INSERT INTO budget_categories VALUES (5, 1)")
    budget = (1, "budget day", "2025-12-31 00:00 .. 2026-01-02 00:00")
    assert ledger.logged() == [budget, budget, (1, "insert", "2026-01-01 10:00")]
    for assignment in ("currency = 'EUR'", "status = 'failed'", "merchant_name = 'bean'", "category_id = 1"):
        ledger.run(f"UPDATE expenses SET {assignment}")
        assert ledger.logged() == [(1, "update", "2026-01-01 10:00")], assignment
    ledger.run("UPDATE budgets SET period = 'yearly'")
    assert {operation for _, operation, _ in ledger.logged()} == {"budget day", "budget year"}
    ledger.run("UPDATE email_accounts SET currency = 'EUR'")
    assert ledger.logged() == [(1, "account", ALWAYS)]
    ledger.run("DELETE FROM expenses")
    assert ledger.logged() == [(1, "delete", "2026-01-01 10:00")]
    assert ledger.missed() == 0


def test_columns_that_may_be_missing(shape: Shape) -> None:
    ledger = shape(BARE)
    ledger.run("INSERT INTO email_accounts VALUES (1); INSERT INTO expenses VALUES (1, 1, 5, '2026-01-01 10:00+00')")
    ledger.run("UPDATE expenses SET amount = 6")
    ledger.run("UPDATE email_accounts SET id = id")
    ledger.run("DELETE FROM expenses")
    moment = "2026-01-01 10:00"
    assert ledger.logged() == [(1, "delete", moment), (1, "insert", moment), (1, "update", moment)]
    ledger.run("INSERT INTO budgets VALUES (5, 1, 'b', 'daily', 5, 'USD', '2026-01-01', '2026-01-01')")
    ledger.run("UPDATE budgets SET amount = 6")
    ledger.run("INSERT INTO budget_categories VALUES (5, 1)")
    assert ledger.logged() == [(1, "budget day", "2025-12-31 00:00 .. 2026-01-02 00:00")] * 3
    assert ledger.missed() == 0


def test_a_partitioned_expense_table_logs_both_sides_of_a_move_between_partitions(shape: Shape) -> None:
    ledger = shape(PARTITIONED)
    ledger.run("INSERT INTO expenses VALUES (1, 1, 5, '2025-12-31 10:00+00'), (2, 1, 5, '2026-12-31 10:00+00')")
    assert len(ledger.logged()) == 2
    ledger.run("UPDATE expenses SET transaction_date = '2026-01-01 09:00+00' WHERE id = 1")
    assert ledger.logged() == [(1, "update", "2025-12-31 10:00"), (1, "update", "2026-01-01 09:00")]
    ledger.run("DELETE FROM expenses")
    assert ledger.logged() == [(1, "delete", "2026-01-01 09:00"), (1, "delete", "2026-12-31 10:00")]


@pytest.mark.parametrize("type_", ["timestamp", "date"])
def test_a_date_without_a_zone_is_utc_in_whatever_zone_it_is_written(shape: Shape, type_: str) -> None:
    ledger = shape(BARE.replace("timestamptz", type_))
    with ledger.engine.begin() as connection:
        connection.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
        connection.execute(text("INSERT INTO email_accounts VALUES (1)"))
        connection.execute(text("INSERT INTO expenses VALUES (1, 1, 5, '2026-01-01')"))
        connection.execute(text("UPDATE expenses SET transaction_date = '2026-01-03'"))
        connection.execute(text("UPDATE email_accounts SET id = 3 - id"))
    assert ledger.logged() == [
        (1, "account", ALWAYS),
        (1, "insert", "2026-01-01 00:00"),
        (1, "update", "2026-01-01 00:00"),
        (1, "update", "2026-01-03 00:00"),
        (2, "account", ALWAYS),
    ]


def test_a_column_that_nothing_can_be_told_without_is_named(shape: Shape) -> None:
    with pytest.raises(SchemaError, match=r"app\.budgets: it has no column end_date\. Add it"):
        shape(BARE.replace(", end_date date", ""))


def test_a_view_is_left_alone_and_reported(shape: Shape) -> None:
    ledger = shape(BARE + "ALTER TABLE categories RENAME TO kinds; CREATE VIEW categories AS SELECT * FROM kinds;")
    ledger.run("INSERT INTO expenses VALUES (1, 1, 5, '2026-01-01')")
    assert len(ledger.logged()) == 1
    with ledger.engine.connect() as connection:
        (problem,) = capture_state(connection)
    assert "app.categories is not a table" in problem.message
